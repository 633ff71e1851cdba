/**
 * A node's channels and one lane in memory, as a cluster sees them (src/control/shard-control.ts): claims are staged in a group,
 * the group is appended to the database, then amounts rise and payers are answered. Signatures are left out.
 */
import { CLAIM_AMOUNT, CLAIM_CHANNEL_ID } from '../../protocol/layout.ts';
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import { type Channel, decodeRow, packedRows, ROW_BYTES, UNUSED } from '../../src/channel/row.ts';
import type { ChargeResult } from '../../src/control/meter-control.ts';
import type { ShardControl } from '../../src/control/shard-control.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { RECORD_BYTES } from '../../src/journal/record.ts';
import { AmountWatch } from '../../src/meter/amount-watch.ts';
import { Charges } from '../../src/meter/charges.ts';
import { ShardAccounts } from '../../src/node/shard-accounts.ts';
import { RaisedAmounts } from '../../src/registry/raised.ts';
import type { ClaimDatabase, ClusterState, Fence, ShardSide } from '../../src/store/claim-database.ts';
import { DatabaseSides } from '../../src/store/database-sides.ts';

interface FakeRow {
  channel: Channel;
  shard: number;
  isDirty: boolean;
}

interface Staged {
  channelId: bigint;
  amount: bigint;
  answer: (status: 'committed') => void;
}

function fakeChannel(channelId: bigint, committed = 0n): Channel {
  const ledgerChannelId = new Uint8Array(32);
  new DataView(ledgerChannelId.buffer).setBigUint64(0, channelId);
  const publicKey = new Uint8Array(33).fill(2);
  return {
    ...UNUSED,
    channelId,
    ledgerChannelId,
    publicKey,
    capacity: 1n << 60n,
    committed,
    profile: 'xrpl',
    expiresAt: 0,
  };
}

function recordsOf(staged: readonly Staged[]): Uint8Array {
  const records = new Uint8Array(staged.length * RECORD_BYTES);
  const view = new DataView(records.buffer);
  for (const [index, { channelId, amount }] of staged.entries()) {
    view.setBigUint64(index * RECORD_BYTES + CLAIM_CHANNEL_ID, channelId);
    view.setBigUint64(index * RECORD_BYTES + CLAIM_AMOUNT, amount);
  }
  return records;
}

/** The channel and the amount of each record. */
export function* amountsIn(records: Uint8Array): Iterable<[channelId: bigint, amount: bigint]> {
  const view = new DataView(records.buffer, records.byteOffset);
  for (let at = 0; at < records.length; at += RECORD_BYTES)
    yield [view.getBigUint64(at + CLAIM_CHANNEL_ID), view.getBigUint64(at + CLAIM_AMOUNT)];
}

export class FakeShards implements ShardControl {
  #charges: Charges | undefined;
  #accounts: ShardAccounts | undefined;
  fence: Fence;
  route: ClusterState | undefined;
  /** Called when an append was refused for good, or failed. */
  onFailed: (error: Error) => void = () => {};
  /** Shards are served from now on. */
  onServed: (shards: ReadonlySet<number>) => void = () => {};
  readonly #database: ClaimDatabase;
  readonly #rows = new Map<bigint, FakeRow>();
  readonly #served = new Set<number>();
  #staged: Staged[] = [];
  #underWay: Promise<void> | undefined;
  #changing: Promise<unknown> | undefined;
  #group = 0;
  /** The last group whose amounts have risen here. */
  #applied = 0;
  #hasFailed = false;
  #written: Promise<void> = Promise.resolve();
  /** Who waits until a group is applied. */
  #drains: { last: number; resolve: () => void }[] = [];

  constructor(database: ClaimDatabase, fence: Fence) {
    this.#database = database;
    this.fence = fence;
  }

  /** Opens the side tables and the accounts over them, which are the real ones. */
  async openAccounts(shards: readonly number[]): Promise<void> {
    const write = this.#write.bind(this);
    const sides = await DatabaseSides.load(this.#database, { start: this.fence, write }, shards);
    const raised = new RaisedAmounts(sides);
    const source = {
      committed: (channelId: bigint) => this.committed(channelId),
      ledgerChannelId: (channelId: bigint) => this.#rows.get(channelId)?.channel.ledgerChannelId,
      onCommitted: () => () => {},
    };
    this.#charges = new Charges(source, sides, new AmountWatch(source), {}, raised);
    this.#accounts = new ShardAccounts({ sides, charges: this.#charges, raised });
  }

  async charge(channelId: bigint, drops: bigint, key: string | undefined): Promise<ChargeResult> {
    if (this.#hasFailed) throw new ClaimwireError('NODE_STOPPING', 'the node has failed');
    if (!this.#served.has(shardOfChannel(channelId))) throw new ClaimwireError('MOVED', 'the shard is elsewhere');
    try {
      return await this.#charges!.charge(channelId, drops, { key, wait: false });
    } catch (error) {
      if (error instanceof ClaimwireError && error.code.startsWith('STORE_') && !this.#hasFailed) {
        this.#hasFailed = true;
        this.onFailed(error);
      }
      throw error;
    }
  }
  spent(channelId: bigint): bigint {
    return this.#charges!.spent(channelId);
  }

  /** As HeldFence does. */
  async #write<T>(call: (fence: Fence) => Promise<T>): Promise<T> {
    for (;;) {
      await this.#changing;
      const { fence } = this;
      try {
        return await call(fence);
      } catch (error) {
        const isFenced = error instanceof ClaimwireError && error.code === 'STORE_FENCED';
        await this.#changing;
        if (!isFenced || this.fence === fence) throw error;
      }
    }
  }

  get served(): ReadonlySet<number> {
    return this.#served;
  }
  committed(channelId: bigint): bigint | undefined {
    return this.#rows.get(channelId)?.channel.committed;
  }
  get rows(): number {
    return this.#rows.size;
  }

  /** Opens a channel, durably. @returns false where its shard is not served here, or was given away meanwhile */
  async open(channelId: bigint): Promise<boolean> {
    const rows = packedRows([fakeChannel(channelId)]);
    const { fence } = this;
    try {
      if (!this.#served.has(shardOfChannel(channelId))) return false;
      await this.#database.replaceChannels(fence, rows);
    } catch (error) {
      await this.#changing;
      if (this.fence !== fence) return false;
      throw error;
    }
    this.loadRows(rows);
    return true;
  }

  /** Takes a claim, or refuses it: `moved`, or `stopped` once the node has failed. Answers once it is committed. */
  submit(channelId: bigint, amount: bigint, answer: (status: 'committed') => void): 'staged' | 'moved' | 'stopped' {
    if (this.#hasFailed) return 'stopped';
    if (!this.#served.has(shardOfChannel(channelId)) || !this.#rows.has(channelId)) return 'moved';
    this.#staged.push({ channelId, amount, answer });
    this.#underWay ??= this.#commit().finally(() => {
      this.#underWay = undefined;
    });
    return 'staged';
  }

  fail(): void {
    this.#hasFailed = true;
  }

  async #commit(): Promise<void> {
    while (this.#staged.length > 0 && !this.#hasFailed) {
      const staged = this.#staged;
      this.#staged = [];
      this.#group++;
      if (!(await this.#append(recordsOf(staged)))) return;
      this.#applied = this.#group;
      for (const { channelId, amount, answer } of staged) {
        this.#raise(channelId, amount);
        answer('committed');
      }
      for (const { last, resolve } of this.#drains) if (last <= this.#applied) resolve();
      this.#drains = this.#drains.filter(({ last }) => last > this.#applied);
    }
  }

  async #append(records: Uint8Array): Promise<boolean> {
    for (;;) {
      const { fence } = this;
      try {
        await this.#database.append(fence, 0, this.#group, records);
        return !this.#hasFailed;
      } catch (error) {
        // What the old fence refused while shards are handed over is made again under the new one.
        await this.#changing;
        if (this.fence !== fence && !this.#hasFailed) continue;
        if (!this.#hasFailed) this.onFailed(error as Error);
        this.#hasFailed = true;
        return false;
      }
    }
  }

  #raise(channelId: bigint, amount: bigint): void {
    const row = this.#rows.get(channelId);
    if (row === undefined || amount <= row.channel.committed) return;
    row.channel.committed = amount;
    row.isDirty = true;
  }

  loadRows(rows: Uint8Array): void {
    for (let at = 0; at < rows.length; at += ROW_BYTES) {
      const channel = decodeRow(rows.subarray(at, at + ROW_BYTES));
      this.#rows.set(channel.channelId, { channel, shard: shardOfChannel(channel.channelId), isDirty: false });
    }
  }

  loadSide(side: ShardSide): void {
    this.#accounts!.load(side);
  }

  applyGroups(records: Uint8Array, shards: ReadonlySet<number>): void {
    for (const [channelId, amount] of amountsIn(records))
      if (shards.has(shardOfChannel(channelId))) this.#raise(channelId, amount);
  }

  writeShards(shards: readonly number[]): Promise<void> {
    const written = this.#written.then(() => this.#writeRows(shards));
    this.#written = written.catch(() => {});
    return written;
  }

  /** One after the other: an earlier write that arrived later would set amounts back. */
  async #writeRows(shards: readonly number[]): Promise<void> {
    const wanted = new Set(shards);
    const dirty = [...this.#rows.values()].filter(({ shard, isDirty }) => isDirty && wanted.has(shard));
    if (dirty.length === 0) return;
    for (const row of dirty) row.isDirty = false;
    try {
      await this.#database.replaceChannels(this.fence, packedRows(dirty.map(({ channel }) => channel)));
    } catch (error) {
      for (const row of dirty) row.isDirty = true;
      throw error;
    }
  }

  /** Folds the groups that are applied into the channels, and drops them. */
  async checkpoint(): Promise<void> {
    if (this.#changing !== undefined) return;
    const { fence } = this;
    const below = this.#applied + 1;
    try {
      await this.writeShards(Array.from({ length: SHARDS }, (_, shard) => shard));
      await this.#database.dropGroups(fence, [below]);
    } catch (error) {
      await this.#changing;
      if (this.fence === fence && !this.#hasFailed) this.onFailed(error as Error);
    }
  }

  serveShards(shards: readonly number[]): void {
    this.#accounts!.serve(shards);
    for (const shard of shards) this.#served.add(shard);
    this.onServed(new Set(shards));
  }

  async drainShards(shards: readonly number[]): Promise<void> {
    for (const shard of shards) this.#served.delete(shard);
    await this.#accounts!.drain(shards);
    const last = this.#group + (this.#staged.length > 0 ? 1 : 0);
    if (this.#applied < last) await new Promise<void>((resolve) => this.#drains.push({ last, resolve }));
  }

  async changeFence(change: (fence: Fence) => Promise<Fence>): Promise<void> {
    const changing = change(this.fence).then((fence) => {
      this.fence = fence;
    });
    this.#changing = changing.catch(() => {});
    try {
      await changing;
    } finally {
      this.#changing = undefined;
    }
  }

  dropShards(shards: readonly number[]): void {
    const gone = new Set(shards);
    for (const [channelId, { shard }] of this.#rows) if (gone.has(shard)) this.#rows.delete(channelId);
    this.#accounts!.drop(shards);
  }

  confirm(): void {}

  setRoute(map: ClusterState): void {
    this.route = map;
  }
}
