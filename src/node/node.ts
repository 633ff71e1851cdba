/**
 * A claimwire node: it runs threads over a data folder, and has the operator's controls. Main thread.
 *
 * Start: check the settings, lock the folder, open the store, recover, checkpoint, start threads. Stop: receive nothing more,
 * drain, sync, checkpoint, close the store, unlock.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { CLAIM_CHANNEL_ID, statusName } from '../../protocol/layout.ts';
import type { LeafProof } from '../../protocol/merkle.ts';
import type { Receipt } from '../../protocol/receipt.ts';
import type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from '../channel/changes.ts';
import { KeyCheck, type OpeningText, openingOf } from '../channel/parse.ts';
import { type Channel, ROW, ROW_BYTES } from '../channel/row.ts';
import { ChannelTable, highHalf, lowHalf } from '../channel/table.ts';
import type { ClusterMember } from '../cluster/membership.ts';
import {
  backendChoice,
  keyCacheBytes,
  type NodeConfig,
  type NodeOptions,
  resolveConfig,
  ringSlots,
  tableCapacity,
} from '../config.ts';
import type { ClusterControl } from '../control/cluster-control.ts';
import { type ExposureControl, type ExposureTotals, ExposureWalk, type LedgerStates } from '../control/exposure.ts';
import type { InspectControl, NodeProfile, TraceOptions, TraceSummary } from '../control/inspect-control.ts';
import type { LedgeredNode } from '../control/ledger-control.ts';
import type { LaneMeasures, MeasureControl } from '../control/measure-control.ts';
import type { ChargeResult, CommittedBatch, MeterControl, SubmitResult } from '../control/meter-control.ts';
import type { NodeStats } from '../control/node-control.ts';
import { noReceipts, type ReceiptControl } from '../control/receipt-control.ts';
import { RouteBoard, type RouteControl } from '../control/route-control.ts';
import type { ShardFollower } from '../control/shard-control.ts';
import { loadAdminToken } from '../control/token.ts';
import type { TuneControl } from '../control/tune-control.ts';
import { ClaimwireError } from '../errors.ts';
import { hostPortText } from '../host-port.ts';
import { profileThreads } from '../inspect/profiler.ts';
import { type Logger, stderrLogger } from '../log.ts';
import { type CommittedAmount, Meter } from '../meter/meter.ts';
import { addonFault, loadAddon } from '../native/addon.ts';
import { askHugePages } from '../native/huge-pages.ts';
import { nativePathFault } from '../path/native-path.ts';
import { openReceiptKey, type ReceiptSigner } from '../receipts/receipt-key.ts';
import { Receipts } from '../receipts/receipts.ts';
import { ChannelStore } from '../registry/channel-store.ts';
import { RaisedAmounts } from '../registry/raised.ts';
import type { SideTables } from '../registry/side-tables.ts';
import { Arena } from '../ring/arena.ts';
import { readCounters } from '../ring/counters.ts';
import { defaultIdleStrategy } from '../ring/doorbell.ts';
import { HeldShards } from '../ring/held-shards.ts';
import { SettingWords } from '../ring/setting-words.ts';
import type { ExportedSpans } from '../spans/open-telemetry.ts';
import { openStore } from '../store/open-store.ts';
import { type ClaimLogs, type OpenedStore, storeStats } from '../store/store.ts';
import { nodeSystem } from '../system/system.ts';
import { CommittedFeed } from '../threads/committed-feed.ts';
import { readMeasures } from '../threads/lane-measures.ts';
import { LiveSettings } from '../threads/live-settings.ts';
import { kernelThreads, ringsOf, rolesOf, type Topology } from '../threads/topology.ts';
import { Tracer } from '../threads/tracer.ts';
import { nativeUdpFault } from '../transport/udp-native.ts';
import type { BackendName } from '../verify/backend.ts';
import type { Kernel } from '../verify/kernel.ts';
import { backendBytes, createKernel, resolveBackend } from '../verify/select.ts';
import { zeroCounts } from '../web/counters.ts';
import { openCluster } from './cluster.ts';
import { checkTls, describeNode } from './description.ts';
import { HotKeyKeeper } from './hot-keys.ts';
import type { ShardAccounts } from './shard-accounts.ts';
import { giveUpWaiting, leaveCluster, type StopLimits } from './stop.ts';
import { NodeThreads } from './threads.ts';

const DRAIN_MS_MAX = 5_000;
/** Of a ring: where more claims wait, its lane has no time to spare for what could be done later. */
const BUSY_RING_PART = 1 / 32;
/** With fewer the tables fit into caches, or nearly, and whole pages of 2 MiB would be mostly empty. */
const HUGE_PAGES_CHANNELS_MIN = 1_000_000;
/** What a node did, for its last log line. */
export interface NodeTotals {
  uptimeSeconds: number;
  channels: number;
  counters: NodeStats['counters'];
}

/** The settings of a node in this process. */
export interface NodeStartOptions extends NodeOptions {
  /** By default the node logs lines to stderr. */
  logger?: Logger;
  /** Called when the channels are known, before any claim is received: what is leased here is leased from the first claim on. */
  beforeReceiving?: (node: ClaimwireNode) => void;
  /** Milliseconds. A stop drops claims that are still unverified after this time; payers send them again. By default 5,000. */
  drainMsMax?: number;
  /**
   * What signs receipts: a key file, a `pkcs11:` URI, or a signer of the caller's own, which is closed with the node. Left out: the
   * node gives none.
   */
  receiptKey?: string | ReceiptSigner | undefined;
  /** Not a setting for use: `false` measures no times, and makes no room for it later. By default true. */
  measuring?: boolean;
}

/** A node in this process. */
export class ClaimwireNode
  implements LedgeredNode, MeterControl, MeasureControl, InspectControl, ExposureControl, ReceiptControl
{
  readonly config: NodeConfig;
  readonly backend: BackendName;
  readonly #logger: Logger;
  readonly #drainMsMax: number;
  readonly #opened: OpenedStore;
  readonly #arena: Arena;
  #hasHugePages = false;
  /** The main thread's instance, for its statistics. */
  readonly #kernel: Kernel | undefined;
  /** Settings that may be changed while the node runs: none of them is a rule or durability. */
  readonly tuning: TuneControl;
  /** Where the backend makes key tables, and they are to be made again at the next start. */
  readonly #hotKeys: HotKeyKeeper | undefined;
  readonly #route: RouteBoard;
  readonly #table: ChannelTable;
  readonly #store: ChannelStore;
  readonly #feed: CommittedFeed;
  readonly #tracer: Tracer;
  readonly #raised: RaisedAmounts;
  readonly #meter: Meter;
  readonly #receipts: Receipts | undefined;
  readonly #exposure: ExposureWalk;
  readonly #keys = new KeyCheck();
  /** Counters of what runs beside the node in this process, by name. */
  readonly #beside = new Map<string, () => object>();
  #logs: ClaimLogs | undefined;
  readonly #threads: NodeThreads;
  readonly #cluster: ClusterMember | undefined;
  readonly #accounts: ShardAccounts | undefined;
  #stopping: Promise<NodeTotals> | undefined;
  readonly #startedAt = performance.now();
  /** Rejects when the node cannot go on; never resolves. The caller then stops the node, and exits with 1. */
  readonly failed: Promise<never>;
  /**
   * Small durable tables beside the channels, until the node has stopped. A commit that fails with REGISTRY_FAILED, or with a
   * code of the database's, stops it.
   */
  readonly sideTables: SideTables;
  #reject!: (error: Error) => void;
  #failure: Error | undefined;

  /**
   * Starts a node. Throws ClaimwireError: CONFIG_INVALID, DATA_LOCKED, REGISTRY_CORRUPT, JOURNAL_CORRUPT,
   * BACKEND_UNAVAILABLE, a code of the database's that begins with STORE_, KEY_FILE_INVALID or a code of a token's for the key of
   * receipts, and the error of a failed thread. Afterwards no thread runs, and the folder is unlocked.
   */
  static async start({
    logger = stderrLogger,
    beforeReceiving = () => {},
    drainMsMax = DRAIN_MS_MAX,
    measuring = true,
    receiptKey,
    ...options
  }: NodeStartOptions = {}): Promise<ClaimwireNode> {
    const backend = resolveBackend(backendChoice(options), keyCacheBytes(options), (name, reason) =>
      logger.warn(`backend ${name} passed over: ${reason}`),
    );
    const nativeSocketsFault = nativeUdpFault();
    if (nativeSocketsFault !== undefined && options.sockets !== 'dgram')
      logger.warn(`native sockets passed over: ${nativeSocketsFault}`);
    const pathFault = nativePathFault();
    if (pathFault !== undefined && options.path !== 'portable') logger.warn(`native path passed over: ${pathFault}`);
    const config = resolveConfig(options, { backend, nativeSocketsFault, nativePathFault: pathFault });
    checkTls(config.tls);
    const signer = typeof receiptKey === 'string' ? await openReceiptKey(receiptKey) : receiptKey;
    let node: ClaimwireNode | undefined;
    let early: Error | undefined;
    const opened = await openStore(config, nodeSystem, logger, (error) => {
      early = error;
      if (node !== undefined) node.#failBy(error);
    }).catch(async (error) => {
      await signer?.close?.();
      throw error;
    });
    try {
      node = new ClaimwireNode(config, opened, logger, { drainMsMax, measuring, signer });
      await node.#start(beforeReceiving);
      if (early !== undefined) throw early;
      return node;
    } catch (error) {
      // A database that does not answer now would be waited for below.
      opened.abandon();
      await signer?.close?.();
      // A thread that outlived the folder's lock would acknowledge claims while the next owner does.
      if (node !== undefined) {
        await node.#threads.terminate();
        await node.#cluster?.stop();
      }
      await opened.close();
      throw error;
    }
  }

  private constructor(
    config: NodeConfig,
    opened: OpenedStore,
    logger: Logger,
    { drainMsMax, measuring, signer }: { drainMsMax: number; measuring: boolean; signer: ReceiptSigner | undefined },
  ) {
    const { backend } = config;
    this.#logger = logger;
    this.#drainMsMax = drainMsMax;
    this.config = config;
    this.backend = backend;
    this.#opened = opened;
    const { sides } = opened;
    this.sideTables = {
      get: (table, key) => sides.get(table, key),
      entries: (table, from) => sides.entries(table, from),
      commit: (changes) => this.#stopIfFailed(sides.commit(changes)),
      isSharded: sides.isSharded ?? false,
    };
    this.failed = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.failed.catch(() => {});
    const kernelStart = { cacheBytes: config.keyCacheBytes, threads: kernelThreads(config) };
    this.#arena = Arena.create({
      kernelBytes: backendBytes(backend, kernelStart),
      rings: ringsOf(config),
      ringSlots: ringSlots(config),
      // Every claim in the ring may be answered before the net thread sends one ack.
      ackSlots: ringSlots(config) * 2,
      threads: rolesOf(config).length,
      channelsMax: tableCapacity(config, opened.count),
      hasFrames: config.roots,
    });
    if (opened.count >= HUGE_PAGES_CHANNELS_MIN) this.#hasHugePages = askHugePages(this.#arena.randomParts);
    this.#kernel = createKernel(backend, this.#arena, { ...kernelStart, thread: 0 });
    const idle = defaultIdleStrategy(availableParallelism(), rolesOf(config).length);
    this.tuning = new LiveSettings(config, this.#arena, this.#kernel, idle.spins);
    this.#table = new ChannelTable(this.#arena);
    if (this.#kernel !== undefined && config.warmKeys)
      this.#hotKeys = new HotKeyKeeper({
        kernel: this.#kernel,
        table: this.#table,
        path: join(config.data, 'hot-keys'),
        isBusy: () => this.#topology?.rings.some((ring) => ring.depth > ring.size * BUSY_RING_PART) ?? false,
        system: nodeSystem,
        logger,
      });
    this.#route = new RouteBoard(new HeldShards(this.#arena));
    this.#exposure = new ExposureWalk(this.#table, nodeSystem.clock);
    this.#store = new ChannelStore(
      this.#table,
      opened.rows,
      () => this.#threads.passFence(),
      (channel, committed, to) =>
        this.#raised.record(channel, { committed, spent: this.#meter.spentOf(channel.ledgerChannelId), to }),
    );
    this.#threads = new NodeThreads({
      config,
      arena: this.#arena,
      kernel: kernelStart,
      idle,
      measuring,
      drainMsMax,
      store: this.#store,
      route: this.#route,
      logger,
      onFailure: (error) => this.#failBy(error),
    });
    this.#feed = new CommittedFeed(this.#arena, this.#table);
    this.#tracer = new Tracer(this.#arena);
    this.#raised = new RaisedAmounts(this.sideTables);
    this.#meter = new Meter(this.#feed, this.sideTables, this.#raised, (line) => logger.warn(line));
    if (signer !== undefined) {
      const receipts = new Receipts({ signer, source: this.#feed, clock: nodeSystem.clock });
      this.#receipts = receipts;
      this.addStats('receipts', () => receipts.figures);
    }
    if (!config.cluster || opened.shared === undefined) return;
    const { member, accounts } = openCluster(opened.shared, {
      channels: this.#store,
      table: this.#table,
      meter: this.#meter,
      raised: this.#raised,
      passFence: () => this.#threads.passFence(),
      route: this.#route,
      clock: nodeSystem.clock,
      logger,
      places: () => this.#places,
      onFailed: (error) => this.#failBy(error),
    });
    this.#cluster = member;
    this.#accounts = accounts;
    this.addStats('cluster', () => member.figures);
  }

  /** Whether claims are received, the threads make progress, and the store answers. */
  get ready(): boolean {
    return this.#isRunning && !this.#threads.isStalled && this.#opened.isAnswering;
  }
  /** Whether changes are taken: a stall may be over before they are made. */
  get canChange(): boolean {
    return this.#isRunning && !this.#threads.isStuck && this.#opened.isAnswering;
  }
  /** The reason for which `failed` has rejected. */
  get failure(): Error | undefined {
    return this.#failure;
  }
  /** The UDP address, HOST:PORT. */
  get udp(): string {
    return this.#topology === undefined ? '' : hostPortText(this.#topology.udp);
  }
  /** The TCP address, HOST:PORT. */
  get tcp(): string {
    return this.#topology?.tcp === undefined ? '' : hostPortText(this.#topology.tcp);
  }
  /** The address of WebSocket and WebRTC peers, HOST:PORT; empty without one. */
  get web(): string {
    const { web } = this.#threads;
    return web === undefined ? '' : hostPortText(web.address);
  }
  /** The instruction set that the kernel uses, or null where the backend has none. */
  get kernelName(): string | null {
    return this.#kernel?.kernelName ?? null;
  }
  /** Number of threads that verify. */
  get verifiers(): number {
    return this.config.layout === 'lanes' ? this.config.lanes : this.config.verifiers;
  }
  get ruleSeconds(): number {
    return this.#topology?.control.advanceClock(Math.floor(Date.now() / 1_000)) ?? 0;
  }
  get channelCount(): number {
    return this.#store.count;
  }
  /** The node's part in its cluster, where it has one. */
  get cluster(): ClusterControl | undefined {
    return this.#cluster;
  }
  /** For the cluster: which shards the node serves, and the map that peers are shown. Without a cluster, all of them and none. */
  get route(): RouteControl {
    return this.#route;
  }

  /** See NodeControl; takes openings in text as well. One whose text is wrong rejects with INPUT_INVALID, and none is opened. */
  async openChannels(openings: readonly (ChannelOpening | OpeningText)[]): Promise<OpeningResult> {
    return this.#change(async () => {
      const checked = openings.map((opening) => openingOf(opening, this.#keys));
      for (const { channelId } of checked) this.#route.expectHere(channelId);
      return await this.#store.open(checked);
    });
  }
  async openRows(rows: Uint8Array): Promise<OpeningResult> {
    const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
    for (let offset: number = ROW.channelId; this.#route.isShared && offset < rows.length; offset += ROW_BYTES)
      this.#route.expectHere(view.getBigUint64(offset, true));
    return this.#change(() => this.#store.openRows(rows));
  }
  expectHere(channelId: bigint): void {
    this.#route.expectHere(channelId);
  }
  holds(channelId: bigint): boolean {
    return this.#route.holds(channelId);
  }
  /** Has what keeps side entries of channels go with their shards; to be called before claims are received. */
  followShards(follower: ShardFollower): void {
    this.#accounts?.follow(follower);
  }
  holderOf(channelId: bigint): { node: string; places: readonly string[] } | undefined {
    return this.#route.holderOf(channelId);
  }
  channel(channelId: bigint): Channel | undefined {
    return this.#store.get(channelId);
  }
  channelVersion(channelId: bigint): number | undefined {
    return this.#store.version(channelId);
  }
  leafProof(channel: Channel): LeafProof | undefined {
    return this.#opened.leaves?.of(channel);
  }
  channels(from: number, limit: number): Channel[] {
    return this.#store.list(from, limit);
  }
  async updateChannel(channelId: bigint, change: ChannelChange): Promise<Channel> {
    return this.#change(() => this.#store.update(channelId, change));
  }
  async closeChannel(channelId: bigint): Promise<Channel> {
    return this.#change(() => this.#store.close(channelId));
  }
  leaseChannel(channelId: bigint, until: number): void {
    this.#store.lease(channelId, until);
  }
  async raiseCommitted(channelId: bigint, drops: bigint): Promise<Channel> {
    return this.#change(() => this.#store.raise(channelId, drops));
  }
  async removeChannels(channelIds: readonly bigint[], options: { force?: boolean } = {}): Promise<RemovalResult> {
    const result = await this.#change(() => this.#store.remove(channelIds, options.force ?? false));
    this.#meter.recheck(channelIds);
    return result;
  }

  /**
   * Charges a channel, see MeterControl. What was spent is kept by ledger channel, for good. A charge with a key is known
   * as long as it is among the node's latest 1,048,576 charges with keys.
   */
  charge(channelId: bigint, drops: bigint, options?: Parameters<MeterControl['charge']>[2]): Promise<ChargeResult> {
    // Without a promise of its own, as a service charges for each request.
    if (this.#isRunning && this.#raised.isEmpty && !this.#route.isShared)
      return this.#meter.charge(channelId, drops, options);
    return this.#chargeRaised(channelId, drops, options);
  }
  async #chargeRaised(...[channelId, drops, options]: Parameters<MeterControl['charge']>): Promise<ChargeResult> {
    this.#expectRunning();
    this.#route.expectHere(channelId);
    const made = this.#meter.charge(channelId, drops, { ...options, onReserved: undefined });
    const result = await made;
    return { ...result, spent: result.spent + this.#raisedOf(channelId) };
  }
  /** Drops of a channel that buy nothing more: charged, or paid by the ledger for claims made elsewhere. Throws CHANNEL_UNKNOWN. */
  spent(channelId: bigint): bigint {
    this.#route.expectHere(channelId);
    return this.#meter.spent(channelId) + this.#raisedOf(channelId);
  }
  #raisedOf(channelId: bigint): bigint {
    const id = this.#raised.isEmpty ? undefined : this.#feed.ledgerChannelId(channelId);
    return id === undefined ? 0n : this.#raised.of(id);
  }
  /** See MeterControl. */
  async waitForAmount(
    channelId: bigint,
    drops: bigint,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<bigint> {
    this.#expectRunning();
    return this.#meter.waitForAmount(channelId, drops, options);
  }
  /**
   * Calls `listener` with batches of channels whose committed amount has grown, from now on; an error that it throws is
   * uncaught. Returns a function that ends it. The claim path does nothing for it while nobody listens.
   */
  onCommitted(listener: (batch: CommittedBatch) => void): () => void {
    return this.#meter.onCommitted(listener);
  }
  /** The same as an iteration, which ends with the signal or the node: `for await (const grown of node.committed()) …`. */
  committed(options?: { signal?: AbortSignal | undefined }): AsyncIterable<CommittedAmount[]> {
    return this.#meter.committed(options);
  }
  /** See MeterControl. */
  async submit(claim: Uint8Array, options?: { signal?: AbortSignal | undefined }): Promise<SubmitResult> {
    this.#expectRunning();
    const status = await this.#topology!.local.submit(claim, options?.signal);
    const channelId = new DataView(claim.buffer, claim.byteOffset).getBigUint64(CLAIM_CHANNEL_ID);
    return { status: statusName(status), committed: this.#feed.committed(channelId) ?? 0n };
  }

  /** See ReceiptControl. */
  async receipt(channelId: bigint, amount?: bigint): Promise<Receipt> {
    this.#expectRunning();
    this.#route.expectHere(channelId);
    if (this.#receipts === undefined) throw noReceipts();
    return this.#receipts.receipt(channelId, amount);
  }

  /** See InspectControl. */
  async trace(channelId: bigint, options: TraceOptions): Promise<TraceSummary> {
    this.#expectRunning();
    const row = this.#table.find(highHalf(channelId), lowHalf(channelId));
    if (row < 0 || this.#table.isRemoved(row))
      throw new ClaimwireError('CHANNEL_UNKNOWN', `channel: expected one that is open, got ${channelId}`);
    return this.#tracer.trace(row, options);
  }
  /** See InspectControl. */
  async profile(seconds: number, signal?: AbortSignal): Promise<NodeProfile> {
    this.#expectRunning();
    const addonFunctions = addonFault() === undefined ? Object.keys(loadAddon<object>()) : [];
    return { ...(await profileThreads(seconds, signal)), addonFunctions };
  }

  /** Shows counters of a service in this process among the node's own, under `name`. */
  addStats(name: string, counters: () => object): void {
    this.#beside.set(name, counters);
  }

  /** Charges have spans from now on, and those are counted among the node's counters. */
  useSpans(spans: ExportedSpans): void {
    this.#meter.useSpans(spans);
    this.addStats('spans', () => spans.counters);
  }

  stats(): NodeStats {
    const rings = this.#topology?.rings ?? [];
    return {
      ...Object.fromEntries([...this.#beside].map(([name, counters]) => [name, counters()])),
      backend: this.backend,
      kernel: this.kernelName,
      layout: this.config.layout,
      verifiers: this.verifiers,
      sockets: this.config.sockets,
      path: this.config.path,
      durability: this.config.durability,
      ...storeStats(this.#opened),
      verify: this.config.verify,
      uptimeSeconds: Math.round((performance.now() - this.#startedAt) / 100) / 10,
      channels: this.channelCount,
      channelsMax: this.#table.capacity,
      ring: {
        depth: rings.reduce((sum, ring) => sum + ring.depth, 0),
        slots: rings.reduce((sum, ring) => sum + ring.size, 0),
      },
      counters: {
        ...readCounters(this.#arena),
        charges: this.#meter.charges,
        refunds: this.#meter.refunds,
        web: this.#threads.web?.counts ?? zeroCounts(),
      },
      keyTables: this.#kernel?.stats() ?? null,
    };
  }

  /** See MeasureControl: of the lanes since their start, in their order. */
  measures(): LaneMeasures[] {
    return readMeasures(this.#arena, this.#topology?.rings ?? []);
  }

  /** See ExposureControl. */
  exposure(): ExposureTotals {
    return this.#exposure.exposure();
  }
  /** What the ledger has paid out is no exposure any more. */
  useLedgerStates(states: LedgerStates): void {
    this.#exposure.useLedger(states);
  }

  /** Drains, syncs, checkpoints and unlocks the data folder. Safe to call more than once. */
  stop(): Promise<NodeTotals> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /**
   * Not for use: whether the times of claims are measured from now on, as soon as none is on its way, so that bench:measures can
   * show in one process what measuring costs.
   */
  set isMeasuring(isMeasuring: boolean) {
    new SettingWords(this.#arena).set('measuring', isMeasuring ? 1 : 0);
  }

  /** For `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #start(beforeReceiving: (node: ClaimwireNode) => void): Promise<void> {
    const token = loadAdminToken(this.config.data, nodeSystem);
    this.#logs = await this.#opened.recover(this.#store, this.#table, ringsOf(this.config));
    // After the checkpoint the rows have all claims, and each log begins anew.
    await this.#store.checkpoint();
    await this.#logs.begin();
    this.#store.freeRemoved();
    beforeReceiving(this);
    const rows = this.#opened.leaves?.rows;
    const rooted = rows && { memory: rows.memory, exposureMax: rows.exposureMax };
    await this.#threads.start(this.#logs, { control: this, token, receipts: this.#receipts }, rooted);
    this.#exposure.start();
    this.#hotKeys?.start();
    const { kernelName, channelCount } = this;
    const { receiveBufferBytes } = this.#topology!;
    this.#logger.info(
      describeNode(this.config, { kernelName, channelCount, receiveBufferBytes, hasHugePages: this.#hasHugePages }),
    );
    const { shared } = this.#opened;
    if (shared !== undefined) this.#cluster?.start(shared.held);
  }

  /** Where peers are told to find the node. */
  get #places(): readonly string[] {
    const { advertise, tls } = this.config;
    if (advertise.length > 0 || this.#topology === undefined) return advertise;
    const s = tls === undefined ? '' : 's';
    const web = this.web === '' ? [] : [`ws${s}://${this.web}`];
    return [`udp://${this.udp}`, `${tls === undefined ? 'tcp' : 'tls'}://${this.tcp}`, ...web];
  }

  async #stop(): Promise<NodeTotals> {
    const isLeaving = this.#cluster !== undefined && this.#topology !== undefined && this.#failure === undefined;
    if (isLeaving) await leaveCluster(this.#cluster!, this.#stopLimits, () => this.#failure !== undefined);
    const endWaiting = giveUpWaiting(this.#stopLimits);
    await this.#cluster?.stop();
    this.#exposure.stop();
    this.#tracer.stop();
    await this.#threads.stop();
    await this.#receipts?.stop();
    if (this.#topology !== undefined) this.#hotKeys?.stop();
    await this.#feed.stop();
    await this.#meter.stop();
    try {
      // After a failure the logs stay as they are, and the next start replays them.
      if (this.#failure !== undefined) return this.#totals();
      const segments = this.#topology?.journalSegments ?? [];
      await this.#store.checkpoint();
      // The rows have every group: nothing is left to replay.
      await this.#logs?.end(segments);
      return this.#totals();
    } catch (error) {
      if (!isOfDatabase(error)) throw error;
      this.#logger.warn(
        `${error.message}; stopped without a checkpoint: the next start replays what was acknowledged since`,
      );
      return this.#totals();
    } finally {
      endWaiting();
      await this.#opened.close();
    }
  }

  get #stopLimits(): StopLimits {
    return { store: this.#opened, drainMsMax: this.#drainMsMax, logger: this.#logger };
  }

  #totals(): NodeTotals {
    const { uptimeSeconds, channels, counters } = this.stats();
    return { uptimeSeconds, channels, counters };
  }

  get #topology(): Topology | undefined {
    return this.#threads.topology;
  }

  get #isRunning(): boolean {
    return this.#topology !== undefined && this.#failure === undefined && this.#stopping === undefined;
  }

  /** Makes a change of channels. A failure of the registry stops the node, since it is not known what it holds. */
  async #change<T>(work: () => Promise<T>): Promise<T> {
    this.#expectRunning();
    return this.#stopIfFailed(work());
  }

  #expectRunning(): void {
    if (this.#isRunning) return;
    throw new ClaimwireError('NODE_STOPPING', 'expected a running node, got one that is starting or stopping');
  }

  async #stopIfFailed<T>(change: Promise<T>): Promise<T> {
    try {
      return await change;
    } catch (error) {
      if (isOfDatabase(error) || (error instanceof ClaimwireError && error.code === 'REGISTRY_FAILED'))
        this.#failBy(error);
      throw error;
    }
  }

  #failBy(error: Error): void {
    if (this.#stopping !== undefined && isOfDatabase(error)) {
      this.#logger.warn(`while stopping: ${error.message}`);
      return;
    }
    this.#failure ??= error;
    this.#reject(error);
  }
}

/** What a database says, or that it was given up; a start finds what it has. */
function isOfDatabase(error: unknown): error is ClaimwireError {
  return error instanceof ClaimwireError && error.code.startsWith('STORE_');
}
