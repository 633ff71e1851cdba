/**
 * One life of a node of a cluster: the parts of src/node put together in the same order, over a store that other nodes share (the
 * database's twin, src/store/memory-database.ts). What it wrote may take effect though it has ended.
 */
import { ChannelTable } from '../../src/channel/table.ts';
import type { ClusterMember } from '../../src/cluster/membership.ts';
import { RouteBoard } from '../../src/control/route-control.ts';
import { Meter } from '../../src/meter/meter.ts';
import { openCluster } from '../../src/node/cluster.ts';
import { ChannelStore } from '../../src/registry/channel-store.ts';
import { RaisedAmounts } from '../../src/registry/raised.ts';
import type { Arena } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { ControlWords, PHASE_STOPPING } from '../../src/ring/control-words.ts';
import { HeldShards } from '../../src/ring/held-shards.ts';
import type { ClaimDatabase } from '../../src/store/claim-database.ts';
import { DatabaseStore } from '../../src/store/database-store.ts';
import type { ClaimLogs } from '../../src/store/store.ts';
import type { System } from '../../src/system/system.ts';
import { CommittedFeed } from '../../src/threads/committed-feed.ts';
import { awaitFence } from '../../src/threads/fence.ts';
import { Housekeeping } from '../../src/threads/housekeeping.ts';
import { rolesOf } from '../../src/threads/topology.ts';
import type { Packet } from '../../src/transport/transport.ts';
import type { DatabaseLink } from './database-link.ts';
import { SimulatedFiles } from './files.ts';
import { forgetSleepers } from './globals.ts';
import { contextOf, loggerOf, systemOf } from './life.ts';
import { newOwner, type Owner } from './scheduler.ts';
import { newArena } from './sizes.ts';
import { SimulatedThread } from './threads.ts';
import type { World } from './world.ts';

const ADDRESS = { url: 'postgres://simulated/name', passwordFile: undefined, mayBeUnreplicated: false, waitMs: 0 };
const DRAIN_MS_MAX = 5_000;

export interface ClusterWatchers {
  /** The node begins to serve these shards. */
  serves(node: ClusterNode, shards: ReadonlySet<number>): void;
  acked(node: ClusterNode, packet: Packet, words: Uint32Array, at: number): void;
  ended(node: ClusterNode): void;
}

export class ClusterNode {
  readonly name: string;
  readonly main: Owner;
  readonly arena: Arena;
  readonly table: ChannelTable;
  readonly control: ControlWords;
  readonly rings: readonly ClaimRing[];
  readonly threads: SimulatedThread[] = [];
  readonly route: RouteBoard;
  store!: ChannelStore;
  member: ClusterMember | undefined;
  isDead = false;
  isReady = false;
  readonly #world: World;
  readonly #link: DatabaseLink;
  readonly #watchers: ClusterWatchers;
  readonly #system: System;
  readonly #lanes: number;
  #served = new Set<number>();
  #opened: DatabaseStore | undefined;
  #logs: ClaimLogs | undefined;
  #feed: CommittedFeed | undefined;
  #meter: Meter | undefined;
  #housekeeping: Housekeeping | undefined;
  #hasDrained = false;
  #running = 0;
  #onDrained: () => void = () => {};

  constructor(world: World, number: number, link: DatabaseLink, watchers: ClusterWatchers) {
    const { plan, chance, scheduler } = world;
    this.name = nameOf(number);
    this.#world = world;
    this.#link = link;
    this.#watchers = watchers;
    this.main = { ...newOwner(this.name), onError: (error) => this.fail(error) };
    const quiet = { before() {}, room: (_path: string, bytes: number) => bytes, duration: () => 0, hangs: () => 0 };
    this.#system = systemOf(world, new SimulatedFiles(world.disk, quiet, scheduler));
    this.#lanes = chance.between(1, plan.lanesMax);
    this.arena = newArena(plan, this.#lanes, rolesOf({ ...plan, lanes: this.#lanes }).length, number);
    this.control = new ControlWords(this.arena);
    this.table = new ChannelTable(this.arena);
    this.rings = Array.from({ length: this.#lanes }, (_, ring) => new ClaimRing(this.arena, ring));
    this.route = new RouteBoard(new HeldShards(this.arena));
    scheduler.after(0, () => void this.#start().catch((error) => this.fail(error)), this.main);
  }

  async #start(): Promise<void> {
    const { plan } = this.#world;
    const logger = loggerOf(this.#world);
    const open = async () => this.#link.open(() => this.isDead);
    const folder = { lock: { release() {} }, name: this.name };
    const onFailure = (error: Error) => this.fail(error);
    const options = { data: '/', address: ADDRESS, nodeName: this.name, isAlone: false, system: this.#system };
    const opened = await DatabaseStore.open({ ...options, logger, onFailure, open, openFolder: async () => folder });
    this.#opened = opened;
    const passFence = () => awaitFence(this.control, this.rings, () => this.isDead || this.#hasDrained);
    const raised = new RaisedAmounts(opened.sides);
    const feed = new CommittedFeed(this.arena, this.table);
    const meter = new Meter(feed, opened.sides, raised, (line) => logger.warn(line));
    const channels = new ChannelStore(this.table, opened.rows, passFence, (channel, committed, to) =>
      raised.record(channel, { committed, spent: meter.spentOf(channel.ledgerChannelId), to }),
    );
    [this.store, this.#feed, this.#meter] = [channels, feed, meter];
    const route = {
      hold: (shards: Iterable<number>, version: number) => this.#holds(new Set(shards), version),
      confirm: (at: number, forMs: number) => this.route.confirm(at, forMs),
      show: (map: Parameters<RouteBoard['show']>[0]) => this.route.show(map),
    };
    const { clock } = this.#system;
    const parts = { channels, table: this.table, meter, raised, passFence, route, clock, logger, onFailed: onFailure };
    const { member } = openCluster(opened.shared!, { ...parts, places: () => [placeOf(this.name)] });
    this.member = member;
    const logs = await opened.recover(channels, this.table, this.#lanes);
    this.#logs = logs;
    await channels.checkpoint();
    await logs.begin();
    channels.freeRemoved();
    this.#watchers.serves(this, this.#served);
    const roles = rolesOf({ ...plan, lanes: this.#lanes });
    for (const thread of roles.keys()) await this.#spawn(thread, logs, open);
    const topology = { rings: this.rings, control: this.control, journalSegments: [0] };
    Object.defineProperty(topology, 'journalSegments', { get: () => this.#segments });
    const { checkpointSeconds } = plan;
    this.#housekeeping = new Housekeeping({
      store: channels,
      logs,
      topology,
      checkpointSeconds,
      clock,
      logger,
      onFailure,
    });
    this.isReady = true;
    member.start(opened.shared!.held);
  }

  get #segments(): number[] {
    return this.rings.map(({ journalSegment }) => journalSegment);
  }

  #holds(shards: ReadonlySet<number>, version: number): void {
    const added = new Set([...shards].filter((shard) => !this.#served.has(shard)));
    this.#served = new Set(shards);
    if (this.isReady && added.size > 0) this.#watchers.serves(this, added);
    this.route.hold(shards, version);
  }

  #spawn(thread: number, logs: ClaimLogs, openDatabase: () => Promise<ClaimDatabase>): Promise<void> {
    const { plan } = this.#world;
    const role = rolesOf({ ...plan, lanes: this.#lanes })[thread]!;
    const { database } = logs.starts[role === 'lane' ? thread : 0]!;
    const context = { ...contextOf({ ...plan, durability: 'sync' }, this.arena, role, thread, undefined), database };
    return new Promise<void>((resolve) => {
      this.#running++;
      const ends = {
        onReady: resolve,
        onEnd: () => {
          if (--this.#running === 0) this.#onDrained();
        },
        onError: (error: Error) => this.fail(error),
        onSend: (packet: Packet, words: Uint32Array, at: number) => {
          if (!this.isDead) this.#watchers.acked(this, packet, words, at);
        },
      };
      this.threads.push(new SimulatedThread(context, { ...this.#system, openDatabase }, this.#world, ends));
    });
  }

  receive(thread: number, bytes: Uint8Array, source: Uint32Array, onDelivered: () => void): void {
    const sockets = this.threads.filter(({ socket }) => socket.isReceiving);
    if (this.isDead || sockets.length === 0) return;
    const { socket, owner } = sockets[thread % sockets.length]!;
    const deliver = () => {
      if (!socket.isReceiving) return;
      onDelivered();
      socket.deliver(bytes, source);
    };
    this.#world.scheduler.after(0, deliver, owner);
  }

  /** No thread of it gets any further until then. */
  standStill(until: number): void {
    for (const owner of [this.main, ...this.threads.map((thread) => thread.owner)])
      owner.busyUntil = Math.max(owner.busyUntil, until);
  }

  /** It was taken over, or the store refuses it: it ends, as a process that exits with 1 does. */
  fail(error: Error): void {
    if (this.isDead) return;
    const code = String((error as { code?: string }).code);
    this.#world.trace.note(() => `${this.name} fails: ${error.message}`);
    if (!code.startsWith('STORE_')) this.#world.violated('nothing fails by itself', error.stack ?? error.message);
    this.kill();
  }

  /** As ClaimwireNode.stop: shards first, then what is on its way. */
  stop(): void {
    if (!this.isReady) return;
    this.isReady = false;
    this.#world.scheduler.after(0, () => void this.#stop().catch((error) => this.fail(error)), this.main);
  }

  async #stop(): Promise<void> {
    const { scheduler } = this.#world;
    this.member!.leave();
    for (const until = scheduler.now + DRAIN_MS_MAX; !this.member!.hasLeft && scheduler.now < until; )
      await new Promise((resolve) => setTimeout(resolve, 20));
    await this.member!.stop();
    await this.#housekeeping!.stop();
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
    this.control.advanceTo(PHASE_STOPPING);
    for (const ring of this.rings) ring.ringAll();
    const deadline = setTimeout(() => {
      this.control.abandon();
      for (const ring of this.rings) ring.ringAll();
    }, DRAIN_MS_MAX);
    await drained;
    clearTimeout(deadline);
    this.#hasDrained = true;
    await this.#feed!.stop();
    await this.#meter!.stop();
    const segments = this.#segments;
    await this.store.checkpoint();
    await this.#logs!.end(segments);
    await this.#opened!.close();
    this.kill();
  }

  kill(): void {
    if (this.isDead) return;
    this.isDead = true;
    this.isReady = false;
    this.main.isDead = true;
    for (const { owner } of this.threads) owner.isDead = true;
    forgetSleepers(this.arena.memory.buffer);
    this.#watchers.ended(this);
  }
}

export function nameOf(number: number): string {
  return `node-${number}`;
}
export function placeOf(name: string): string {
  return `udp://${name}:1`;
}
