/**
 * A claimwire node: data folder in, running threads out, and the operator's controls over them. Main thread.
 *
 * Start = check, lock, load, replay, checkpoint, threads. Stop = take in nothing more, drain, sync, checkpoint, unlock.
 */
import { availableParallelism } from 'node:os';
import type { Registry } from './channel/registry.ts';
import type { Channel } from './channel/row.ts';
import { ChannelStore } from './channel/store.ts';
import { ChannelTable } from './channel/table.ts';
import { type NodeConfig, type NodeOptions, resolveConfig, ringSlots, tableCapacity } from './config.ts';
import type { ChannelChange, ChannelOpening, NodeControl, NodeStats, OpeningResult } from './control.ts';
import { ClaimwireError } from './errors.ts';
import { SegmentKeeper } from './journal/keeper.ts';
import { log } from './log.ts';
import { closeRegistry, type JournalEnd, laneFolder, loadChannels, openRegistry, replayJournal } from './recovery.ts';
import { Arena } from './ring/arena.ts';
import { readCounters } from './ring/counters.ts';
import { defaultIdleStrategy } from './ring/idle.ts';
import { kernelThreads, rolesOf, Topology } from './threads/topology.ts';
import type { BackendName } from './verify/backend.ts';
import type { Kernel, KernelStart } from './verify/kernel.ts';
import { backendBytes, createKernel, resolveBackend } from './verify/select.ts';

/** Claims still unverified when a stop has taken this long are left to be sent again. */
const DRAIN_MS_MAX = 5_000;
/** How often the main thread looks whether a journal segment or a checkpoint is due. */
const HOUSEKEEPING_MS = 250;
/** A checkpoint is due at the latest when the journal has grown by this many segments. */
const CHECKPOINT_SEGMENTS = 4;

/** What a node did, for its last line. */
export interface NodeTotals {
  uptimeSeconds: number;
  channels: number;
  counters: NodeStats['counters'];
}

export class ClaimwireNode implements NodeControl {
  readonly config: NodeConfig;
  readonly backend: BackendName;
  readonly #registry: Registry;
  readonly #kernelStart: Omit<KernelStart, 'thread'>;
  readonly #arena: Arena;
  /** The main thread's instance, for its counters. */
  readonly #kernel: Kernel | undefined;
  readonly #table: ChannelTable;
  readonly #store: ChannelStore;
  readonly #keeper: SegmentKeeper;
  #topology: Topology | undefined;
  #housekeeping: NodeJS.Timeout | undefined;
  #isHousekeeping = false;
  #checkpointedAt = Date.now();
  #checkpointSegment = 0;
  #preparedSegment = 0;
  #stopping: Promise<NodeTotals> | undefined;
  readonly #startedAt = Date.now();
  /** Rejects when the node cannot go on; never resolves. Whoever runs the node waits on it and exits with 1. */
  readonly failed: Promise<never>;
  #fail!: (error: Error) => void;

  /**
   * Starts a node. Throws ClaimwireError: CONFIG_INVALID, DATA_LOCKED, REGISTRY_CORRUPT, JOURNAL_CORRUPT,
   * BACKEND_UNAVAILABLE; nothing on disk is changed then but the lock.
   */
  static async start(options: NodeOptions = {}): Promise<ClaimwireNode> {
    const config = resolveConfig(options);
    const backend = resolveBackend(config.backend, config.keyCacheBytes, (name, reason) =>
      log('warn', `backend ${name} passed over: ${reason}`),
    );
    const registry = openRegistry(config.data);
    try {
      const node = new ClaimwireNode(config, backend, registry);
      await node.#start();
      return node;
    } catch (error) {
      await closeRegistry(registry);
      throw error;
    }
  }

  private constructor(config: NodeConfig, backend: BackendName, registry: Registry) {
    this.config = config;
    this.backend = backend;
    this.#registry = registry;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
    this.#kernelStart = {
      cacheBytes: config.keyCacheBytes,
      threads: kernelThreads(config.layout, config.verifiers),
    };
    this.#arena = Arena.create({
      kernelBytes: backendBytes(backend, this.#kernelStart),
      rings: 1,
      ringSlots: ringSlots(config, backend),
      // Every claim in the ring may be answered before the net thread takes one ack.
      ackSlots: ringSlots(config, backend) * 2,
      threads: rolesOf(config.layout, config.verifiers).length,
      channelsMax: tableCapacity(config, registry.count),
    });
    this.#kernel = createKernel(backend, this.#arena, { ...this.#kernelStart, thread: 0 });
    this.#table = new ChannelTable(this.#arena);
    this.#store = new ChannelStore(this.#table, registry, () => this.#topology?.fence() ?? Promise.resolve());
    this.#keeper = new SegmentKeeper({
      directory: laneFolder(config.data),
      segmentBytes: config.segmentBytes,
      journalId: this.#journalId(),
    });
  }

  get ready(): boolean {
    return this.#topology !== undefined && this.#topology.failure === undefined && this.#stopping === undefined;
  }
  /** Where claims are taken, `H:P`. */
  get udp(): string {
    return this.#topology?.udp ?? '';
  }
  /** The instruction set the kernel runs on, or null where the backend has none. */
  get kernelName(): string | null {
    return this.#kernel?.kernelName ?? null;
  }
  get verifiers(): number {
    return this.config.layout === 'lanes' ? 1 : this.config.verifiers;
  }
  get channelCount(): number {
    return this.#store.count;
  }

  async openChannels(openings: readonly ChannelOpening[]): Promise<OpeningResult> {
    this.#expectRunning();
    return this.#store.open(openings);
  }
  async openRows(rows: Uint8Array): Promise<OpeningResult> {
    this.#expectRunning();
    return this.#store.openRows(rows);
  }
  channel(channelId: bigint): Channel | undefined {
    return this.#store.get(channelId);
  }
  channels(from: number, limit: number): Channel[] {
    return this.#store.list(from, limit);
  }
  async updateChannel(channelId: bigint, change: ChannelChange): Promise<Channel> {
    this.#expectRunning();
    return this.#store.update(channelId, change);
  }
  async closeChannel(channelId: bigint): Promise<Channel> {
    this.#expectRunning();
    return this.#store.close(channelId);
  }

  stats(): NodeStats {
    const rings = this.#topology?.rings ?? [];
    return {
      backend: this.backend,
      kernel: this.kernelName,
      layout: this.config.layout,
      verifiers: this.verifiers,
      uptimeSeconds: this.#uptimeSeconds(),
      channels: this.channelCount,
      ring: {
        depth: rings.reduce((sum, ring) => sum + ring.depth, 0),
        slots: rings.reduce((sum, ring) => sum + ring.size, 0),
      },
      counters: readCounters(this.#arena),
      keyTables: this.#kernel?.stats() ?? null,
    };
  }

  /** Drains, syncs, checkpoints and lets go of the data folder. Safe to call more than once. */
  stop(): Promise<NodeTotals> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(): Promise<void> {
    const { config } = this;
    loadChannels(this.#registry, this.#store);
    const end = replayJournal(config.data, this.#registry, this.#table, { cut: config.cutJournal });
    // From here on the registry alone says it all, and the journal begins anew behind what was replayed.
    await this.#store.checkpoint();
    this.#registry.setMeta({ replayFrom: [end.segment] });
    await this.#keeper.removeBelow(end.segment);
    this.#checkpointSegment = end.segment;
    await this.#startThreads(end);
    this.#housekeeping = setInterval(() => void this.#housekeep(), HOUSEKEEPING_MS);
  }

  async #startThreads(end: JournalEnd): Promise<void> {
    const { config } = this;
    const threads = rolesOf(config.layout, config.verifiers).length;
    const idle = defaultIdleStrategy(availableParallelism(), threads);
    this.#topology = await Topology.start(this.#arena, {
      layout: config.layout,
      verifiers: config.verifiers,
      backend: this.backend,
      kernel: this.#kernelStart,
      idle: config.spins < 0 ? idle : { ...idle, spins: config.spins },
      udp: config.udp,
      journal: {
        directory: laneFolder(config.data),
        segmentBytes: config.segmentBytes,
        journalId: this.#journalId(),
        segment: end.segment,
        group: end.group,
      },
      drainMsMax: DRAIN_MS_MAX,
      onFailure: (error) => this.#fail(error),
    });
    const { receiveBufferBytes } = this.#topology;
    log(
      'info',
      `layout ${config.layout}, backend ${this.backend}${this.kernelName === null ? '' : ` (${this.kernelName})`}, verifiers ${this.verifiers}, ring ${ringSlots(config, this.backend)} slots, ` +
        `channels ${this.channelCount} of ${tableCapacity(config, this.channelCount)}, receive buffer ${receiveBufferBytes} bytes, sync before ack`,
    );
  }

  async #stop(): Promise<NodeTotals> {
    clearInterval(this.#housekeeping);
    while (this.#isHousekeeping) await new Promise((resolve) => setTimeout(resolve, 5));
    await this.#topology?.stop();
    try {
      // After a failure the journal stays the last word: the next start replays it.
      if (this.#topology?.failure !== undefined) return this.#totals();
      const segment = this.#topology?.rings[0]?.journalSegment ?? this.#checkpointSegment;
      await this.#store.checkpoint();
      this.#registry.setMeta({ replayFrom: [segment + 1] });
      await this.#keeper.removeBelow(segment + 1);
      return this.#totals();
    } finally {
      await closeRegistry(this.#registry);
    }
  }

  /** Prepares the next journal segment; checkpoints when one is due, so that old segments can go. */
  async #housekeep(): Promise<void> {
    const ring = this.#topology?.rings[0];
    if (this.#isHousekeeping || ring === undefined) return;
    this.#isHousekeeping = true;
    try {
      const segment = ring.journalSegment;
      if (this.#preparedSegment <= segment) {
        await this.#keeper.prepare(segment + 1);
        this.#preparedSegment = segment + 1;
      }
      const isDue = Date.now() - this.#checkpointedAt >= this.config.checkpointSeconds * 1_000;
      if (isDue || segment - this.#checkpointSegment >= CHECKPOINT_SEGMENTS) await this.#checkpoint(segment);
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      this.#isHousekeeping = false;
    }
  }

  /** @param segment the segment being written before any row is read: what older ones hold is in the table by then */
  async #checkpoint(segment: number): Promise<void> {
    await this.#store.checkpoint();
    if (segment > this.#checkpointSegment) {
      this.#registry.setMeta({ replayFrom: [segment] });
      await this.#keeper.removeBelow(segment);
      this.#checkpointSegment = segment;
    }
    this.#checkpointedAt = Date.now();
  }

  #totals(): NodeTotals {
    return {
      uptimeSeconds: this.#uptimeSeconds(),
      channels: this.channelCount,
      counters: readCounters(this.#arena),
    };
  }

  #uptimeSeconds(): number {
    return Math.round((Date.now() - this.#startedAt) / 100) / 10;
  }

  #journalId(): Uint8Array {
    return new Uint8Array(Buffer.from(this.#registry.meta.journalId, 'hex'));
  }

  #expectRunning(): void {
    if (!this.ready)
      throw new ClaimwireError('NODE_STOPPING', 'expected a running node, got one that is starting or stopping');
  }
}
