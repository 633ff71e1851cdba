/**
 * The stage step's part for leaves of Merkle batches: a judged leaf joins the open commit group with its frame, or is refused.
 * Commit thread or lane; only with `--roots`.
 *
 * A leaf has a record of its own in the group, beside that of a claim of the same channel: neither says what the other does. The
 * journal gets the frame instead, once a group, with a bit for each leaf that the group accepted.
 */
import { claimAmountHigh, claimAmountLow, claimSequence } from '../../protocol/claim.ts';
import { STATUS } from '../../protocol/layout.ts';
import type { RootedRows } from '../channel/rooted.ts';
import { type ChannelTable, FLAG_LINK, HOT_FLAGS, isAbove } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import { ENTRY_ANSWERS, ENTRY_FRAME, ENTRY_NOTED, ENTRY_SIZE } from '../ring/frame-pool.ts';
import { SLOT_FRAME, SLOT_LEAF, SLOT_ROW, SLOT_SOURCE } from '../ring/slot.ts';
import { type CommitGroup, isAboveRecord } from './commit-group.ts';
import type { Standing } from './standing.ts';

/** What becomes of a leaf: it is staged, its group has no room for its frame, or it is refused with a status. */
export const LEAF_STAGED = -1;
export const LEAF_WAITS = -2;

export interface LeafStageOptions {
  arena: Arena;
  table: ChannelTable;
  rooted: RootedRows;
  standing: Standing | undefined;
}

export class LeafStage {
  readonly #arena: Arena;
  readonly #table: ChannelTable;
  readonly #rooted: RootedRows;
  readonly #standing: Standing | undefined;

  constructor({ arena, table, rooted, standing }: LeafStageOptions) {
    this.#arena = arena;
    this.#table = table;
    this.#rooted = rooted;
    this.#standing = standing;
  }

  /** Stages the valid leaf in `slot`, which breaks no rule of `admit`. Returns LEAF_STAGED, LEAF_WAITS or a status. */
  stage(open: CommitGroup, syncing: CommitGroup | undefined, slot: number): number {
    const { view, words } = this.#arena;
    const row = words[(slot + SLOT_ROW) >>> 2]!;
    const source = (slot + SLOT_SOURCE) >>> 2;
    const high = claimAmountHigh(view, slot);
    const low = claimAmountLow(view, slot);
    if (this.#isCovered(open, row, high, low, source)) return LEAF_STAGED;
    if (syncing !== undefined && this.#isCovered(syncing, row, high, low, source)) return LEAF_STAGED;
    const hot = this.#table.hot(row);
    if ((words[hot + HOT_FLAGS]! & FLAG_LINK) !== 0 && !this.#sequenceRises(open, syncing, row, hot, slot))
      return STATUS.BAD_SEQUENCE;
    this.#rooted.mark(row);
    // Before its frame joins the group, which writes none without a leaf. What is reserved for a leaf that waits is its own in the next group.
    if (!this.#rooted.reserve(row, high, low)) return STATUS.ROOT_EXPOSURE;
    const frame = this.#frameIn(open, view.getUint32(slot + SLOT_FRAME));
    if (frame < 0) return LEAF_WAITS;
    let record = open.leafRecordOf(row);
    if (record >= 0) open.journal.replace(record, this.#arena.bytes, slot);
    else record = open.appendLeaf(row, this.#arena.bytes, slot);
    open.journal.acceptLeaf(record, frame, view.getUint32(slot + SLOT_LEAF));
    open.accept(record, words, source);
    return LEAF_STAGED;
  }

  /**
   * Whether a leaf of a frame that failed is answered: as many are as the frame has bytes for. The frame counts as one failure of
   * its source and of the channel of its first leaf.
   */
  mayAnswer(slot: number, nowSeconds: number): boolean {
    const { view, words } = this.#arena;
    const entry = view.getUint32(slot + SLOT_FRAME) >>> 2;
    if (words[entry + ENTRY_NOTED] === 0) {
      words[entry + ENTRY_NOTED] = 1;
      const row = words[(slot + SLOT_ROW) >>> 2]!;
      this.#standing?.failed(words, (slot + SLOT_SOURCE) >>> 2, row, this.#table.hot(row), nowSeconds);
    }
    if (words[entry + ENTRY_ANSWERS] === 0) return false;
    words[entry + ENTRY_ANSWERS]!--;
    return true;
  }

  /** Whether a leaf or a claim in the group is for as much: then it covers this one. */
  #isCovered(group: CommitGroup, row: number, high: number, low: number, source: number): boolean {
    let record = group.leafRecordOf(row);
    if (record < 0 || isAboveRecord(group, record, high, low)) record = group.recordOf(row);
    if (record < 0 || isAboveRecord(group, record, high, low)) return false;
    group.accept(record, this.#arena.words, source);
    return true;
  }

  /** Rule 8: the leaf's sequence is above that of all that is staged or committed for less. */
  #sequenceRises(open: CommitGroup, syncing: CommitGroup | undefined, row: number, hot: number, slot: number): boolean {
    const sequence = claimSequence(this.#arena.view, slot);
    if (!this.#table.isUnused(hot) && sequence <= this.#table.sequence(hot)) return false;
    return isAboveStaged(open, row, sequence) && (syncing === undefined || isAboveStaged(syncing, row, sequence));
  }

  /**
   * Rule 8 for a claim on its own of a `link` channel with leaves: its sequence is above that of the claim before it, and above those of
   * the leaves that are for less. A leaf for more says nothing of it, since the claim may have been signed before.
   */
  claimRises(open: CommitGroup, syncing: CommitGroup | undefined, row: number, hot: number, slot: number): boolean {
    const { view } = this.#arena;
    const sequence = claimSequence(view, slot);
    const [high, low] = [claimAmountHigh(view, slot), claimAmountLow(view, slot)];
    if (!this.#rooted.risesAboveOwn(row, hot, sequence)) return false;
    const table = this.#table;
    const isAboveAll = isAbove(high, low, table.committedHigh(hot), table.committedLow(hot));
    if (isAboveAll && !table.isUnused(hot) && sequence <= table.sequence(hot)) return false;
    for (const group of syncing === undefined ? [open] : [open, syncing]) {
      if (!isAboveRecordSequence(group, group.recordOf(row), sequence)) return false;
      const leaf = group.leafRecordOf(row);
      if (leaf >= 0 && isAboveRecord(group, leaf, high, low) && !isAboveRecordSequence(group, leaf, sequence))
        return false;
    }
    return true;
  }

  /** The number of the frame in the group, -1 where there is no room for it. Leaves of a frame come one after the other. */
  #frameIn(open: CommitGroup, entry: number): number {
    if (open.frameEntry === entry) return open.frame;
    const frame = open.journal.addFrame(
      this.#arena.bytes,
      entry + ENTRY_FRAME,
      this.#arena.words[(entry >>> 2) + ENTRY_SIZE]!,
    );
    open.isFull = frame < 0;
    if (frame < 0) return -1;
    open.frameEntry = entry;
    open.frame = frame;
    return frame;
  }
}

/** Whether a sequence is above that of a record, if there is one. */
function isAboveRecordSequence(group: CommitGroup, record: number, sequence: number): boolean {
  return record < 0 || sequence > claimSequence(group.journal.view, group.journal.recordOffset(record));
}

/** Whether a sequence is above those of a row's leaf and claim in the group. */
function isAboveStaged(group: CommitGroup, row: number, sequence: number): boolean {
  return (
    isAboveRecordSequence(group, group.leafRecordOf(row), sequence) &&
    isAboveRecordSequence(group, group.recordOf(row), sequence)
  );
}
