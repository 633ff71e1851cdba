/**
 * Nodes that share the database's twin and follow one ledger, in one thread: each with its channel table, its shards, its charges
 * and its ledger service with a redeemer of the same payee. Whether a claim would be accepted is asked of the claim path's own
 * rules. Test's thread.
 */
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_SIGNATURE, statusName } from '../../protocol/layout.ts';
import { shardOfChannel } from '../../protocol/shard.ts';
import type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from '../../src/channel/changes.ts';
import { type Channel, ROW_BYTES } from '../../src/channel/row.ts';
import { ChannelTable, highHalf, lowHalf } from '../../src/channel/table.ts';
import { ShardWork } from '../../src/cluster/shard-work.ts';
import type { LedgeredNode } from '../../src/control/ledger-control.ts';
import type { NodeStats } from '../../src/control/node-control.ts';
import { RouteBoard } from '../../src/control/route-control.ts';
import { autoRedeemer } from '../../src/ledger/auto-redeemer.ts';
import { LedgerService } from '../../src/ledger/service.ts';
import { type LedgerOptions, resolveLedger } from '../../src/ledger/settings.ts';
import { ShardTables } from '../../src/ledger/shard-tables.ts';
import type { Logger } from '../../src/log.ts';
import { AmountWatch } from '../../src/meter/amount-watch.ts';
import { Charges } from '../../src/meter/charges.ts';
import { ShardAccounts } from '../../src/node/shard-accounts.ts';
import { NodeShards } from '../../src/node/shards.ts';
import { ADMITTED, admit } from '../../src/path/rules.ts';
import { ChannelStore } from '../../src/registry/channel-store.ts';
import { RaisedAmounts } from '../../src/registry/raised.ts';
import { Arena } from '../../src/ring/arena.ts';
import { HeldShards } from '../../src/ring/held-shards.ts';
import { DatabaseRows } from '../../src/store/database-rows.ts';
import { DatabaseSides } from '../../src/store/database-sides.ts';
import { HeldFence } from '../../src/store/held-fence.ts';
import { MemoryDatabase } from '../../src/store/memory-database.ts';
import { MemoryTables } from '../../src/store/memory-tables.ts';
import { LedgerRig, PAYEE, settled, signature } from './chain-rig.ts';

const SHAPE = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };

export interface ClusterNodeOptions extends Partial<Omit<LedgerOptions, 'urls'>> {
  /** Wraps what a redeemer calls: its connection, its wallet and its commits. */
  hook?: <Port extends object>(port: Port) => Port;
  /** Redeems by itself from this exposure on. */
  aboveDrops?: bigint;
}

/** A ledger, and the tables that the nodes share. */
export class LedgerCluster extends LedgerRig {
  readonly tables = new MemoryTables();

  enter(name: string, options: ClusterNodeOptions = {}): Promise<ClusterNode> {
    return ClusterNode.enter(this, name, options);
  }

  /** A channel on the ledger, opened at a node from there, with a claim that the database has. */
  async opened(at: ClusterNode, options?: Parameters<LedgerRig['channel']>[0]): Promise<Channel> {
    const row = await this.channel(options);
    await at.service.openFromLedger(row.ledgerChannelId);
    await at.commit(row, row.committed);
    return row;
  }
}

export class ClusterNode implements LedgeredNode {
  readonly ready = true;
  unknownChannel = 0;
  readonly cluster: LedgerCluster;
  readonly name: string;
  readonly database: MemoryDatabase;
  readonly fence: HeldFence;
  readonly table = new ChannelTable(Arena.create(SHAPE));
  readonly store: ChannelStore;
  readonly charges: Charges;
  readonly raised: RaisedAmounts;
  readonly shards: NodeShards;
  readonly work: ShardWork;
  readonly service: LedgerService;
  /** The service's own: a redeemer's may be wrapped. */
  readonly connection: ReturnType<LedgerRig['connect']>;
  /** What was logged, the level before it. */
  readonly log: string[] = [];
  readonly #route: RouteBoard;

  private constructor(
    cluster: LedgerCluster,
    database: MemoryDatabase,
    fence: HeldFence,
    { sides, held, version }: { sides: DatabaseSides; held: readonly number[]; version: number },
    { hook = (port) => port, aboveDrops, ...options }: ClusterNodeOptions,
  ) {
    const { clock } = cluster;
    this.cluster = cluster;
    this.database = database;
    this.fence = fence;
    this.name = fence.start.node;
    this.connection = cluster.connect();
    const write = (level: string) => (message: string) => void this.log.push(`${level} ${message}`);
    const logger: Logger = { info: write('info'), warn: write('warn'), error: write('error') };
    this.raised = new RaisedAmounts(sides);
    const source = {
      committed: (channelId: bigint) => this.channel(channelId)?.committed,
      ledgerChannelId: (channelId: bigint) => this.channel(channelId)?.ledgerChannelId,
      onCommitted: () => () => {},
    };
    this.charges = new Charges(source, sides, new AmountWatch(source), {}, this.raised);
    const beforeRaise = (channel: Pick<Channel, 'channelId' | 'ledgerChannelId'>, committed: bigint, to: bigint) =>
      this.raised.record(channel, { committed, spent: this.charges.spentOf(channel.ledgerChannelId), to });
    this.store = new ChannelStore(this.table, new DatabaseRows(database, fence), async () => {}, beforeRaise);
    this.#route = new RouteBoard(new HeldShards(Arena.create(SHAPE)));
    const accounts = new ShardAccounts({ sides, charges: this.charges, raised: this.raised });
    const passFence = async () => {};
    const parts = { channels: this.store, table: this.table, accounts, fence, passFence, route: this.#route, logger };
    this.shards = new NodeShards(parts, held, version);
    const settings = { batchShards: 64, batchChannels: 20_000 };
    const refresh = async () => this.shards.setRoute(await database.state());
    this.work = new ShardWork({ database, shards: this.shards, clock, settings, refresh });
    this.work.serves(held);
    const tables = new ShardTables(hook(sides));
    const redeeming = {
      control: this,
      connection: hook(this.connection),
      tables,
      wallet: hook(cluster.wallet()),
      clock,
      logger,
      feeMaxDrops: 1_000n,
      policy: { aboveDrops },
    };
    this.service = new LedgerService({
      settings: resolveLedger({ urls: ['wss://fake-1'], account: PAYEE.address, ...options }),
      connection: this.connection,
      tables,
      node: this,
      clock,
      logger,
      redeemer: (of) => autoRedeemer(redeeming, of),
    });
    accounts.follow(this.service.shards);
  }

  static async enter(cluster: LedgerCluster, name: string, options: ClusterNodeOptions): Promise<ClusterNode> {
    const database = new MemoryDatabase(cluster.tables);
    const fence = HeldFence.of(await database.enter(name));
    const { shards, version } = await database.state();
    const held = shards.filter(({ node }) => node === name).map(({ shard }) => shard);
    const sides = await DatabaseSides.load(database, fence, held);
    const node = new ClusterNode(cluster, database, fence, { sides, held, version }, options);
    await database.readChannels(held, (rows) => {
      const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
      for (let offset = 0; offset < rows.length; offset += ROW_BYTES) node.store.load(rows, view, offset);
    });
    node.service.restore();
    await node.service.start();
    await settled();
    return node;
  }

  /** Gives the shard of a channel to another node, which loads it. */
  async give({ channelId }: Pick<Channel, 'channelId'>, to: ClusterNode): Promise<void> {
    await this.work.give([shardOfChannel(channelId)], to.name);
    await to.receive();
  }

  /** Takes over all that a node has, which is dead or stands still. */
  async takeOver(dead: ClusterNode): Promise<void> {
    const { shards } = await this.database.state();
    const held = shards.filter(({ node }) => node === dead.name);
    const to = new Map(held.map(({ shard }) => [shard, this.name]));
    const { node, epoch } = dead.fence.fence;
    if (!(await this.database.takeOver(this.fence.fence, { node, epoch }, to))) throw new Error('expected a takeover');
    await this.receive();
  }

  async receive(): Promise<void> {
    while (await this.work.receive(await this.database.state()));
    this.shards.setRoute(await this.database.state());
  }

  /** A claim of so many drops is committed, and in the database. */
  async commit(channel: Pick<Channel, 'channelId' | 'ledgerChannelId'>, drops: bigint): Promise<void> {
    const record = new DataView(new ArrayBuffer(CLAIM_BYTES));
    record.setBigUint64(CLAIM_AMOUNT, drops);
    const id = Buffer.from(channel.ledgerChannelId).toString('hex').toUpperCase();
    new Uint8Array(record.buffer).set(signature(id, drops), CLAIM_SIGNATURE);
    this.table.commit(this.#rowOf(channel.channelId), record, 0);
    await this.store.checkpoint();
  }

  /** What the claim path's rules say of a claim: a status by name, or ADMITTED. */
  judge({ channelId }: Pick<Channel, 'channelId'>, amount: bigint): string {
    const row = this.#rowOf(channelId);
    if (row < 0) return 'UNKNOWN_CHANNEL';
    const status = admit(this.table, this.table.hot(row), highHalf(amount), lowHalf(amount), this.ruleSeconds);
    return status === ADMITTED ? 'ADMITTED' : statusName(status);
  }

  #rowOf(channelId: bigint): number {
    return this.table.find(highHalf(channelId), lowHalf(channelId));
  }

  get ruleSeconds(): number {
    return this.cluster.now;
  }
  holds(channelId: bigint): boolean {
    return this.#route.holds(channelId);
  }
  expectHere(channelId: bigint): void {
    this.#route.expectHere(channelId);
  }
  async openChannels(openings: readonly ChannelOpening[]): Promise<OpeningResult> {
    for (const { channelId } of openings) this.expectHere(channelId);
    return this.store.open(openings);
  }
  openRows(rows: Uint8Array): Promise<OpeningResult> {
    return this.store.openRows(rows);
  }
  channel(channelId: bigint): Channel | undefined {
    return this.store.get(channelId);
  }
  channels(from: number, limit: number): Channel[] {
    return this.store.list(from, limit);
  }
  updateChannel(channelId: bigint, change: ChannelChange): Promise<Channel> {
    return this.store.update(channelId, change);
  }
  closeChannel(channelId: bigint): Promise<Channel> {
    return this.store.close(channelId);
  }
  removeChannels(channelIds: readonly bigint[], options: { force?: boolean } = {}): Promise<RemovalResult> {
    return this.store.remove(channelIds, options.force ?? false);
  }
  leaseChannel(channelId: bigint, until: number): void {
    this.store.lease(channelId, until);
  }
  async raiseCommitted(channelId: bigint, drops: bigint): Promise<Channel> {
    return this.store.raise(channelId, drops);
  }
  stats(): NodeStats {
    return { counters: { refused: { unknownChannel: this.unknownChannel } } } as unknown as NodeStats;
  }
}
