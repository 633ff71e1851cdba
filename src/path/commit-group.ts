/**
 * A commit group: the last accepted claim of each channel it touches, and the acks it owes. Commit thread or lane.
 *
 * A lane fills one group while the other is being synced.
 */
import { JournalGroup } from '../journal/group.ts';
import { GroupAcks } from './group-acks.ts';
import { GroupRows } from './group-rows.ts';

/** Claims considered for one group, whether or not they become records: this bounds its latency and its acks. */
export const GROUP_CLAIMS_MAX = 4_096;

/** The word of `counts` for accepted claims, and the length of `counts`. */
export const COUNT_ACCEPTED = 1;
export const COUNTS = 3;

export class CommitGroup {
  /** How many records, accepted claims and acks there are, by COUNT_*. C counts here too. */
  readonly counts = new Uint32Array(COUNTS);
  readonly journal = new JournalGroup(GROUP_CLAIMS_MAX, this.counts);
  /** Twice the claims: while this group is being synced, as many later claims may be covered by it. */
  readonly acks = new GroupAcks(GROUP_CLAIMS_MAX * 2, this.counts);
  /** Claims considered since the group was opened. */
  looked = 0;
  /** Ring sequence after its last claim. */
  end = 0;
  /** When it was written and durable, as PathMeasures.now says. */
  writtenAt = 0;
  durableAt = 0;
  /** The sequences of the claims that were looked at and not accepted, ascending. */
  readonly passed = new Uint32Array(GROUP_CLAIMS_MAX);
  passedCount = 0;
  readonly rows = new GroupRows(GROUP_CLAIMS_MAX);

  /** How many claims it covers. */
  get accepted(): number {
    return this.counts[COUNT_ACCEPTED]!;
  }

  /** The record of a row's claim, or -1. */
  recordOf(row: number): number {
    return this.rows.find(row);
  }
  rowOf(record: number): number {
    return this.rows.rows[record]!;
  }

  /** Makes the claim at `bytes[offset]` the row's record in this group; returns the record. */
  append(row: number, bytes: Uint8Array, offset: number): number {
    const record = this.journal.append(bytes, offset);
    this.rows.add(row, record);
    return record;
  }

  /** `record` covers a claim from the source at `words[at]`: counts it, and owes it an ack. */
  accept(record: number, words: Uint32Array, at: number): void {
    this.counts[COUNT_ACCEPTED]!++;
    this.acks.add(record, words, at);
  }

  /** The claim of this sequence is refused, or leaves its place to a newer one. */
  passOver(sequence: number): void {
    this.passed[this.passedCount++] = sequence;
  }

  clear(): void {
    this.rows.clear(this.journal.count);
    this.journal.clear();
    this.acks.clear();
    this.counts[COUNT_ACCEPTED] = 0;
    this.looked = 0;
    this.passedCount = 0;
  }
}
