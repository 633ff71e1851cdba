/**
 * The latest charges that had a key, so that a charge which is asked for again is not made again. Main thread.
 *
 * The log on the disk has the latest `CHARGES_KEPT` charges, and fewer than `ROW_CHARGES` more: new ones remove the oldest
 * in the same commit, so a key is known for as long as fewer keyed charges than that were made on the node since. In
 * memory there are only fingerprints and numbers; the drops of a charge are read again.
 */
import type { SideChange, SideTables } from '../registry/side-tables.ts';
import {
  chargesIn,
  dropsAt,
  extendedRow,
  LOG_TABLE,
  type LoggedCharge,
  nameAt,
  ROW_CHARGES,
  rowKey,
  rowNumber,
  writeCharge,
} from './charge-record.ts';
import { FingerprintIndex } from './fingerprint-index.ts';

/** 52 seconds at 20,000 keyed charges a second, 17 minutes at 1,000: retries come sooner. About 35 MB on the disk. */
export const CHARGES_KEPT = 2 ** 20;

type LogRows = Iterable<readonly [key: Uint8Array, value: Uint8Array]>;

export class ChargeLog {
  readonly #tables: SideTables;
  /** Of whose channels the log has the charges; undefined where it has all. */
  readonly #shard: number | undefined;
  readonly #kept: number;
  readonly #index: FingerprintIndex;
  /** The number of the next charge. */
  #next = 0;
  /** The number of the first entry on the disk. */
  #firstRow = 0;
  /** The same, once the changes that were asked for are committed. */
  #draftFirstRow = 0;
  /** The last entry, where it is not full. What lies behind its charges is not theirs. */
  #tail: Uint8Array = new Uint8Array();
  /** The last entry, once the changes that were asked for are committed. */
  #draft: Uint8Array = this.#tail;

  /** Reads the log: half a second for a million charges. */
  constructor(
    tables: SideTables,
    kept: number = CHARGES_KEPT,
    rows: LogRows = tables.entries(LOG_TABLE),
    shard?: number,
  ) {
    this.#tables = tables;
    this.#kept = kept;
    this.#shard = shard;
    this.#index = new FingerprintIndex(kept);
    let isFirst = true;
    for (const [key, value] of rows) {
      const row = rowNumber(key);
      if (isFirst) this.#firstRow = row;
      isFirst = false;
      this.#next = row * ROW_CHARGES;
      for (let index = 0; index < chargesIn(value); index++) this.#index.add(nameAt(value, index), this.#next++);
      this.#tail = value;
    }
    this.#index.forgetBelow(this.#next - kept);
  }

  /** Number of charges on the disk. */
  get size(): number {
    return this.#next - this.#firstRow * ROW_CHARGES;
  }

  /** Drops of the charge with this name, if it is among those kept. */
  find(name: string): bigint | undefined {
    const number = this.#index.find(name);
    if (number === undefined) return undefined;
    const row = Math.floor(number / ROW_CHARGES);
    const bytes = this.#tables.get(LOG_TABLE, rowKey(row, this.#shard));
    return bytes === undefined ? undefined : dropsAt(bytes, number % ROW_CHARGES);
  }

  /**
   * The changes that add charges and forget as many old ones, and `forgotten` entries more. Call `added` once they are committed.
   */
  changes(charges: readonly LoggedCharge[], forgotten = 0): SideChange[] {
    const shard = this.#shard;
    const changes: SideChange[] = [];
    for (let done = 0; done < charges.length; ) {
      const number = this.#next + done;
      const held = number % ROW_CHARGES;
      const count = Math.min(ROW_CHARGES - held, charges.length - done);
      const value = extendedRow(this.#tail, held, count);
      for (let index = 0; index < count; index++) writeCharge(value, held + index, charges[done + index]!);
      changes.push({ table: LOG_TABLE, key: rowKey((number - held) / ROW_CHARGES, shard), value, shard });
      this.#draft = value;
      done += count;
    }
    const next = this.#next + charges.length;
    const kept = Math.max(this.#firstKept(next), this.#firstRow + forgotten);
    this.#draftFirstRow = Math.min(kept, Math.floor(next / ROW_CHARGES));
    for (let row = this.#firstRow; row < this.#draftFirstRow; row++)
      changes.push({ table: LOG_TABLE, key: rowKey(row, shard), shard });
    return changes;
  }

  /** The changes for these charges have been committed. */
  added(charges: readonly LoggedCharge[]): void {
    for (const { name } of charges) this.#index.add(name!, this.#next++);
    if (charges.length > 0) this.#tail = this.#draft;
    this.#firstRow = Math.max(this.#firstRow, this.#draftFirstRow);
    this.#index.forgetBelow(Math.max(this.#next - this.#kept, this.#firstRow * ROW_CHARGES));
  }

  /** The number of the first entry with a charge that is kept when `next` is the number of the next charge. */
  #firstKept(next: number): number {
    return Math.floor(Math.max(0, next - this.#kept) / ROW_CHARGES);
  }
}
