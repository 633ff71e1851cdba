/**
 * Redemptions on stable storage: what is about to be submitted is written first, with its hash, so that a process that ends
 * at any instant finds it again and never pays a second fee for it. A side table; the newest HISTORY_MAX stay. Main thread.
 */
import type { RedemptionRecord } from '../control/ledger-control.ts';
import { assert, ClaimwireError } from '../errors.ts';
import type { SideChange, SideTables } from '../registry/side-tables.ts';

/** One transaction, from before its submission on. Amounts in drops. */
export interface Redemption extends RedemptionRecord {
  /** Counts up, and is the entry's key. */
  id: bigint;
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

const TABLE = 'redemptions';
/** Final ones that stay to be listed. */
const HISTORY_MAX = 10_000n;
const KEY_BYTES = 8;
const BIG_FIELDS = ['id', 'channelId', 'balanceBefore', 'balance', 'feeDrops', 'paid'] as const;

export class RedemptionJournal {
  readonly #tables: SideTables;
  readonly #historyMax: bigint;
  readonly #pending = new Map<bigint, Redemption>();
  /** Unix seconds at which a channel was paid last. */
  readonly #paidAt = new Map<bigint, number>();
  #oldest = 0n;
  #next = 0n;

  /** Reads what is there. Throws REGISTRY_CORRUPT for an entry that this program did not write. */
  constructor(tables: SideTables, historyMax = HISTORY_MAX) {
    this.#tables = tables;
    this.#historyMax = historyMax;
    let isFirst = true;
    for (const [key, value] of tables.entries(TABLE)) {
      const redemption = decode(key, value);
      if (isFirst) this.#oldest = redemption.id;
      isFirst = false;
      this.#next = redemption.id + 1n;
      if (redemption.state === 'pending') this.#pending.set(redemption.id, redemption);
      if (redemption.state === 'paid') this.#paidAt.set(redemption.channelId, redemption.endedAt);
    }
    if (isFirst) this.#oldest = this.#next;
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

  /** The newest, newest first. */
  newest(limit: number): Redemption[] {
    const first = this.#next - BigInt(limit);
    const from = keyOf(first > this.#oldest ? first : this.#oldest);
    return [...this.#tables.entries(TABLE, from)].map(([key, value]) => decode(key, value)).reverse();
  }

  /** Writes an intent. Only after it resolves may the transaction be submitted. */
  async begin(intent: Omit<Redemption, 'id' | 'state' | 'paid' | 'reason' | 'endedAt'>): Promise<Redemption> {
    const id = this.#next++;
    const redemption: Redemption = { ...intent, id, state: 'pending', paid: 0n, reason: '', endedAt: 0 };
    const changes = [entryOf(redemption), ...this.#removals()];
    await this.#tables.commit(changes);
    this.#pending.set(id, redemption);
    return redemption;
  }

  /** Writes how a redemption ended. */
  async end(redemption: Redemption, end: RedemptionEnd): Promise<Redemption> {
    const ended: Redemption = { ...redemption, ...end, blob: '' };
    await this.#tables.commit([entryOf(ended)]);
    this.#pending.delete(ended.id);
    if (ended.state === 'paid') this.#paidAt.set(ended.channelId, ended.endedAt);
    return ended;
  }

  /** Removes the oldest over the limit, but none that is pending. */
  #removals(): SideChange[] {
    const changes: SideChange[] = [];
    while (this.#next - this.#oldest > this.#historyMax && !this.#pending.has(this.#oldest))
      changes.push({ table: TABLE, key: keyOf(this.#oldest++) });
    return changes;
  }
}

function keyOf(id: bigint): Uint8Array {
  const key = new Uint8Array(KEY_BYTES);
  new DataView(key.buffer).setBigUint64(0, id);
  return key;
}

function entryOf(redemption: Redemption): SideChange {
  const text = JSON.stringify(redemption, (_name, value) => (typeof value === 'bigint' ? value.toString() : value));
  return { table: TABLE, key: keyOf(redemption.id), value: Buffer.from(text) };
}

function decode(key: Uint8Array, value: Uint8Array): Redemption {
  try {
    const fields = JSON.parse(Buffer.from(value).toString()) as Record<string, unknown>;
    for (const name of BIG_FIELDS) fields[name] = BigInt(fields[name] as string);
    const redemption = fields as unknown as Redemption;
    assert(Buffer.compare(keyOf(redemption.id), key) === 0, 'a redemption lies at its key');
    return redemption;
  } catch (error) {
    const text = `side table ${TABLE}: expected a redemption at ${Buffer.from(key).toString('hex')}, got something else`;
    throw new ClaimwireError('REGISTRY_CORRUPT', text, {}, { cause: error });
  }
}
