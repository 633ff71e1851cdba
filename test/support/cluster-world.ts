/**
 * A cluster in one process over the database's twin: nodes that are killed, stand still, lose the database, join and leave, and
 * payers that keep their own records. Time is a number that `run` moves on, so a seed repeats.
 */
import { shardOfChannel } from '../../protocol/shard.ts';
import type { ClusterSettings } from '../../src/cluster/cluster-settings.ts';
import { ClusterMember } from '../../src/cluster/membership.ts';
import type { ChargeResult } from '../../src/control/meter-control.ts';
import type { Logger } from '../../src/log.ts';
import type { ClaimDatabase, ClusterState, StoredGroup } from '../../src/store/claim-database.ts';
import { Heartbeat } from '../../src/store/heartbeat.ts';
import { MemoryDatabase } from '../../src/store/memory-database.ts';
import { MemoryTables } from '../../src/store/memory-tables.ts';
import type { Clock } from '../../src/system/system.ts';
import { Charger } from './cluster-charger.ts';
import { amountsIn, FakeShards } from './fake-shards.ts';
import { type Random, random } from './random.ts';

const STEP_MS = 5;
/** A supervisor starts a node that has ended again, after so long. */
const RESTART_MS = 300;
const CHECKPOINT_MS = 700;
const RETRY_MS = 20;

/** The twin's tables, which watch that no shard's claims are stored by a node that does not hold it. */
class WatchedTables extends MemoryTables {
  readonly faults: string[] = [];
  override putGroup(group: StoredGroup): void {
    for (const [channelId] of amountsIn(group.records)) {
      const shard = this.shards[shardOfChannel(channelId)]!;
      if (shard.node !== group.node)
        this.faults.push(`${group.node} stored a claim of a shard that ${shard.node} holds`);
    }
    super.putGroup(group);
  }
}

interface Payer {
  channelId: bigint;
  /** The highest amount that it has sent, and that was acknowledged. */
  sent: bigint;
  acknowledged: bigint;
  isWaiting: boolean;
  /** Since when nothing was acknowledged. */
  since: number;
  /** The longest time without an acknowledgement. */
  longestMs: number;
}

export class World {
  now = 0;
  readonly tables = new WatchedTables();
  readonly chance: Random;
  readonly nodes = new Map<string, SimulatedNode>();
  readonly payers: Payer[] = [];
  readonly chargers: Charger[] = [];
  readonly log: string[] = [];
  readonly settings: Partial<ClusterSettings>;
  /** Longest delay of a call to the database, each way. */
  latencyMs = 3;
  #timers: { at: number; call: () => void }[] = [];

  constructor(seed: number, settings: Partial<ClusterSettings> = {}) {
    this.chance = random(seed);
    this.settings = settings;
  }

  after(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.at(this.now + delayMs, resolve));
  }
  at(time: number, call: () => void): void {
    this.#timers.push({ at: time, call });
  }

  node(name: string): SimulatedNode {
    const node = this.nodes.get(name) ?? new SimulatedNode(this, name);
    this.nodes.set(name, node);
    return node;
  }

  async run(forMs: number): Promise<void> {
    const end = this.now + forMs;
    while (this.now < end) {
      this.now += STEP_MS;
      const due = this.#timers.filter(({ at }) => at <= this.now);
      if (due.length > 0) {
        this.#timers = this.#timers.filter(({ at }) => at > this.now);
        for (const { call } of due) call();
      }
      for (const node of this.nodes.values()) node.step();
      for (const payer of this.payers) this.#pay(payer);
      for (const charger of this.chargers) charger.step();
      await settled();
    }
  }

  async addPayers(count: number): Promise<void> {
    for (let number = 1; number <= count; number++) {
      const channelId = BigInt(number) * 7_919n;
      for (let isOpen = false; !isOpen; ) {
        const opening = this.holder(channelId)!.shards!.open(channelId);
        void opening.then((opened) => {
          isOpen = opened;
        });
        await this.run(50);
      }
      const { now } = this;
      const payer = { channelId, sent: 0n, acknowledged: 0n, isWaiting: false, since: now, longestMs: 0 };
      this.payers.push(payer);
      this.chargers.push(new Charger(this, payer, number % 2 === 0));
    }
  }

  /** The node that holds a channel by the map. */
  holder(channelId: bigint): SimulatedNode | undefined {
    return this.nodes.get(this.tables.shards[shardOfChannel(channelId)]!.node ?? '');
  }

  /** Who begins to serve a shard knows all that was acknowledged of it: later claims would hide what it lacks. */
  expectNothingLost(name: string, shards: FakeShards, served: ReadonlySet<number>): void {
    for (const { channelId, acknowledged } of this.payers) {
      const committed = shards.committed(channelId);
      const shard = shardOfChannel(channelId);
      // One that was taken over while it stood still may begin to serve as it wakes up: the fence refuses what it writes.
      if (this.tables.shards[shard]!.node !== name) continue;
      if (!served.has(shard) || (committed ?? -1n) >= acknowledged) continue;
      this.tables.faults.push(
        `${name} serves channel ${channelId} from ${committed}, acknowledged were ${acknowledged}`,
      );
    }
  }

  resetWaits(): void {
    for (const payer of this.payers) Object.assign(payer, { since: this.now, longestMs: 0 });
  }

  #pay(payer: Payer): void {
    payer.longestMs = Math.max(payer.longestMs, this.now - payer.since);
    if (payer.isWaiting) return;
    // A payer asks the holder mostly, and sometimes a node that has not held the channel for long.
    const all = [...this.nodes.values()];
    const node = this.chance.below(8) === 0 ? all[this.chance.below(all.length)] : this.holder(payer.channelId);
    payer.isWaiting = true;
    const amount = ++payer.sent;
    const answer = () => {
      payer.isWaiting = false;
      payer.since = this.now;
      if (amount > payer.acknowledged) payer.acknowledged = amount;
    };
    const result = node?.submit(payer.channelId, amount, answer) ?? 'stopped';
    // A claim whose ack does not come is sent again; so is one that was refused.
    void this.after(result === 'staged' ? 200 : RETRY_MS).then(() => {
      payer.isWaiting = false;
    });
  }
}

/** Lets all promises that hang on nothing but others be kept: they are, before the next event. */
function settled(): Promise<void> {
  return new Promise(setImmediate);
}

export class SimulatedNode {
  readonly name: string;
  readonly #world: World;
  /** Rises with each start: what belongs to an earlier one ends. */
  #run = 0;
  #clock: NodeClock;
  shards: FakeShards | undefined;
  member: ClusterMember | undefined;
  isServing = false;
  isPaused = false;
  isCutOff = false;
  /** Whether a supervisor starts it when it ends. */
  isWanted = false;
  #woken: (() => void)[] = [];
  #joined: (() => void)[] = [];

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#clock = new NodeClock(world);
  }

  start(): void {
    this.isWanted = true;
    const run = ++this.#run;
    this.#clock = new NodeClock(this.#world);
    void this.#start(run, this.#clock).catch((error: unknown) => this.#end(run, error as Error));
  }

  async #start(run: number, clock: Clock): Promise<void> {
    const database = this.#linked(run);
    const shards = new FakeShards(database, await database.enter(this.name));
    const onError = (error: unknown) => this.#end(run, error as Error);
    const heart = new Heartbeat({ database, fence: () => shards.fence, clock, onError });
    const logger = this.#logger();
    shards.onFailed = (error) => this.#end(run, error);
    shards.onServed = (served) => this.#world.expectNothingLost(this.name, shards, served);
    const member = new ClusterMember({
      database,
      watchDatabase: database,
      heart,
      shards,
      clock,
      places: () => [`udp://${this.name}:1`],
      logger,
      onFailed: (error) => this.#end(run, error),
      settings: this.#world.settings,
    });
    const { shards: map } = await database.state();
    const own = map.filter(({ node }) => node === this.name);
    const numbers = own.map(({ shard }) => shard);
    await shards.openAccounts(numbers);
    await database.readChannels(numbers, (rows) => shards.loadRows(rows));
    for (const source of new Set([this.name, ...own.map((shard) => shard.source)]))
      if (source !== undefined)
        await database.readGroups(source, ({ records }) => shards.applyGroups(records, new Set(numbers)));
    await shards.writeShards(numbers);
    await database.folded(shards.fence, numbers);
    await database.dropGroups(shards.fence, []);
    shards.serveShards(numbers);
    this.shards = shards;
    this.member = member;
    this.isServing = true;
    member.start(numbers);
    clock.every(CHECKPOINT_MS, () => void shards.checkpoint());
  }

  submit(channelId: bigint, amount: bigint, answer: () => void): 'staged' | 'moved' | 'stopped' {
    if (!this.isServing || this.isPaused) return 'stopped';
    const run = this.#run;
    return this.shards!.submit(channelId, amount, () => {
      // An acknowledgement leaves a node that runs.
      if (this.#run === run && !this.isPaused) answer();
    });
  }

  /** Charges a channel. What a node that is killed or stands still says is never heard. */
  async charge(channelId: bigint, drops: bigint, key: string | undefined): Promise<ChargeResult> {
    const run = this.#run;
    const never = new Promise<never>(() => {});
    if (!this.isServing || this.isPaused) return never;
    const answer = await this.shards!.charge(channelId, drops, key).then(
      (result) => () => result,
      (error: unknown) => (): never => {
        throw error;
      },
    );
    if (this.#run !== run || this.isPaused) return never;
    return answer();
  }

  step(): void {
    if (!this.isPaused) this.#clock.step();
  }

  kill(): void {
    this.#run++;
    this.#clock = new NodeClock(this.#world);
    this.isServing = false;
    this.isWanted = false;
    this.shards?.fail();
    this.shards = undefined;
    this.member = undefined;
    this.wake();
  }

  pause(): void {
    this.isPaused = true;
  }
  wake(): void {
    this.isPaused = false;
    for (const wake of this.#woken.splice(0)) wake();
  }

  cutOff(): void {
    this.isCutOff = true;
  }
  rejoin(): void {
    this.isCutOff = false;
    for (const join of this.#joined.splice(0)) join();
  }

  /** The node has failed, as one that was fenced does: it ends, and is started again. */
  #end(run: number, error: Error): void {
    if (this.#run !== run) return;
    this.#world.log.push(`${this.#world.now} ${this.name} ends: ${error.message}`);
    if (!/STORE_/.test((error as { code?: string }).code ?? '')) this.#world.tables.faults.push(String(error.stack));
    this.kill();
    this.isWanted = true;
    const next = this.#run;
    this.#world.at(this.#world.now + RESTART_MS, () => {
      if (this.#run === next && this.isWanted) this.start();
    });
  }

  /** The database as this run of the node reaches it: late, not at all, and with answers that come when the node runs. */
  #linked(run: number): ClaimDatabase {
    const database = new MemoryDatabase(this.#world.tables);
    const never = new Promise<never>(() => {});
    const way = async () => {
      const { chance, latencyMs } = this.#world;
      await this.#world.after(chance.below(latencyMs + 1));
      if (this.isCutOff) await new Promise<void>((resolve) => this.#joined.push(resolve));
    };
    const link =
      (call: (...args: unknown[]) => Promise<unknown>) =>
      async (...args: unknown[]): Promise<unknown> => {
        // A killed node asks nothing; what is on its way may arrive.
        if (this.#run !== run) return never;
        await way();
        const answer = await call(...args).then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        );
        await way();
        if (this.isPaused) await new Promise<void>((resolve) => this.#woken.push(resolve));
        if (this.#run !== run) return never;
        if ('error' in answer) throw answer.error;
        return answer.value;
      };
    return new Proxy(database, {
      get: (target, name) => link((Reflect.get(target, name) as () => Promise<unknown>).bind(target)),
    }) as unknown as ClaimDatabase;
  }

  #logger(): Logger {
    const line = (message: string) => void this.#world.log.push(`${this.#world.now} ${this.name} ${message}`);
    return { info: line, warn: line, error: line };
  }

  get route(): ClusterState | undefined {
    return this.shards?.route;
  }
}

/** A node's clock: its timers stand still with it, and those that were missed fire once. */
class NodeClock implements Clock {
  readonly #world: World;
  readonly #timers = new Set<{ periodMs: number; at: number; call: () => void }>();

  constructor(world: World) {
    this.#world = world;
  }
  wall(): number {
    return this.#world.now;
  }
  monotonic(): number {
    return this.#world.now;
  }
  every(periodMs: number, call: () => void): () => void {
    const timer = { periodMs, at: this.#world.now + periodMs, call };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
  step(): void {
    for (const timer of this.#timers) {
      if (timer.at > this.#world.now) continue;
      timer.at = this.#world.now + timer.periodMs;
      timer.call();
    }
  }
}
