/**
 * A ledger service over a fake ledger and a real channel store and table, in one thread and without files: whether a claim
 * would be accepted is asked of the claim path's own rules. Test's thread.
 */
import { statusName } from '../../protocol/layout.ts';
import type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from '../../src/channel/changes.ts';
import type { Channel } from '../../src/channel/row.ts';
import { ChannelTable, highHalf, lowHalf } from '../../src/channel/table.ts';
import type { LedgeredNode } from '../../src/control/ledger-control.ts';
import type { NodeStats } from '../../src/control/node-control.ts';
import type { LedgerChannel } from '../../src/ledger/ledger-port.ts';
import { LedgerService } from '../../src/ledger/service.ts';
import { type LedgerOptions, resolveLedger } from '../../src/ledger/settings.ts';
import { ShardTables } from '../../src/ledger/shard-tables.ts';
import type { Logger } from '../../src/log.ts';
import { ADMITTED, admit } from '../../src/path/rules.ts';
import { ChannelStore } from '../../src/registry/channel-store.ts';
import { RaisedAmounts } from '../../src/registry/raised.ts';
import { Arena } from '../../src/ring/arena.ts';
import { FakeClock, FakeLedger, type FakeLedgerConnection, settle } from './fake-ledger.ts';
import { MemoryRegistry } from './memory-registry.ts';
import { MemorySideTables } from './memory-side-tables.ts';
import { openingOf, signedClaim } from './wire.ts';

export const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';
const PAYER = 'rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe';
const SHAPE = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };

/** A payment channel to the payee, whose handle is `channelId`. */
export function ledgerChannel(channelId: bigint, fields: Partial<LedgerChannel> = {}): LedgerChannel {
  const { ledgerChannelId, publicKey } = openingOf(channelId);
  return {
    ledgerChannelId,
    account: PAYER,
    destination: PAYEE,
    publicKey,
    amount: 1_000_000n,
    balance: 0n,
    settleDelay: 3_600,
    expiration: 0,
    cancelAfter: 0,
    ...fields,
  };
}

/** A node without threads. */
class StoreNode implements LedgeredNode {
  readonly ready = true;
  unknownChannel = 0;
  readonly table = new ChannelTable(Arena.create(SHAPE));
  readonly #store: ChannelStore;
  readonly #clock: FakeClock;
  /** As node.ts does it. */
  readonly raised: RaisedAmounts;

  constructor(clock: FakeClock, registry: MemoryRegistry, tables: MemorySideTables) {
    this.raised = new RaisedAmounts(tables);
    this.#clock = clock;
    this.#store = new ChannelStore(
      this.table,
      registry,
      async () => {},
      (id, committed, to) => this.raised.record(id, { committed, spent: 0n, to }),
    );
    registry.forEachRow((row) => {
      const bytes = new Uint8Array(row);
      this.#store.load(bytes, new DataView(bytes.buffer), 0);
    });
    this.#store.freeRemoved();
  }

  get ruleSeconds(): number {
    return this.#clock.seconds;
  }
  async openChannels(openings: readonly ChannelOpening[]): Promise<OpeningResult> {
    return this.#store.open(openings);
  }
  openRows(rows: Uint8Array): Promise<OpeningResult> {
    return this.#store.openRows(rows);
  }
  channel(channelId: bigint): Channel | undefined {
    return this.#store.get(channelId);
  }
  channels(from: number, limit: number): Channel[] {
    return this.#store.list(from, limit);
  }
  updateChannel(channelId: bigint, change: ChannelChange): Promise<Channel> {
    return this.#store.update(channelId, change);
  }
  closeChannel(channelId: bigint): Promise<Channel> {
    return this.#store.close(channelId);
  }
  removeChannels(channelIds: readonly bigint[], options: { force?: boolean } = {}): Promise<RemovalResult> {
    return this.#store.remove(channelIds, options.force ?? false);
  }
  leaseChannel(channelId: bigint, until: number): void {
    this.#store.lease(channelId, until);
  }
  async raiseCommitted(channelId: bigint, drops: bigint): Promise<Channel> {
    return this.#store.raise(channelId, drops);
  }
  checkpoint(): Promise<number> {
    return this.#store.checkpoint();
  }
  stats(): NodeStats {
    return { counters: { refused: { unknownChannel: this.unknownChannel } } } as unknown as NodeStats;
  }
}

type RigOptions = Partial<Omit<LedgerOptions, 'urls'>>;

export class LedgerRig {
  readonly clock: FakeClock;
  readonly ledger: FakeLedger;
  readonly registry: MemoryRegistry;
  readonly tables: MemorySideTables;
  readonly connection: FakeLedgerConnection;
  readonly node: StoreNode;
  readonly service: LedgerService;
  /** What was logged, the level before it. */
  readonly log: string[] = [];

  /** With `before`, what another rig's process left on the disk, on the same ledger and clock. */
  constructor(options: RigOptions = {}, before?: LedgerRig) {
    this.clock = before?.clock ?? new FakeClock();
    this.ledger = before?.ledger ?? new FakeLedger(this.clock);
    this.registry = before?.registry.kill() ?? new MemoryRegistry();
    this.tables = before?.tables.kill() ?? new MemorySideTables();
    this.connection = this.ledger.connect();
    this.node = new StoreNode(this.clock, this.registry, this.tables);
    const settings = resolveLedger({ urls: ['wss://fake-1'], account: PAYEE, ...options });
    const write = (level: string) => (message: string) => void this.log.push(`${level} ${message}`);
    const logger: Logger = { info: write('info'), warn: write('warn'), error: write('error') };
    const { connection, node, clock } = this;
    const tables = new ShardTables(this.tables);
    this.service = new LedgerService({ settings, connection, tables, node, clock, logger });
    this.service.restore();
  }

  /** A rig whose service watches. */
  static async start(options: RigOptions = {}, before?: LedgerRig): Promise<LedgerRig> {
    const rig = new LedgerRig(options, before);
    await rig.service.start();
    await settle();
    return rig;
  }

  /** Puts a channel on the ledger, and opens it from there. */
  async open(channelId: bigint, fields: Partial<LedgerChannel> = {}): Promise<Channel> {
    const channel = ledgerChannel(channelId, fields);
    this.ledger.put(channel.ledgerChannelId, channel);
    return this.service.openFromLedger(channel.ledgerChannelId);
  }

  /** Changes a channel on the ledger, and lets what follows happen. */
  async change(channelId: bigint, fields: Partial<LedgerChannel> | undefined): Promise<void> {
    const { ledgerChannelId } = openingOf(channelId);
    const channel = this.ledger.channels.get(Buffer.from(ledgerChannelId).toString('hex'));
    this.ledger.put(ledgerChannelId, fields && { ...channel!, ...fields });
    await settle();
  }

  /** Lets time pass, with a ledger closed at the end of it. */
  async pass(seconds: number): Promise<void> {
    this.clock.advance(0);
    await this.clock.advance(seconds);
    this.ledger.close();
    await this.clock.advance(0.3);
  }

  /** What the claim path's rules say of a claim: a status by name, or ADMITTED. */
  judge(channelId: bigint, amount: bigint): string {
    const { table } = this.node;
    const row = table.find(highHalf(channelId), lowHalf(channelId));
    if (row < 0) return 'UNKNOWN_CHANNEL';
    const status = admit(table, table.hot(row), highHalf(amount), lowHalf(amount), this.clock.seconds);
    return status === ADMITTED ? 'ADMITTED' : statusName(status);
  }

  /** Drops that are committed without a claim. */
  raised(channelId: bigint): bigint {
    return this.node.raised.of(openingOf(channelId).ledgerChannelId);
  }

  /** Commits a claim, as the path does. */
  commit(channelId: bigint, amount: bigint): void {
    const { table } = this.node;
    const row = table.find(highHalf(channelId), lowHalf(channelId));
    const claim = signedClaim(channelId, amount);
    table.commit(row, new DataView(claim.buffer, claim.byteOffset), 0);
  }
}
