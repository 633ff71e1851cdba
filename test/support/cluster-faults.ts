/** A seeded run of a cluster under faults, and what must hold then: the payers' own records say what was acknowledged. */
import { World } from './cluster-world.ts';

const JOINED_MS = 1_000;
/** Once faults have stopped: a wake and a fence, a restart, a takeover, and loading. */
const HEALED_MS = 6_000;

export interface FaultyRun {
  faults: readonly string[];
  log: readonly string[];
  takeovers: number;
  moved: number;
  acknowledged: bigint;
  /** Drops of charges that were answered; keys that were asked for again, and not charged again. */
  charged: bigint;
  repeated: number;
  /** Milliseconds from the end of all faults until each payer was acknowledged again. */
  healedMs: number;
}

/** Runs a seed: `faultsMs` of faults, then none until all is served again, then a start of all nodes from the database alone. */
export async function faultyRun(seed: number, faultsMs: number): Promise<FaultyRun> {
  const world = new World(seed, { batchShards: 48, moveEveryMs: 100, quickPollMs: 50 });
  const { chance } = world;
  const names = Array.from({ length: 3 + chance.below(3) }, (_, index) => `node-${index + 1}`);
  const late = names.at(-1)!;
  for (const name of names) if (name !== late) world.node(name).start();
  await world.run(JOINED_MS);
  await world.addPayers(12);
  const end = world.now + faultsMs;
  world.at(world.now + chance.below(faultsMs), () => world.node(late).start());
  while (world.now < end) {
    oneFault(world, names[chance.below(names.length)]!);
    await world.run(50 + chance.below(600));
  }
  const faults: string[] = [];
  await heal(world, names);
  world.resetWaits();
  const healed = world.now;
  while (world.now - healed < HEALED_MS && world.payers.some(({ since }) => since <= healed)) await world.run(50);
  const healedMs = world.now - healed;
  for (const payer of world.payers)
    if (payer.since <= healed) faults.push(`channel ${payer.channelId} is not served again: ${where(world, payer)}`);
  const moved = [...world.nodes.values()].reduce((sum, { member }) => sum + (member?.figures.shardsGiven ?? 0), 0);
  const takeovers = world.log.filter((line) => line.includes('took over')).length;
  // What is in the database alone, without what the nodes know, covers what payers were told.
  const told = world.payers.map(({ acknowledged }) => acknowledged);
  for (const charger of world.chargers) charger.isStopped = true;
  for (const name of names) world.node(name).kill();
  await world.run(200);
  for (const payer of world.payers) payer.isWaiting = true;
  for (const name of names) world.node(name).start();
  for (let waited = 0; waited < HEALED_MS && !names.every((name) => world.node(name).isServing); waited += 50)
    await world.run(50);
  for (const [index, payer] of world.payers.entries()) {
    const committed = world.holder(payer.channelId)?.shards?.committed(payer.channelId);
    if (committed === undefined || committed < told[index]!)
      faults.push(`channel ${payer.channelId}: acknowledged ${told[index]}, committed ${committed}`);
  }
  for (const charger of world.chargers) {
    const shards = world.holder(charger.channelId)?.shards;
    if (shards !== undefined)
      charger.expectSpent(shards.spent(charger.channelId), shards.committed(charger.channelId) ?? 0n);
  }
  const charged = world.chargers.reduce((sum, charger) => sum + charger.answered, 0n);
  const repeated = world.chargers.reduce((sum, charger) => sum + charger.repeated, 0);
  const acknowledged = told.reduce((sum, amount) => sum + amount, 0n);
  const allFaults = [...world.tables.faults, ...faults];
  return { faults: allFaults, log: world.log, takeovers, moved, acknowledged, charged, repeated, healedMs };
}

async function heal(world: World, names: readonly string[]): Promise<void> {
  world.latencyMs = 3;
  for (const name of names) {
    const node = world.node(name);
    node.rejoin();
    node.wake();
    node.member?.join();
    if (!node.isServing && !node.isWanted) node.start();
  }
}

function oneFault(world: World, name: string): void {
  const { chance } = world;
  const node = world.node(name);
  const later = (call: () => void) => world.at(world.now + 200 + chance.below(3_500), call);
  const kinds = ['kill', 'pause', 'cut', 'leave', 'move', 'rebalance', 'latency'] as const;
  const kind = kinds[chance.below(kinds.length)]!;
  world.log.push(`${world.now} ${name}: ${kind}`);
  if (kind === 'kill') {
    node.kill();
    later(() => node.start());
  } else if (kind === 'pause') {
    node.pause();
    later(() => node.wake());
  } else if (kind === 'cut') {
    node.cutOff();
    later(() => node.rejoin());
  } else if (kind === 'leave') {
    node.member?.leave();
    later(() => node.member?.join());
  } else if (kind === 'rebalance') node.member?.rebalance();
  else if (kind === 'latency') world.latencyMs = chance.below(2) === 0 ? 3 : 60;
  else moveSome(world, name);
}

function moveSome(world: World, name: string): void {
  const member = world.node(name).member;
  const others = [...world.nodes.keys()].filter((other) => other !== name);
  const own = world.tables.shards.filter(({ node }) => node === name).map(({ shard }) => shard);
  try {
    member?.move(own.slice(0, world.chance.below(40)), others[world.chance.below(others.length)]!);
  } catch {
    // The other one is dead, or not known to live.
  }
}

function where(world: World, { channelId }: { channelId: bigint }): string {
  const holder = world.holder(channelId);
  return `${holder?.name}, serving ${holder?.isServing}, ${JSON.stringify(holder?.member?.figures)}`;
}
