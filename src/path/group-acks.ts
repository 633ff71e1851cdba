/**
 * The acks a group owes: one per channel and source, whatever the number of claims. Commit thread or lane.
 *
 * The entries of a record form a chain, newest first. A source is looked for in the chain's first few entries; beyond
 * that it may be owed a second ack of the same group, which still is no more than one per claim.
 */
import { SOURCE_WORDS } from '../ring/slot.ts';

export const CHAIN_LOOKUPS_MAX = 8;
const NONE = 0;
/** Word of a group's counts. */
export const COUNT_ACKS = 2;

export class GroupAcks {
  /** Sources, five words an entry. */
  readonly words: Uint32Array;
  readonly records: Uint32Array;
  /** Entry + 1 of the next older entry of the same record. */
  readonly next: Uint32Array;
  /** Entry + 1 of each record's newest entry. */
  readonly heads: Uint32Array;
  readonly #counts: Uint32Array;

  /**
   * @param max claims in a group: most entries and most records there can be
   * @param counts where word COUNT_ACKS says how many entries there are
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

  /** The source at `words[at]` sent a claim that record `record` covers. */
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
  /** Index into `words` of an entry's source. */
  source(entry: number): number {
    return entry * SOURCE_WORDS;
  }

  clear(): void {
    for (let entry = 0; entry < this.count; entry++) this.heads[this.records[entry]!] = NONE;
    this.#counts[COUNT_ACKS] = 0;
  }

  #isSource(entry: number, words: Uint32Array, at: number): boolean {
    const base = entry * SOURCE_WORDS;
    // The first byte of a source block is a claim byte: shifted out.
    if (this.words[base]! >>> 8 !== words[at]! >>> 8) return false;
    for (let index = 1; index < SOURCE_WORDS; index++) if (this.words[base + index] !== words[at + index]) return false;
    return true;
  }
}
