/**
 * Which record of a commit group each row has. Commit thread or lane.
 *
 * As large as a group, not as the channel table, which may have millions of rows. Rows whose numbers end in the same bits form a
 * chain, newest first. Rows are numbered in the order of opening, so nobody picks them: chains are short, and the longest has as
 * many records as a group.
 */
const HEAD_BITS = 13;
/** Twice the claims of the largest group. While there are no more rows, each has a head of its own. */
export const ROW_HEADS = 1 << HEAD_BITS;
/** So that rows at such a distance from each other have different heads. */
export const ROW_FOLD = HEAD_BITS;
const NONE = 0;

export class GroupRows {
  /** The row of each record. */
  readonly rows: Uint32Array;
  /** For each chain its newest record, + 1; or 0. */
  readonly heads = new Uint32Array(ROW_HEADS);
  /** For each record the next older one of its chain, + 1; or 0. */
  readonly next: Uint32Array;

  /**
   * @param records the most that there can be
   * @param rows those of another index over the same records, of which each row may then have one in either
   */
  constructor(records: number, rows: Uint32Array = new Uint32Array(records)) {
    this.rows = rows;
    this.next = new Uint32Array(records);
  }

  /** The record of a row, or -1. */
  find(row: number): number {
    let entry = this.heads[headOf(row)]!;
    while (entry !== NONE && this.rows[entry - 1] !== row) entry = this.next[entry - 1]!;
    return entry - 1;
  }

  /** Adds a row that has no record yet. */
  add(row: number, record: number): void {
    const head = headOf(row);
    this.rows[record] = row;
    this.next[record] = this.heads[head]!;
    this.heads[head] = record + 1;
  }

  /** Removes the first `count` records, which are all there are. */
  clear(count: number): void {
    for (let record = 0; record < count; record++) this.heads[headOf(this.rows[record]!)] = NONE;
  }
}

function headOf(row: number): number {
  return (row ^ (row >>> ROW_FOLD)) & (ROW_HEADS - 1);
}
