/**
 * One seed, from an empty disk to its end: lives of a node that follow each other, payers, an operator, services and strangers
 * around it, until as many claims were asked for as the plan wants. Then everything is calm, and has to come out right.
 */
import { MemoryRegistry } from '../support/memory-registry.ts';
import { MemorySideTables } from '../support/memory-side-tables.ts';
import { random } from '../support/random.ts';
import { probeBitRot } from './bit-rot.ts';
import { ClusterRun } from './cluster.ts';
import { SimulatedDisk } from './disk.ts';
import { Chance, type FaultKind } from './faults.ts';
import { use } from './globals.ts';
import { DATA, type Ending, type Stores } from './life.ts';
import { Network } from './network.ts';
import { SimulatedNode } from './node.ts';
import { Operator } from './operator.ts';
import { Oracle } from './oracle.ts';
import { Payers } from './payers.ts';
import { drawPlan, type Plan, rootsOf, type Sizes } from './plan.ts';
import { Redemptions } from './redemptions.ts';
import { Scheduler } from './scheduler.ts';
import { Services } from './services.ts';
import { Signatures } from './signatures.ts';
import { Strangers } from './strangers.ts';
import { Trace } from './trace.ts';
import { ChannelTruth } from './truth.ts';
import { type Totals, Violation, World } from './world.ts';

const EVENTS_MAX = 2_000_000;
const DOWN_MS = 20;
const LIVES_MAX = 60;

export interface SeedResult {
  seed: number;
  plan: Plan;
  totals: Totals;
  events: number;
  /** Of all that the node told the outside: two runs of a seed have the same. */
  digest: number;
  faults: [FaultKind, number][];
  /** What must not be, and what happened before it. */
  failure?: { promise: string; what: string; trace: string[] };
}

export interface SeedOptions {
  hasNative: boolean;
  /** How many lines of the trace to keep; 0 for none. */
  traceLines?: number;
  /** Odds of the plan (plan.ts) by which nothing happens. */
  without?: readonly string[];
  sizes?: Sizes;
}

export async function simulate(
  seed: number,
  { hasNative, traceLines = 0, without = [], sizes = {} }: SeedOptions,
): Promise<SeedResult> {
  // Errors are thrown by the hundred, and nobody reads where, but for the one that ends the seed.
  Error.stackTraceLimit = traceLines > 0 ? 50 : 0;
  const source = random(seed);
  const chance = new Chance(source);
  const scheduler = new Scheduler(source);
  use(scheduler, source);
  const plan = rootsOf(limited(drawPlan(seed, chance, hasNative), sizes), without);
  const trace = new Trace(scheduler, traceLines > 0);
  const world = new World({
    scheduler,
    chance,
    plan,
    trace,
    disk: new SimulatedDisk(),
    signatures: new Signatures(plan.realSignatures),
    without: new Set(without),
  });
  const isCluster = plan.nodes > 1 && !world.without.has('nodes');
  const run = isCluster ? new ClusterRun(world) : new Run(world);
  const onRejection = (error: Error) => scheduler.fail(error);
  process.on('unhandledRejection', onRejection);
  let failure: SeedResult['failure'];
  try {
    await run.toItsEnd();
  } catch (error) {
    const { message, stack } = error as Error;
    const isViolation = error instanceof Violation;
    failure = {
      promise: isViolation ? error.promise : 'nothing throws',
      what: isViolation ? message : (stack ?? message),
      trace: trace.last(traceLines),
    };
  } finally {
    process.off('unhandledRejection', onRejection);
    // What is left of the last process does nothing any more.
    if (world.node !== undefined) world.node.isDead = true;
  }
  const { totals, counts } = world;
  const result = { seed, plan, totals, events: scheduler.events, digest: trace.sum, faults: [...counts.byKind] };
  return failure === undefined ? result : { ...result, failure };
}

/** Claims end sooner, at the same pace. */
function limited(plan: Plan, { claims = plan.claimsMax, channels = plan.channels, payers = plan.payers }: Sizes): Plan {
  const most = (count: number, limit: number) => Math.min(count, limit);
  return {
    ...plan,
    claimsMax: most(plan.claimsMax, claims),
    channels: most(plan.channels, channels),
    payers: most(plan.payers, payers),
  };
}

class Run {
  readonly #world: World;
  readonly #oracle: Oracle;
  readonly #truths: readonly ChannelTruth[];
  readonly #network: Network;
  readonly #payers: Payers;
  readonly #services: Services;
  #stores: Stores = { registry: new MemoryRegistry(), sides: new MemorySideTables() };
  #endLife: () => void = () => {};

  constructor(world: World) {
    const { plan, chance, scheduler } = world;
    this.#world = world;
    this.#oracle = new Oracle(world);
    this.#truths = Array.from(
      { length: plan.channels },
      (_, number) => new ChannelTruth(number, chance.is(0.3) ? 'link' : 'xrpl', world.signatures.signer(number)),
    );
    for (const truth of this.#truths) this.#oracle.truths.set(truth.channelId, truth);
    this.#network = new Network(world, (bytes, port, isHonest) => {
      this.#oracle.delivered(bytes, port, isHonest);
      if (isHonest) strangers.hear(bytes);
    });
    this.#oracle.onAcks = (port, bytes) => this.#network.toPeer(port, bytes);
    const strangers = new Strangers(world, this.#network, this.#truths);
    this.#payers = new Payers(world, this.#network, this.#truths);
    this.#services = new Services(world, this.#truths);
    if (plan.odds.redemptions > 0 && !world.without.has('redemptions'))
      world.redemptions = new Redemptions(world, this.#truths);
    world.disk.mkdir(DATA);
    const root = world.disk.openPath('/', { creates: false, truncates: false });
    world.disk.beginSync(root, false)();
    world.disk.close(root);
    scheduler.afterEvent = () => this.#oracle.look();
    for (const part of [this.#payers, this.#services, strangers, new Operator(world, this.#truths)]) part.begin();
    world.redemptions?.begin();
    this.#beginTroubles();
  }

  async toItsEnd(): Promise<void> {
    const world = this.#world;
    const { scheduler } = world;
    this.#beginLife();
    await scheduler.run(() => this.#payers.isDone, EVENTS_MAX);
    world.isCalm = true;
    world.clockOffset = 0;
    this.#endLife();
    await scheduler.run(() => world.node?.isReady === true && scheduler.now >= world.pausedUntil, EVENTS_MAX);
    await this.#payers.finish((truth) => this.#isExpired(truth));
    await this.#services.finish();
    await world.redemptions?.finish();
    const node = world.node!;
    node.stop();
    await scheduler.run(() => node.isDead, EVENTS_MAX);
    // Stopped in order, and started once more: everything is as it was.
    await scheduler.run(() => world.node?.isReady === true, EVENTS_MAX);
  }

  #isExpired(truth: ChannelTruth): boolean {
    const { expiresAt } = truth.now;
    return expiresAt !== 0 && (this.#world.node?.control.advanceClock(0) ?? 0) >= expiresAt - 120;
  }

  #beginLife(): void {
    const world = this.#world;
    const { chance, scheduler, totals, plan } = world;
    totals.lives++;
    const oracle = this.#oracle;
    const node = new SimulatedNode(world, this.#stores, {
      recovered: (life) => oracle.recovered(life),
      ready: (life) => oracle.ready(life),
      acked: (life, packet, words, at) => {
        oracle.acked(life, packet, words, at);
        if (!world.strikes('crashAtAck')) return;
        world.happened('crash.at-ack');
        life.crash();
      },
      drained: (life) => oracle.drained(life),
      ended: (life, how) => this.#ended(life, how),
    });
    world.node = node;
    this.#stores = node.stores;
    world.trace.note(() => `life ${totals.lives} begins`);
    if (world.isCalm) return;
    let end: () => void;
    if (world.strikes('crashInStart')) node.disk.operationsLeft = chance.between(1, 40);
    else if (world.strikes('crashAtOperation')) node.disk.operationsLeft = chance.between(20, 400);
    if (world.strikes('cleanStop'))
      end = () => {
        node.stop();
        if (world.strikes('crashInStop')) node.disk.operationsLeft = chance.between(1, 8);
      };
    else if (world.strikes('threadDeath')) end = () => node.killThread();
    else end = () => node.crash();
    // A life ends also where nothing else ends it, and while a hung disk is looked at it goes on.
    const cancel = scheduler.after(
      chance.spread(2, plan.lifeMs),
      function over() {
        if (node.isDead) return;
        if (scheduler.now < world.pausedUntil)
          scheduler.after(world.pausedUntil - scheduler.now + 5, over, scheduler.world);
        else if (totals.lives < LIVES_MAX) end();
      },
      scheduler.world,
    );
    this.#endLife = () => {
      cancel();
      node.disk.operationsLeft = Number.POSITIVE_INFINITY;
    };
  }

  #ended(node: SimulatedNode, how: Ending): void {
    const world = this.#world;
    const { chance, scheduler, totals, plan } = world;
    this.#oracle.ended(node);
    this.#services.nodeEnded();
    world.node = undefined;
    world.trace.note(() => `the node has ended: ${how}`);
    if (how === 'stop') world.happened('stop.clean');
    else {
      totals.crashes++;
      world.redemptions?.crashed(node);
      if (how === 'crash' && node.isStopping) world.happened('crash.in-stop');
      else if (how === 'crash' && !node.hasStarted) world.happened('crash.in-start');
    }
    const losesPower = world.strikes('powerLoss');
    if (losesPower) {
      const models = [
        'strict',
        'ordered',
        'torn512',
        ...(plan.blockBytes === 4096 ? (['torn4096'] as const) : []),
      ] as const;
      const model = chance.of(models);
      world.happened(`crash.power-${model}`);
      world.disk.losePower(model, chance.random);
      if (plan.durability === 'os') this.#oracle.forget();
    } else {
      if (how !== 'stop') world.happened('crash.kill');
      world.disk.processEnded();
    }
    if (world.strikes('bitRot')) probeBitRot(world, this.#stores.registry);
    scheduler.after(chance.spread(0.1, world.isCalm ? 1 : DOWN_MS), () => this.#beginLife(), scheduler.world);
  }

  /** Clocks that are set, peers that are cut off. */
  #beginTroubles(): void {
    const world = this.#world;
    const { scheduler, plan, chance } = world;
    const step = (ms: number) => {
      if (world.isCalm) return;
      world.clockOffset += ms;
      world.happened(ms < 0 ? 'clock.back' : 'clock.forward', () => `${ms} ms`);
    };
    world.repeat(plan.lifeMs / 2, () => {
      if (world.strikes('partition')) this.#network.part();
      if (!world.strikes('clockStep')) return;
      const ms = chance.of([-3_600_000, -2_000, 2_000, 3_600_000]);
      step(ms);
      // Often it is noticed, and put right.
      if (chance.is(0.5)) scheduler.after(chance.spread(0, plan.lifeMs / 4), () => step(-ms), scheduler.world);
    });
  }
}
