/**
 * The commit step: judged claims, in ring order, become one journal group, one sync, balances, and acks. Commit thread
 * or lane; the only writer of balances (of its lane).
 *
 * A group holds the last accepted claim of each channel. Nothing is visible before the sync: the table moves and the
 * acks go out after it, so "committed" means durable wherever it is read. The group shapes itself: whatever was judged
 * when the step began, up to the group's bound.
 */
import { claimAmountHigh, claimAmountLow, claimSequence } from '../../protocol/claim.ts';
import { STATUS } from '../../protocol/layout.ts';
import { ADMITTED, admit } from '../channel/rules.ts';
import {
  type ChannelTable,
  FLAG_LINK,
  HOT_CAPACITY_HIGH,
  HOT_CAPACITY_LOW,
  HOT_COMMITTED_HIGH,
  HOT_COMMITTED_LOW,
  HOT_FLAGS,
  HOT_SEQUENCE,
  isAbove,
} from '../channel/table.ts';
import type { JournalWriter } from '../journal/writer.ts';
import { STATUS_COUNTER } from '../reject.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { SLOT_ROW, SLOT_SOURCE, VERDICT_PENDING, VERDICT_VALID } from '../ring/slot.ts';
import type { AnswerSink } from './ack-sender.ts';
import { GroupAcks } from './group-acks.ts';

const VERIFIED = counterIndex('verified');
const COMMITTED = counterIndex('committed');
const GROUP_COMMITS = counterIndex('groupCommits');
const SYNCS = counterIndex('syncs');
const JOURNAL_RECORDS = counterIndex('journalRecords');
const JOURNAL_BYTES = counterIndex('journalBytes');
const LINK_GAPS = counterIndex('linkGaps');

/** Claims looked at in one step, records or not: bounds a group's latency and the ack entries it needs. */
export const GROUP_CLAIMS_MAX = 4_096;

export interface CommitStepOptions {
  arena: Arena;
  ring: ClaimRing;
  table: ChannelTable;
  journal: JournalWriter;
  answers: AnswerSink;
  counters: Counters;
}

export class CommitStep {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  readonly #journal: JournalWriter;
  readonly #journalView: DataView;
  readonly #answers: AnswerSink;
  readonly #counters: Counters;
  readonly #acks = new GroupAcks(GROUP_CLAIMS_MAX);
  /** Per row: its record in the open group + 1, or 0. */
  readonly #recordOfRow: Uint32Array;
  readonly #rowOfRecord = new Uint32Array(GROUP_CLAIMS_MAX);
  #accepted = 0;

  constructor(options: CommitStepOptions) {
    this.#view = options.arena.view;
    this.#bytes = options.arena.bytes;
    this.#words = options.arena.words;
    this.#ring = options.ring;
    this.#table = options.table;
    this.#journal = options.journal;
    this.#journalView = new DataView(options.journal.bytes.buffer, options.journal.bytes.byteOffset);
    this.#answers = options.answers;
    this.#counters = options.counters;
    this.#recordOfRow = new Uint32Array(options.table.capacity);
  }

  /** Whether the next claim in order has been judged. */
  hasWork(): boolean {
    const next = this.#ring.committed;
    return next !== this.#ring.received && this.#ring.verdict(next) !== VERDICT_PENDING;
  }

  /**
   * Commits what has been judged; returns how many claims left the ring. Throws JOURNAL_FAILED when the disk fails:
   * nothing of the group was acknowledged, and the process must stop.
   * @param now milliseconds since 1970
   */
  step(now: number): number {
    const first = this.#ring.committed;
    const end = this.#ring.received;
    const nowSeconds = Math.floor(now / 1_000);
    let next = first;
    let count = 0;
    while (next !== end && count < GROUP_CLAIMS_MAX) {
      const verdict = this.#ring.verdict(next);
      if (verdict === VERDICT_PENDING) break;
      this.#settle(this.#ring.slot(next), verdict, nowSeconds);
      next = (next + 1) >>> 0;
      count++;
    }
    if (count === 0) return 0;
    if (this.#journal.count > 0) this.#commitGroup(now);
    this.#ring.release(next);
    return count;
  }

  /** Rules again, since the channel may have moved since the door; then signature and sequence; then into the group. */
  #settle(slot: number, verdict: number, nowSeconds: number): void {
    const view = this.#view;
    const row = this.#words[(slot + SLOT_ROW) >>> 2]!;
    const hot = this.#table.hot(row);
    const amountHigh = claimAmountHigh(view, slot);
    const amountLow = claimAmountLow(view, slot);
    const status = admit(this.#table, hot, amountHigh, amountLow, nowSeconds);
    if (verdict === VERDICT_VALID) this.#counters.add(VERIFIED, 1);
    if (status !== ADMITTED) {
      this.#turnAway(status, slot, hot, amountHigh, amountLow);
      return;
    }
    if (verdict !== VERDICT_VALID) {
      this.#turnAway(STATUS.BAD_SIGNATURE, slot, hot, amountHigh, amountLow);
      return;
    }
    const record = this.#recordOfRow[row]! - 1;
    if (record >= 0 && !this.#isAboveRecord(record, amountHigh, amountLow)) {
      // Overtaken within its group: the group's ack covers it.
      this.#accept(record, slot);
      return;
    }
    if ((this.#words[hot + HOT_FLAGS]! & FLAG_LINK) !== 0 && !this.#sequenceRises(record, hot, slot)) {
      this.#turnAway(STATUS.BAD_SEQUENCE, slot, hot, amountHigh, amountLow);
      return;
    }
    if (record >= 0) {
      this.#journal.replace(record, this.#bytes, slot);
      this.#accept(record, slot);
    } else {
      const added = this.#journal.append(this.#bytes, slot);
      this.#recordOfRow[row] = added + 1;
      this.#rowOfRecord[added] = row;
      this.#accept(added, slot);
    }
  }

  #accept(record: number, slot: number): void {
    this.#accepted++;
    this.#acks.add(record, this.#words, (slot + SLOT_SOURCE) >>> 2);
  }

  #turnAway(status: number, slot: number, hot: number, amountHigh: number, amountLow: number): void {
    this.#counters.add(STATUS_COUNTER[status]!, 1);
    const isOver = status === STATUS.OVER_CAPACITY;
    const high = isOver ? this.#words[hot + HOT_CAPACITY_HIGH]! : amountHigh;
    const low = isOver ? this.#words[hot + HOT_CAPACITY_LOW]! : amountLow;
    this.#answers.answer(status, this.#view, slot, high, low, this.#words, (slot + SLOT_SOURCE) >>> 2);
  }

  #isAboveRecord(record: number, amountHigh: number, amountLow: number): boolean {
    const offset = this.#journal.recordOffset(record);
    const view = this.#journalView;
    return isAbove(amountHigh, amountLow, claimAmountHigh(view, offset), claimAmountLow(view, offset));
  }

  /** `link`: above the sequence of the channel's best claim, when it has one; numbers left out are counted. */
  #sequenceRises(record: number, hot: number, slot: number): boolean {
    const isFirst =
      record < 0 && (this.#words[hot + HOT_COMMITTED_HIGH]! | this.#words[hot + HOT_COMMITTED_LOW]!) === 0;
    if (isFirst) return true;
    const last =
      record >= 0
        ? claimSequence(this.#journalView, this.#journal.recordOffset(record))
        : this.#words[hot + HOT_SEQUENCE]!;
    const sequence = claimSequence(this.#view, slot);
    if (sequence <= last) return false;
    this.#counters.add(LINK_GAPS, sequence - last - 1);
    return true;
  }

  /** One write, one sync; then the table, then the acks. */
  #commitGroup(now: number): void {
    const journal = this.#journal;
    const records = journal.count;
    const bytesBefore = journal.bytesWritten;
    const syncsBefore = journal.syncs;
    journal.commit(now);
    for (let record = 0; record < records; record++) {
      const row = this.#rowOfRecord[record]!;
      this.#table.commit(row, journal.bytes, this.#journalView, journal.recordOffset(record));
      this.#recordOfRow[row] = 0;
    }
    for (let ack = 0; ack < this.#acks.count; ack++) {
      const offset = journal.recordOffset(this.#acks.record(ack));
      const high = claimAmountHigh(this.#journalView, offset);
      const low = claimAmountLow(this.#journalView, offset);
      const { words } = this.#acks;
      this.#answers.answer(STATUS.COMMITTED, this.#journalView, offset, high, low, words, this.#acks.source(ack));
    }
    this.#acks.clear();
    this.#counters.add(COMMITTED, this.#accepted);
    this.#accepted = 0;
    this.#counters.add(GROUP_COMMITS, 1);
    this.#counters.add(SYNCS, journal.syncs - syncsBefore);
    this.#counters.add(JOURNAL_RECORDS, records);
    this.#counters.add(JOURNAL_BYTES, journal.bytesWritten - bytesBefore);
  }
}
