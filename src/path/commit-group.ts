/**
 * A commit group: the last accepted claim of each channel it touches, and the acks it owes. Commit thread or lane.
 *
 * A lane fills one group while the other is being synced.
 */
import { claimAmountHigh, claimAmountLow } from '../../protocol/claim.ts';
import { isAbove } from '../channel/table.ts';
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
  /** Of the records of leaves, which have no place among the others; only with `--roots`. */
  readonly leafRows: GroupRows | undefined;
  /** The frame that was added last: the entry of the pool that it was in, or -1, and its number in the journal's group. */
  frameEntry = -1;
  frame = -1;
  /** Whether it has no room for the next leaf's frame, and must be written first. */
  isFull = false;

  /** @param hasLeaves whether it takes leaves of Merkle batches */
  constructor(hasLeaves = false) {
    if (hasLeaves) this.leafRows = new GroupRows(GROUP_CLAIMS_MAX, this.rows.rows);
  }

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

  /** The record of the newest leaf of a row, or -1. */
  leafRecordOf(row: number): number {
    return this.leafRows?.find(row) ?? -1;
  }

  /** Makes the leaf in the slot at `bytes[offset]` the row's record of leaves in this group; returns the record. */
  appendLeaf(row: number, bytes: Uint8Array, offset: number): number {
    const record = this.journal.append(bytes, offset);
    this.leafRows!.add(row, record);
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
    this.leafRows?.clear(this.journal.count);
    this.frameEntry = -1;
    this.isFull = false;
    this.journal.clear();
    this.acks.clear();
    this.counts[COUNT_ACCEPTED] = 0;
    this.looked = 0;
    this.passedCount = 0;
  }
}

/** Whether an amount is above that of a record. */
export function isAboveRecord(group: CommitGroup, record: number, amountHigh: number, amountLow: number): boolean {
  const { journal } = group;
  const offset = journal.recordOffset(record);
  return isAbove(amountHigh, amountLow, claimAmountHigh(journal.view, offset), claimAmountLow(journal.view, offset));
}
