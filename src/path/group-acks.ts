/**
 * The acks a group owes: one per channel and source, however many claims it covers. Commit thread or lane.
 *
 * The entries of a record form a chain, newest first. A source is looked for in the first few entries only; further on it
 * may be owed a second ack of the same group, which is still at most one per claim.
 */
import { SOURCE_WORDS } from '../ring/slot.ts';

export const CHAIN_LOOKUPS_MAX = 8;
const NONE = 0;
/** The word of a group's counts for acks. */
export const COUNT_ACKS = 2;

export class GroupAcks {
  /** The source of each entry, five words. */
  readonly words: Uint32Array;
  readonly records: Uint32Array;
  /** For each entry, the next older entry of the same record, + 1; or 0. */
  readonly next: Uint32Array;
  /** For each record its newest entry, + 1; or 0. */
  readonly heads: Uint32Array;
  readonly #counts: Uint32Array;

  /**
   * @param max the most entries, and the most records, that there can be
   * @param counts its word COUNT_ACKS is the number of entries
   */
  constructor(max: number, counts: Uint32Array) {
    this.#counts = counts;
    this.words = new Uint32Array(max * SOURCE_WORDS);
    this.records = new Uint32Array(max);
    this.next = new Uint32Array(max);
    this.heads = new Uint32Array(max);
  }

  get count(): number {
    return this.#counts[COUNT_ACKS]!;
  }

  /** Owes an ack of `record` to the source at `words[at]`. */
  add(record: number, words: Uint32Array, at: number): void {
    let entry = this.heads[record]!;
    for (let looked = 0; entry !== NONE && looked < CHAIN_LOOKUPS_MAX; looked++) {
      if (this.#isSource(entry - 1, words, at)) return;
      entry = this.next[entry - 1]!;
    }
    const added = this.#counts[COUNT_ACKS]!;
    this.#counts[COUNT_ACKS] = added + 1;
    this.records[added] = record;
    this.next[added] = this.heads[record]!;
    this.heads[record] = added + 1;
    for (let index = 0; index < SOURCE_WORDS; index++) this.words[added * SOURCE_WORDS + index] = words[at + index]!;
  }

  record(entry: number): number {
    return this.records[entry]!;
  }
  /** The index into `words` of an entry's source. */
  source(entry: number): number {
    return entry * SOURCE_WORDS;
  }

  clear(): void {
    for (let entry = 0; entry < this.count; entry++) this.heads[this.records[entry]!] = NONE;
    this.#counts[COUNT_ACKS] = 0;
  }

  #isSource(entry: number, words: Uint32Array, at: number): boolean {
    const base = entry * SOURCE_WORDS;
    // The shift removes the first byte, which belongs to a claim.
    if (this.words[base]! >>> 8 !== words[at]! >>> 8) return false;
    for (let index = 1; index < SOURCE_WORDS; index++) if (this.words[base + index] !== words[at + index]) return false;
    return true;
  }
}
