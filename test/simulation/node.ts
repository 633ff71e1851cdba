/**
 * One life of a node, from its start to its end: the parts of src/node.ts put together in the same order, over the world's disk,
 * clock and network. The disk, the registry and the side tables outlive it.
 */
import { ChannelTable } from '../../src/channel/table.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { loadChannels } from '../../src/folder/data-folder.ts';
import { Journals } from '../../src/journal/lane-journals.ts';
import { LeafProofs } from '../../src/journal/leaf-proofs.ts';
import type { Logger } from '../../src/log.ts';
import { Meter } from '../../src/meter/meter.ts';
import { ChannelStore } from '../../src/registry/channel-store.ts';
import { RaisedAmounts } from '../../src/registry/raised.ts';
import type { Arena } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { ControlWords, PHASE_STOPPING } from '../../src/ring/control-words.ts';
import { SettingWords } from '../../src/ring/setting-words.ts';
import type { System } from '../../src/system/system.ts';
import { CommittedFeed } from '../../src/threads/committed-feed.ts';
import type { ThreadRole } from '../../src/threads/context.ts';
import { awaitFence } from '../../src/threads/fence.ts';
import type { Housekeeping } from '../../src/threads/housekeeping.ts';
import { rolesOf } from '../../src/threads/topology.ts';
import { ProcessDisk, ProcessEnded } from './disk-faults.ts';
import { SimulatedFiles } from './files.ts';
import { forgetSleepers } from './globals.ts';
import {
  contextOf,
  DATA,
  type Ending,
  expectStall,
  houseOf,
  loggerOf,
  type Stores,
  setSettings,
  sidesOf,
  systemOf,
  type Watchers,
} from './life.ts';
import type { NodeRedeemer } from './redemptions.ts';
import { newOwner, type Owner } from './scheduler.ts';
import { newArena, segmentBytesOf } from './sizes.ts';
import { SimulatedThread } from './threads.ts';
import type { World } from './world.ts';

/** What a node may fail with once its disk has. */
const DISK_FAILURES = ['JOURNAL_FAILED', 'REGISTRY_FAILED', 'REGISTRY_FULL', 'NODE_FAILED'];

const DRAIN_MS_MAX = 5_000;

export class SimulatedNode {
  readonly main: Owner;
  readonly lanes: number;
  readonly arena: Arena;
  readonly table: ChannelTable;
  readonly store: ChannelStore;
  readonly meter: Meter;
  readonly control: ControlWords;
  readonly rings: readonly ClaimRing[];
  readonly threads: SimulatedThread[] = [];
  readonly disk: ProcessDisk;
  readonly redeemer: NodeRedeemer | undefined;
  /** This life's handles, for the next one. */
  readonly stores: Stores;
  isDead = false;
  /** Whether it takes claims, changes and charges, and whether it ever did. */
  isReady = false;
  hasStarted = false;
  isStopping = false;
  delivered = 0;
  sentAcks = 0;
  readonly #world: World;
  readonly #watchers: Watchers;
  readonly #feed: CommittedFeed;
  readonly #system: System;
  readonly #leaves: LeafProofs;
  readonly #log: Logger;
  #journals: Journals | undefined;
  #housekeeping: Housekeeping | undefined;
  #isFailing = false;
  #running = 0;
  #hasDrained = false;
  #onDrained: () => void = () => {};

  constructor(world: World, before: Stores, watchers: Watchers) {
    const { plan, chance, scheduler } = world;
    this.#world = world;
    this.#watchers = watchers;
    this.#log = loggerOf(world);
    this.main = { ...newOwner('main'), onError: (error) => this.fail(error) };
    this.disk = new ProcessDisk(world, this);
    this.stores = { registry: before.registry.kill(this.disk.commits), sides: before.sides.kill(this.disk.commits) };
    this.#system = systemOf(world, new SimulatedFiles(world.disk, this.disk, scheduler));
    this.lanes = chance.between(1, plan.lanesMax);
    this.arena = newArena(plan, this.lanes, rolesOf({ ...plan, lanes: this.lanes }).length);
    this.control = new ControlWords(this.arena);
    this.table = new ChannelTable(this.arena);
    this.rings = Array.from({ length: this.lanes }, (_, ring) => new ClaimRing(this.arena, ring));
    const sides = sidesOf(this.stores, (commit) => this.#endIfLost(commit));
    const fence = async () => {
      await awaitFence(this.control, this.rings, () => this.#isFailing || this.#hasDrained);
      if (this.#isFailing) throw new ClaimwireError('NODE_FAILED', 'a thread has ended');
    };
    this.store = new ChannelStore(this.table, this.stores.registry, fence, (channel, committed, to) =>
      raised.record(channel, { committed, spent: this.meter.spentOf(channel.ledgerChannelId), to }),
    );
    const { files } = this.#system;
    const { exposureMax } = plan;
    this.#leaves = new LeafProofs({ table: this.table, sides, files, data: DATA, exposureMax });
    this.store.leaves = this.#leaves;
    this.#feed = new CommittedFeed(this.arena, this.table);
    const raised = new RaisedAmounts(sides);
    this.meter = new Meter(this.#feed, sides, raised, (line) => this.#log.warn(line));
    const { clock } = this.#system;
    this.redeemer = world.redemptions?.open({ node: this, tables: sides, clock, logger: this.#log });
    setSettings(world, new SettingWords(this.arena));
    scheduler.after(0, () => void this.#start().catch((error) => this.#refused(error)), this.main);
  }

  get isStalled(): boolean {
    return this.#housekeeping?.isStalled ?? false;
  }

  /** As ClaimwireNode.start: recover, checkpoint, begin the journals anew, then threads. */
  async #start(): Promise<void> {
    const { plan } = this.#world;
    const { registry } = this.stores;
    const leaves = this.#leaves;
    if (plan.roots) leaves.makeRows();
    loadChannels(registry, this.store);
    leaves.load();
    const segmentBytes = segmentBytesOf(plan);
    const frames = { hasFrames: plan.roots, onLeaf: leaves.replay.bind(leaves) };
    const logger = this.#log;
    const options = { data: DATA, lanes: this.lanes, segmentBytes, blockBytes: plan.blockBytes, logger, ...frames };
    const journals = Journals.replay({ ...options, cut: this.#world.hasForgotten }, registry, this.table, this.#system);
    leaves.rows?.recount();
    this.#journals = journals;
    this.#watchers.recovered(this);
    await this.store.checkpoint();
    await journals.begin();
    this.store.freeRemoved();
    for (const [thread, role] of rolesOf({ ...plan, lanes: this.lanes }).entries())
      await this.#spawn(role, thread, journals);
    this.#housekeeping = houseOf(this.#world, this, journals, this.#system, this.#log);
    if (this.#isFailing) throw new ClaimwireError('NODE_FAILED', 'a thread has ended');
    this.isReady = true;
    this.hasStarted = true;
    this.#watchers.ready(this);
    this.#world.scheduler.after(0, () => this.redeemer?.start(), this.main);
  }

  #spawn(role: ThreadRole, thread: number, journals: Journals): Promise<void> {
    const { plan } = this.#world;
    const { rows } = this.#leaves;
    const rooted = rows && { memory: rows.memory, exposureMax: rows.exposureMax };
    const context = contextOf(plan, this.arena, role, thread, journals.starts[role === 'lane' ? thread : 0]!, rooted);
    return new Promise<void>((resolve) => {
      this.#running++;
      this.threads.push(
        new SimulatedThread(context, this.#system, this.#world, {
          onReady: resolve,
          onEnd: () => {
            if (--this.#running === 0) this.#onDrained();
          },
          onError: (error) => this.fail(error),
          onSend: (packet, words, at) => {
            if (!this.isDead) this.#watchers.acked(this, packet, words, at);
          },
        }),
      );
    });
  }

  /** A datagram arrives at the thread with this number, or is lost where nobody listens. */
  receive(thread: number, bytes: Uint8Array, source: Uint32Array, onDelivered: () => void): void {
    const sockets = this.threads.filter(({ socket }) => socket.isReceiving);
    if (this.isDead || sockets.length === 0) return;
    const { socket, owner } = sockets[thread % sockets.length]!;
    const deliver = () => {
      if (!socket.isReceiving) return;
      this.delivered++;
      onDelivered();
      socket.deliver(bytes, source);
    };
    this.#world.scheduler.after(0, deliver, owner);
  }

  /** Runs an operator's or service's call on the main thread. */
  call<Result>(work: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const run = () => {
        if (this.isReady) this.#endIfLost(work()).then(resolve, reject);
        else reject(new ClaimwireError('NODE_STOPPING', 'expected a running node, got one that is not'));
      };
      this.#world.scheduler.after(0, run, this.main);
    });
  }

  /** A failed registry ends the node, as it does in src/node.ts. */
  async #endIfLost<Result>(change: Promise<Result>): Promise<Result> {
    try {
      return await change;
    } catch (error) {
      if (error instanceof ClaimwireError && error.code === 'REGISTRY_FAILED') this.fail(error);
      throw error;
    }
  }

  /** A thread, the housekeeping or the registry has failed: the other threads are ended, and the process follows. */
  fail(error: Error): void {
    if (this.isDead || error instanceof ProcessEnded || this.#isFailing) return;
    const world = this.#world;
    const isOfDisk = DISK_FAILURES.includes(String((error as { code?: string }).code));
    if (!(error instanceof ThreadKilled) && !(isOfDisk && this.disk.errors > 0)) {
      world.violated('nothing fails by itself', error.stack ?? error.message);
      return;
    }
    world.trace.note(() => `node fails: ${error.message}`);
    this.#isFailing = true;
    this.isReady = false;
    // The others run on for a moment.
    for (const thread of this.threads) {
      const end = () => {
        thread.owner.isDead = true;
      };
      world.scheduler.after(world.chance.spread(0, 1), end, world.scheduler.world);
    }
    this.control.mainDoorbell.ring();
    void this.#housekeeping?.stop();
    world.scheduler.after(world.chance.spread(2, 5), () => this.#end('failure'), world.scheduler.world);
  }

  /** A start that throws. */
  #refused(error: Error): void {
    if (this.isDead || error instanceof ProcessEnded) return;
    const isOfDisk = this.disk.errors > 0 || error instanceof ThreadKilled || this.#isFailing;
    const isCorrupt = 'code' in error && error.code === 'JOURNAL_CORRUPT';
    if (isCorrupt) this.#world.violated('a replay after mere crashes is never corrupt', error.message);
    else if (!isOfDisk) this.#world.violated('a start after mere crashes succeeds', error.stack ?? error.message);
    this.#world.trace.note(() => `start refused: ${error.message}`);
    this.#end('refused');
  }

  /** One of its threads ends between two steps. */
  killThread(): void {
    const alive = this.threads.filter(({ owner }) => !owner.isDead);
    if (this.isDead || this.#isFailing || alive.length === 0) return;
    const thread = this.#world.chance.of(alive);
    thread.owner.isDead = true;
    this.#world.happened('thread.death', () => thread.owner.name);
    this.fail(new ThreadKilled(`${thread.owner.name} has died`));
  }

  hangs(forMs: number): void {
    expectStall(this.#world, this, forMs);
  }

  /** In the middle of whatever it does. */
  crash(): void {
    this.#end('crash');
  }

  /** As ClaimwireNode.stop. */
  stop(): void {
    if (!this.isReady) return;
    this.isReady = false;
    this.isStopping = true;
    this.#world.scheduler.after(0, () => void this.#stop().catch((error) => this.fail(error)), this.main);
  }

  async #stop(): Promise<void> {
    await this.redeemer?.stop();
    await this.#housekeeping?.stop();
    if (this.#isFailing) return;
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
    this.control.advanceTo(PHASE_STOPPING);
    for (const ring of this.rings) ring.ringAll();
    const deadline = setTimeout(() => this.#abandon(), DRAIN_MS_MAX);
    await drained;
    clearTimeout(deadline);
    this.#hasDrained = true;
    this.control.mainDoorbell.ring();
    if (!this.control.isAbandoned) this.#watchers.drained(this);
    await this.#feed.stop();
    await this.meter.stop();
    const segments = this.rings.map((ring) => ring.journalSegment);
    await this.store.checkpoint();
    await this.#journals!.end(segments);
    this.#end('stop');
  }

  #abandon(): void {
    this.control.abandon();
    for (const ring of this.rings) ring.ringAll();
    if (this.#world.scheduler.now > this.#world.pausedUntil + DRAIN_MS_MAX)
      this.#world.violated('a stop drains its claims in time', `${this.rings.map(({ depth }) => depth)} are left`);
  }

  #end(how: Ending): void {
    if (this.isDead) return;
    this.isDead = true;
    this.isReady = false;
    this.main.isDead = true;
    for (const { owner } of this.threads) owner.isDead = true;
    forgetSleepers(this.arena.memory.buffer);
    void this.redeemer?.link.close();
    this.#watchers.ended(this, how);
  }
}

class ThreadKilled extends Error {}
