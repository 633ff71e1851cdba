/**
 * Redemptions on stable storage: what is about to be submitted is written first, with its hash, so that a process that ends
 * at any instant finds it again and never pays a second fee for it. A side table; the newest HISTORY_MAX stay. Main thread.
 *
 * Where nodes share a store, an entry belongs to the shard of its channel: whoever gets the shard finds what is pending.
 */
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import type { RedemptionRecord } from '../control/ledger-control.ts';
import { assert, ClaimwireError } from '../errors.ts';
import type { SideChange, SideTables } from '../registry/side-tables.ts';

/** One transaction, from before its submission on. Amounts in drops. */
export interface Redemption extends RedemptionRecord {
  /** The entry's key: it rises with time. */
  id: bigint;
  /** Who signed it; undefined in an entry of an earlier version. */
  account?: string | undefined;
  /** Signed, in hex; empty once it is final. */
  blob: string;
  /** It cannot be in an earlier ledger. */
  firstLedger: number;
  /** The channel's Balance before, and what it shall be after. */
  balanceBefore: bigint;
  balance: bigint;
}

/** What is known once a redemption is final. */
export type RedemptionEnd = Pick<Redemption, 'paid' | 'reason' | 'endedAt' | 'feeDrops'> & {
  state: Exclude<Redemption['state'], 'pending'>;
};

export const REDEMPTIONS_TABLE = 'redemptions';
/** Final ones that stay to be listed. */
const HISTORY_MAX = 10_000;
/** Entries that one commit forgets: after a takeover there may be twice as many as stay. */
const FORGOTTEN_MAX = 64;
const KEY_BYTES = 8;
const BIG_FIELDS = ['id', 'channelId', 'balanceBefore', 'balance', 'feeDrops', 'paid'] as const;
/** An id where nodes share a store: the second, a counter of 20 bits, and the shard, so that no two shards have the same. */
const SHARD_IDS = BigInt(SHARDS);
const SECOND_IDS = 2n ** 20n * SHARD_IDS;

export class RedemptionJournal {
  readonly #tables: SideTables;
  readonly #historyMax: number;
  /** Of all entries, rising. */
  #ids: bigint[] = [];
  readonly #pending = new Map<bigint, Redemption>();
  /** Those of shards that are being given away, with what is pending. */
  readonly #parked = new Map<bigint, Redemption | undefined>();
  /** Unix seconds at which a channel was paid last. */
  readonly #paidAt = new Map<bigint, number>();
  /** Drops that a ledger channel has paid out in all, as far as redemptions tell. */
  readonly #paidOut = new Map<string, bigint>();

  /** Reads what is there. Throws REGISTRY_CORRUPT for an entry that this program did not write. */
  constructor(tables: SideTables, historyMax = HISTORY_MAX) {
    this.#tables = tables;
    this.#historyMax = historyMax;
    this.load(tables.entries(REDEMPTIONS_TABLE));
  }

  /** Those that may still be validated, oldest first. */
  pending(): Redemption[] {
    return [...this.#pending.values()];
  }

  pendingOf(channelId: bigint): Redemption | undefined {
    return this.pending().find((redemption) => redemption.channelId === channelId);
  }

  /** Unix seconds at which the channel was paid last; 0 where that is not known. */
  paidAt(channelId: bigint): number {
    return this.#paidAt.get(channelId) ?? 0;
  }

  /** Drops that a ledger channel has paid out at least, in all: a server that is behind may know of less. */
  paidOut(ledgerChannelId: string): bigint {
    return this.#paidOut.get(ledgerChannelId) ?? 0n;
  }

  /** The newest, newest first. */
  newest(limit: number): Redemption[] {
    const ids = this.#ids.slice(-limit).reverse();
    return ids.flatMap((id) => {
      const key = keyOf(id);
      const value = this.#tables.get(REDEMPTIONS_TABLE, key);
      // One whose first commit is under way is not there yet.
      return value === undefined ? [] : [decode(key, value)];
    });
  }

  /** Writes an intent. Only after it resolves may the transaction be submitted. */
  async begin(intent: Omit<Redemption, 'id' | 'state' | 'paid' | 'reason' | 'endedAt'>): Promise<Redemption> {
    const id = this.#newId(intent);
    const redemption: Redemption = { ...intent, id, state: 'pending', paid: 0n, reason: '', endedAt: 0 };
    this.#ids.push(id);
    this.#ids.sort(ascending);
    const forgotten = this.#surplus();
    try {
      await this.#tables.commit([entryOf(redemption), ...forgotten.map((old) => this.#removalOf(old))]);
    } catch (error) {
      this.#forget([id]);
      throw error;
    }
    this.#forget(forgotten);
    this.#keep(id, redemption);
    return redemption;
  }

  /** Writes how a redemption ended. */
  async end(redemption: Redemption, end: RedemptionEnd): Promise<Redemption> {
    const ended: Redemption = { ...redemption, ...end, blob: '' };
    await this.#tables.commit([entryOf(ended)]);
    this.#keep(ended.id, undefined);
    if (ended.state === 'paid') this.#notePaid(ended);
    return ended;
  }

  /** Takes in entries, also those of shards that the node gets. Throws REGISTRY_CORRUPT. @returns what they say */
  load(entries: Iterable<readonly [Uint8Array, Uint8Array]>): Redemption[] {
    const loaded = [...entries].map(([key, value]) => decode(key, value));
    const ids = new Set([...this.#ids, ...loaded.map(({ id }) => id)]);
    this.#ids = [...ids].sort(ascending);
    for (const redemption of loaded) {
      const { id, state } = redemption;
      if (state === 'pending') this.#pending.set(id, redemption);
      if (state === 'paid') this.#notePaid(redemption);
    }
    return loaded;
  }

  #notePaid({ channelId, ledgerChannelId, endedAt, balanceBefore, paid }: Redemption): void {
    this.#paidAt.set(channelId, Math.max(endedAt, this.paidAt(channelId)));
    const paidOut = balanceBefore + paid;
    if (paidOut > this.paidOut(ledgerChannelId)) this.#paidOut.set(ledgerChannelId, paidOut);
  }

  /** Leaves the entries of these shards alone, until `serve` or `drop`. */
  drain(shards: ReadonlySet<number>): void {
    const parked = this.#ids.filter((id) => this.#isIn(id, shards));
    for (const id of parked) this.#parked.set(id, this.#pending.get(id));
    this.#forget(parked);
  }
  serve(shards: ReadonlySet<number>): void {
    for (const [id, pending] of this.#parked) {
      if (!this.#isIn(id, shards)) continue;
      this.#parked.delete(id);
      this.#ids.push(id);
      if (pending !== undefined) this.#pending.set(id, pending);
    }
    this.#ids = [...new Set(this.#ids)].sort(ascending);
  }
  drop(shards: ReadonlySet<number>): void {
    for (const id of this.#parked.keys()) if (this.#isIn(id, shards)) this.#parked.delete(id);
  }

  /** Takes note of what is pending, also where its shard is being given away: it may stay. */
  #keep(id: bigint, pending: Redemption | undefined): void {
    if (this.#parked.has(id)) this.#parked.set(id, pending);
    else if (pending === undefined) this.#pending.delete(id);
    else if (this.#ids.includes(id)) this.#pending.set(id, pending);
  }

  #isIn(id: bigint, shards: ReadonlySet<number>): boolean {
    return this.#tables.isSharded === true && shards.has(Number(id % SHARD_IDS));
  }

  #newId({ channelId, startedAt }: Pick<Redemption, 'channelId' | 'startedAt'>): bigint {
    if (this.#tables.isSharded !== true) return (this.#ids.at(-1) ?? -1n) + 1n;
    let id = BigInt(startedAt) * SECOND_IDS + BigInt(shardOfChannel(channelId));
    while (this.#ids.includes(id)) id += SHARD_IDS;
    return id;
  }

  /** The oldest over the limit, but none that is pending. */
  #surplus(): bigint[] {
    const over = Math.min(FORGOTTEN_MAX, this.#ids.length - this.#historyMax);
    return over <= 0 ? [] : this.#ids.filter((id) => !this.#pending.has(id)).slice(0, over);
  }

  #forget(ids: readonly bigint[]): void {
    if (ids.length === 0) return;
    const gone = new Set(ids);
    this.#ids = this.#ids.filter((id) => !gone.has(id));
    for (const id of ids) this.#pending.delete(id);
  }

  #removalOf(id: bigint): SideChange {
    const shard = this.#tables.isSharded === true ? Number(id % SHARD_IDS) : undefined;
    return { table: REDEMPTIONS_TABLE, key: keyOf(id), shard };
  }
}

function ascending(left: bigint, right: bigint): number {
  return left < right ? -1 : Number(left > right);
}

function keyOf(id: bigint): Uint8Array {
  const key = new Uint8Array(KEY_BYTES);
  new DataView(key.buffer).setBigUint64(0, id);
  return key;
}

function entryOf(redemption: Redemption): SideChange {
  const text = JSON.stringify(redemption, (_name, value) => (typeof value === 'bigint' ? value.toString() : value));
  const shard = shardOfChannel(redemption.channelId);
  return { table: REDEMPTIONS_TABLE, key: keyOf(redemption.id), value: Buffer.from(text), shard };
}

function decode(key: Uint8Array, value: Uint8Array): Redemption {
  try {
    const fields = JSON.parse(Buffer.from(value).toString()) as Record<string, unknown>;
    for (const name of BIG_FIELDS) fields[name] = BigInt(fields[name] as string);
    const redemption = fields as unknown as Redemption;
    assert(Buffer.compare(keyOf(redemption.id), key) === 0, 'a redemption lies at its key');
    return redemption;
  } catch (error) {
    const text = `side table ${REDEMPTIONS_TABLE}: expected a redemption at ${Buffer.from(key).toString('hex')}, got something else`;
    throw new ClaimwireError('REGISTRY_CORRUPT', text, {}, { cause: error });
  }
}
