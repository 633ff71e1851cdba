/**
 * What the rounds do to nodes and database, one or two things at once, and how long channels then wait. What is read from the seed's
 * random numbers is read in an order that the seed alone decides.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { STATUS } from '../../../protocol/layout.ts';
import { shardOfChannel } from '../../../protocol/shard.ts';
import type { Random } from '../random.ts';
import type { ClusterNode } from './cluster-node.ts';
import { type RealCluster, until } from './real-cluster.ts';

const SINGLE = ['kill', 'pause', 'standby', 'primary', 'cut', 'partition', 'move', 'stop'] as const;
/** Two faults at once. */
const DOUBLE = ['kill+standby', 'kill+kill', 'pause+primary', 'partition+move', 'standbys+primary'] as const;
export const KINDS = [...SINGLE, ...DOUBLE] as const;
export type Kind = (typeof KINDS)[number];

/** Milliseconds, one for each channel or move. */
export interface Timings {
  killed: number[];
  paused: number[];
  moved: number[];
  failedOver: number[];
  /** After two faults at once. */
  both: number[];
}

const TAKEN_OVER_MS_MAX = 15_000;
const PROBE_MS = 400;
const MOVED_MS_MAX = 4_000;

export interface Round {
  readonly cluster: RealCluster;
  readonly chance: Random;
  readonly timings: Timings;
  /** A node, of those that hold most. */
  readonly victim: ClusterNode;
  /** The victim's channels when the round began. */
  readonly held: ReadonlySet<bigint>;
  /** What is mended while records are compared, and before the next round. */
  readonly mending: Promise<void>[];
}

export const FAULTS: Record<Kind, (round: Round) => Promise<void>> = {
  kill: async ({ cluster, chance, timings, victim, held }) => {
    const at = performance.now();
    victim.kill();
    await victim.ended();
    // A supervisor starts it at once, or its machine is gone for longer than the others wait.
    if (chance.below(2) === 0) await sleep(chance.below(200));
    else await takenOver(cluster, held, victim);
    victim.start();
    await servedSince(cluster, at, held);
    timings.killed.push(...libraryWaits(cluster, at, held));
  },

  pause: async (round) => {
    const { cluster, chance, timings, victim, held } = round;
    const at = performance.now();
    victim.pause();
    if (chance.below(4) === 0) {
      // Not for long enough: nobody takes it over.
      await sleep(100 + chance.below(500));
      victim.resume();
      return;
    }
    await takenOver(cluster, held, victim);
    await servedSince(cluster, at, held);
    timings.paused.push(...libraryWaits(cluster, at, held));
    await wake(round);
  },

  standby: async (round) => {
    const dead = await killStandby(round);
    await sleep(round.chance.below(800));
    mendLater(round, follow(round, dead));
  },

  primary: async (round) => {
    const { cluster, timings } = round;
    const dead = cluster.servers.primary.name;
    const at = performance.now();
    await cluster.failOver();
    await servedSince(cluster, at, new Set(cluster.channels));
    timings.failedOver.push(...libraryWaits(cluster, at, new Set(cluster.channels)));
    mendLater(round, cluster.rebuild(dead));
  },

  cut: async ({ cluster, chance }) => {
    for (let left = 3 + chance.below(5); left > 0; left--) {
      const node = cluster.nodes[chance.below(cluster.nodes.length)]!;
      // Within a statement or its answer: an append is some 400 bytes.
      node.cutAfter(chance.below(1_200));
      await sleep(50 + chance.below(200));
    }
  },

  partition: async ({ cluster, chance, victim, held }) => {
    const at = performance.now();
    victim.partition();
    if (chance.below(3) === 0) await sleep(chance.below(700));
    else {
      await takenOver(cluster, held, victim);
      await servedSince(cluster, at, held);
    }
    victim.join();
  },

  move: async (round) => {
    const { cluster, chance, victim } = round;
    const others = cluster.nodes.filter((node) => node !== victim && node.isReady);
    const to = others[chance.below(others.length)];
    const own = [...cluster.raw.channels].filter((id) => round.held.has(id));
    const channelId = own[chance.below(own.length)];
    if (to === undefined || channelId === undefined) return moveSome(round);
    const ms = await measuredMove(round, channelId, to);
    if (ms !== undefined) round.timings.moved.push(ms);
  },

  stop: async ({ victim }) => {
    await victim.stop();
    victim.start();
  },

  'kill+standby': async (round) => {
    const { cluster, timings, victim, held } = round;
    const at = performance.now();
    victim.kill();
    const dead = await killStandby(round);
    await takenOver(cluster, held, victim);
    await servedSince(cluster, at, held);
    timings.both.push(...libraryWaits(cluster, at, held));
    victim.start();
    mendLater(round, follow(round, dead));
  },

  'kill+kill': async ({ cluster, chance, timings, victim }) => {
    const at = performance.now();
    const spared = chance.below(cluster.nodes.length - 1);
    const [survivor] = cluster.nodes.filter((node) => node !== victim).slice(spared);
    const dead = cluster.nodes.filter((node) => node !== survivor);
    for (const node of dead) {
      node.kill();
      await sleep(chance.below(2) * chance.below(1_500));
    }
    const all = new Set(cluster.channels);
    for (const node of dead) await takenOver(cluster, all, node);
    await servedSince(cluster, at, all);
    timings.both.push(...libraryWaits(cluster, at, all));
    for (const node of dead) node.start();
  },

  'pause+primary': async (round) => {
    const { cluster, chance, victim, held } = round;
    const dead = cluster.servers.primary.name;
    const at = performance.now();
    victim.pause();
    await sleep(chance.below(1_200));
    await cluster.failOver();
    await takenOver(cluster, held, victim);
    await servedSince(cluster, at, new Set(cluster.channels));
    await wake(round);
    mendLater(round, cluster.rebuild(dead));
  },

  // The hand-over may be made, or not, while its giver hears nothing of it.
  'partition+move': async (round) => {
    const { cluster, chance, victim, held } = round;
    const at = performance.now();
    const moves = moveSome({ ...round, from: victim });
    await sleep(chance.below(150));
    victim.partition();
    if (chance.below(3) === 0) await sleep(chance.below(700));
    else await takenOver(cluster, held, victim).then(() => servedSince(cluster, at, held));
    victim.join();
    await moves;
  },

  // Nothing may be acknowledged from the death of the second standby on: no standby has it, and the primary is lost.
  'standbys+primary': async (round) => {
    const { cluster, chance, timings } = round;
    const dead = cluster.servers.primary.name;
    const at = performance.now();
    await Promise.all(cluster.standbys.map((name) => cluster.servers.server(name).kill()));
    cluster.log('both standbys are killed');
    await sleep(100 + chance.below(500));
    // Later claims would cover what is lost: those that fall silent now have to be as their payers were told.
    cluster.setQuiet(
      cluster.channels.filter(() => chance.below(2) === 0),
      true,
    );
    await cluster.failOver();
    await servedSince(cluster, at, new Set(cluster.channels));
    timings.failedOver.push(...libraryWaits(cluster, at, new Set(cluster.channels)));
    mendLater(round, cluster.rebuild(dead));
  },
};

function mendLater({ cluster, mending }: Round, work: Promise<void>): void {
  mending.push(work.catch((error: Error) => void cluster.records.violations.push(`not mended: ${error.message}`)));
}

async function killStandby({ cluster, chance }: Round): Promise<string> {
  const dead = cluster.standbys[chance.below(2)]!;
  cluster.log(`standby ${dead} is killed`);
  await cluster.servers.server(dead).kill();
  return dead;
}

async function follow({ cluster: { servers } }: Round, standby: string): Promise<void> {
  await servers.server(standby).start();
  await servers.streaming(standby);
}

/** Resolves once nobody of these channels is the victim's any more, or it was entered anew. */
async function takenOver(cluster: RealCluster, held: ReadonlySet<bigint>, victim: ClusterNode): Promise<void> {
  if (held.size === 0) return;
  const isTaken = async () => {
    const holders = await cluster.holders();
    return [...held].every((id) => holders.get(id) !== victim.name);
  };
  await until(isTaken, `${victim.name} to be taken over`, TAKEN_OVER_MS_MAX);
  cluster.log(`${victim.name} was taken over`);
}

/** Resolves once each channel that is not silent was acknowledged a claim begun after `at`. */
async function servedSince(cluster: RealCluster, at: number, channels: ReadonlySet<bigint>): Promise<void> {
  const asked = new Set([...channels].filter((id) => cluster.isAsking(id)));
  const isServed = () => {
    const told = new Set(cluster.records.told.filter(({ askedAt }) => askedAt >= at).map(({ channelId }) => channelId));
    return [...asked].every((id) => told.has(id));
  };
  await until(isServed, `channels to be served again`, TAKEN_OVER_MS_MAX).catch((error: Error) => {
    const served = new Set(cluster.records.told.filter((told) => told.askedAt >= at).map(({ channelId }) => channelId));
    throw new Error(`${error.message}: ${[...asked].filter((id) => !served.has(id)).join(', ')} of ${asked.size}`);
  });
}

function libraryWaits(cluster: RealCluster, at: number, channels: ReadonlySet<bigint>): number[] {
  const library = cluster.library.flatMap((payer) => payer.channels).filter((id) => channels.has(id));
  return cluster.records.waitsSince(at, new Set(library));
}

/** Wakes a node that was taken over, and pays to it alone: of that it may acknowledge nothing. */
async function wake({ cluster, victim, held }: Round): Promise<void> {
  const { raw, records } = cluster;
  const { run } = victim;
  const index = cluster.nodes.indexOf(victim);
  const probed = [...raw.channels].filter((id) => held.has(id)).slice(0, 4);
  cluster.setQuiet(probed, true);
  const amounts = new Map(probed.map((id) => [id, raw.next(id)]));
  raw.onAck = (ack, node) => {
    if (
      node === index &&
      victim.run === run &&
      ack.status === STATUS.COMMITTED &&
      ack.amount === amounts.get(ack.channelId)
    )
      records.violations.push(
        `channel ${ack.channelId}: ${run} was taken over, and committed ${ack.amount} when it woke`,
      );
  };
  // Some wait for it in its socket, others come when it is awake.
  for (const [id, amount] of amounts) raw.sendTo(index, id, amount);
  victim.resume();
  for (const since = performance.now(); performance.now() - since < PROBE_MS && victim.run === run; await sleep(10))
    for (const [id, amount] of amounts) raw.sendTo(index, id, amount);
  raw.onAck = () => {};
}

/** Asks a node, any one where none is named, to give some of its shards that have channels. */
export async function moveSome({ cluster, chance, from: named }: Round & { from?: ClusterNode }): Promise<void> {
  if (named === undefined) await sleep(chance.below(400));
  const from = named ?? cluster.nodes[chance.below(cluster.nodes.length)]!;
  const to = cluster.nodes[chance.below(cluster.nodes.length)]!;
  if (from === to || !from.isReady || !to.isReady) return;
  try {
    const holders = await cluster.holders();
    const own = [...holders].filter(([, name]) => name === from.name).map(([id]) => shardOfChannel(id));
    if (own.length === 0) return;
    const shards = own.slice(0, 1 + chance.below(own.length));
    await from.admin.cluster({ action: 'move', shards, to: to.name });
    cluster.log(`${from.name} gives ${shards.length} shards to ${to.name}`);
  } catch (error) {
    // One of them, or the database, is dead.
    cluster.log(`no move: ${(error as Error).message}`);
  }
}

/** Pays to giver and receiver at once, and measures for how long neither commits; undefined where nothing moved. */
async function measuredMove(
  { cluster, victim }: Round,
  channelId: bigint,
  to: ClusterNode,
): Promise<number | undefined> {
  const { raw } = cluster;
  cluster.setQuiet([channelId], true);
  const [giver, receiver] = [cluster.nodes.indexOf(victim), cluster.nodes.indexOf(to)];
  let last: number | undefined;
  let first: number | undefined;
  raw.onAck = (ack, node) => {
    if (ack.channelId !== channelId || ack.status !== STATUS.COMMITTED) return;
    if (node === giver) last = performance.now();
    if (node === receiver) first ??= performance.now();
  };
  const request = { action: 'move', shards: [shardOfChannel(channelId)], to: to.name } as const;
  const asked = victim.admin.cluster(request).catch((error: Error) => cluster.log(`no move: ${error.message}`));
  for (
    const since = performance.now();
    first === undefined && performance.now() - since < MOVED_MS_MAX;
    await sleep(5)
  ) {
    const amount = raw.next(channelId);
    raw.sendTo(giver, channelId, amount);
    raw.sendTo(receiver, channelId, amount);
  }
  await asked;
  raw.onAck = () => {};
  return first === undefined || last === undefined ? undefined : first - last;
}
