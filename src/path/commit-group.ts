/**
 * A commit group: the last accepted claim of each channel it touches, and the acks it owes. Commit thread or lane.
 *
 * A lane fills one while the other is at the disk. A row's record is found by row number: 4 bytes a row of address space,
 * of which only the rows in use are ever touched.
 */
import { JournalGroup } from '../journal/group.ts';
import { GroupAcks } from './group-acks.ts';

/** Claims looked at for one group, records or not: bounds its latency and the acks it owes. */
export const GROUP_CLAIMS_MAX = 4_096;

/** Word of a group's counts, and how many words there are. */
export const COUNT_ACCEPTED = 1;
export const COUNTS = 3;

export class CommitGroup {
  /** Words COUNT_*: how many records, accepted claims and acks; C counts there too. */
  readonly counts = new Uint32Array(COUNTS);
  readonly journal = new JournalGroup(GROUP_CLAIMS_MAX, this.counts);
  /** While this group is at the disk, as many claims again may find that it covers them. */
  readonly acks = new GroupAcks(GROUP_CLAIMS_MAX * 2, this.counts);
  /** Claims looked at since it was opened. */
  looked = 0;
  /** Ring sequence behind its last claim. */
  end = 0;
  /** Per row its record + 1, or 0; per record its row. */
  readonly recordOfRow: Uint32Array;
  readonly rowOfRecord = new Uint32Array(GROUP_CLAIMS_MAX);

  /** @param rows capacity of the channel table */
  constructor(rows: number) {
    this.recordOfRow = new Uint32Array(rows);
  }

  /** Claims it covers. */
  get accepted(): number {
    return this.counts[COUNT_ACCEPTED]!;
  }

  /** Record of a row's claim, or -1. */
  recordOf(row: number): number {
    return this.recordOfRow[row]! - 1;
  }
  rowOf(record: number): number {
    return this.rowOfRecord[record]!;
  }

  /** Stages the claim at `bytes[offset]` as the row's first in this group; returns its record. */
  append(row: number, bytes: Uint8Array, offset: number): number {
    const record = this.journal.append(bytes, offset);
    this.recordOfRow[row] = record + 1;
    this.rowOfRecord[record] = row;
    return record;
  }

  /** A claim from the source at `words[at]` is covered by `record`. */
  accept(record: number, words: Uint32Array, at: number): void {
    this.counts[COUNT_ACCEPTED]!++;
    this.acks.add(record, words, at);
  }

  clear(): void {
    for (let record = 0; record < this.journal.count; record++) this.recordOfRow[this.rowOfRecord[record]!] = 0;
    this.journal.clear();
    this.acks.clear();
    this.counts[COUNT_ACCEPTED] = 0;
    this.looked = 0;
  }
}
