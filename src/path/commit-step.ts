/**
 * The commit step: judged claims, in ring order, become one journal group, one sync, balances, and acks. Commit thread
 * or lane; the only writer of balances (of its lane).
 *
 * A group holds the last accepted claim of each channel. Nothing is visible before the sync: the table moves, the acks go
 * out and the slots are freed after it, so "committed" means durable wherever it is read. The group shapes itself:
 * whatever was judged when the step began, up to the group's bound.
 *
 * On a slow disk a lane leaves the sync to another thread and fills a second group meanwhile; a claim that the group at the
 * disk already covers then joins that one's acks.
 */
import { claimAmountHigh, claimAmountLow, claimSequence } from '../../protocol/claim.ts';
import { STATUS } from '../../protocol/layout.ts';
import { type ChannelTable, FLAG_LINK, HOT_FLAGS, isAbove } from '../channel/table.ts';
import type { Durability } from '../config.ts';
import type { JournalWriter } from '../journal/writer.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { isJudged, SLOT_ROW, SLOT_SOURCE, VERDICT_SUPERSEDED, VERDICT_VALID } from '../ring/slot.ts';
import type { AnswerSink } from './ack-sender.ts';
import { CommitGroup, GROUP_CLAIMS_MAX } from './commit-group.ts';
import type { NativePath } from './native-path.ts';
import { ADMITTED, admit } from './rules.ts';
import { STAGE, type StageClock } from './stage-clock.ts';
import { STATUS_COUNTER } from './status-counters.ts';

const VERIFIED = counterIndex('verified');
const SUPERSEDED = counterIndex('superseded');
const COMMITTED = counterIndex('committed');
const GROUP_COMMITS = counterIndex('groupCommits');
const SYNCS = counterIndex('syncs');
const JOURNAL_RECORDS = counterIndex('journalRecords');
const JOURNAL_BYTES = counterIndex('journalBytes');
const LINK_GAPS = counterIndex('linkGaps');

/**
 * A sync that takes longer, microseconds, belongs beside the lane, which verifies meanwhile: on a disk of 5 ms that is 473,000
 * claims/s in place of 206,000. A faster one stays inline, since another thread has to be given a core twice for it: at
 * 150,000 claims/s p50 is 0.43 ms inline and 0.62 beside, and at the maximum rate both are as good.
 */
const SLOW_SYNC_US = 500;
/**
 * So many groups after a slow sync go to the disk beside the lane, then one inline again: only that one tells how slow the
 * disk is, since the end of a sync beside the lane is seen when the lane's turn is over. Costs a slow disk 1.5 %.
 */
const OVERLAPPED_GROUPS = 64;

/** Claims staged here before C is tried again, after it found none of its own. */
const OTHERS_RUN = 16;

export interface CommitStepOptions {
  arena: Arena;
  ring: ClaimRing;
  table: ChannelTable;
  journal: JournalWriter;
  answers: AnswerSink;
  counters: Counters;
  clock: StageClock;
  /** `os`: acknowledged once written; survives the end of the process, not a loss of power. */
  durability: Durability;
  /** Called when a sync that went on beside this thread has ended: a step is due. Without it every sync is inline. */
  onSynced?: (() => void) | undefined;
  /** Groups that are synced beside this thread before the disk is measured for the first time; default 0. */
  overlaps?: number;
  /** Stages plain claims, where there is one. */
  path?: NativePath | undefined;
}

export class CommitStep {
  /** While true no claim is taken in: the groups under way end, as a fence asks. */
  isHolding = false;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  readonly #journal: JournalWriter;
  readonly #answers: AnswerSink;
  readonly #counters: Counters;
  readonly #clock: StageClock;
  readonly #durability: Durability;
  readonly #path: NativePath | undefined;
  readonly #onSynced: (() => void) | undefined;
  /** Groups that are still to be synced beside this thread before the disk is measured again. */
  #overlaps: number;
  /** The group being filled, and the one whose turn at the disk is, or will be, next. */
  #open: CommitGroup;
  #other: CommitGroup;
  /** `#other` is being synced beside this thread; and that has ended (a failure is the journal's to tell). */
  #isSyncing = false;
  #isSynced = false;
  /** Ring sequence of the next claim to look at. */
  #next: number;

  constructor(options: CommitStepOptions) {
    this.#view = options.arena.view;
    this.#bytes = options.arena.bytes;
    this.#words = options.arena.words;
    this.#ring = options.ring;
    this.#table = options.table;
    this.#journal = options.journal;
    this.#answers = options.answers;
    this.#counters = options.counters;
    this.#clock = options.clock;
    this.#durability = options.durability;
    this.#path = options.path;
    this.#onSynced = options.onSynced;
    this.#overlaps = options.overlaps ?? 0;
    this.#open = new CommitGroup(options.table.capacity);
    this.#other = new CommitGroup(options.table.capacity);
    this.#next = options.ring.committed;
  }

  /** Whether a step would do something now. */
  hasWork(): boolean {
    return this.#isSynced || (this.#hasJudged() && !this.isHolding && this.#hasRoom());
  }

  /** No group is open and none at the disk. */
  get isIdle(): boolean {
    return this.#open.looked === 0 && !this.#isSyncing;
  }

  /**
   * Commits what has been judged; returns how many claims were looked at or made durable. Throws JOURNAL_FAILED when the
   * disk fails: nothing of the group was acknowledged, and the process must stop.
   * @param now milliseconds since 1970
   */
  step(now: number): number {
    this.#journal.refuseAfterFailure();
    const work = this.#endSync() + (this.isHolding ? 0 : this.#stageJudged(Math.floor(now / 1_000)));
    this.#clock.lap(STAGE.commit);
    if (this.#open.looked > 0 && !this.#isSyncing) this.#flush(now);
    return work;
  }

  #hasJudged(): boolean {
    return this.#next !== this.#ring.received && isJudged(this.#ring.verdict(this.#next));
  }
  #hasRoom(): boolean {
    return this.#open.looked < GROUP_CLAIMS_MAX;
  }

  #stageJudged(nowSeconds: number): number {
    const first = this.#next;
    const end = this.#ring.received;
    const open = this.#open;
    let others = 0;
    while (this.#next !== end && open.looked < GROUP_CLAIMS_MAX) {
      // A call that found no plain claim is not worth repeating for each of those that follow.
      if (others === 0 && this.#path !== undefined)
        others = this.#stagePlain(this.#path, end, nowSeconds) ? 1 : OTHERS_RUN;
      if (this.#next === end || open.looked === GROUP_CLAIMS_MAX) break;
      const verdict = this.#ring.verdict(this.#next);
      if (!isJudged(verdict)) break;
      this.#stageOrRefuse(this.#ring.slot(this.#next), verdict, nowSeconds);
      this.#next = (this.#next + 1) >>> 0;
      open.looked++;
      if (others > 0) others--;
    }
    return (this.#next - first) >>> 0;
  }

  /** A run of plain, valid claims by C; whether there was any. */
  #stagePlain(path: NativePath, end: number, nowSeconds: number): boolean {
    const open = this.#open;
    const room = Math.min((end - this.#next) >>> 0, GROUP_CLAIMS_MAX - open.looked);
    const syncing = this.#isSyncing ? this.#other : undefined;
    const count = path.stage(open, syncing, this.#next, (this.#next + room) >>> 0, nowSeconds);
    this.#next = (this.#next + count) >>> 0;
    open.looked += count;
    this.#counters.add(VERIFIED, count);
    return count > 0;
  }

  /** Rules again, since the channel may have moved since receipt; then signature and sequence; then into the group. */
  #stageOrRefuse(slot: number, verdict: number, nowSeconds: number): void {
    const view = this.#view;
    const row = this.#words[(slot + SLOT_ROW) >>> 2]!;
    const hot = this.#table.hot(row);
    const amountHigh = claimAmountHigh(view, slot);
    const amountLow = claimAmountLow(view, slot);
    const status = admit(this.#table, hot, amountHigh, amountLow, nowSeconds);
    if (verdict === VERDICT_VALID) this.#counters.add(VERIFIED, 1);
    if (status !== ADMITTED) {
      this.#refuse(status, slot, hot, amountHigh, amountLow);
      return;
    }
    if (verdict === VERDICT_SUPERSEDED) {
      // A verified newer claim of its batch follows in the ring, and its ack covers this one.
      this.#counters.add(SUPERSEDED, 1);
      return;
    }
    if (verdict !== VERDICT_VALID) {
      this.#refuse(STATUS.BAD_SIGNATURE, slot, hot, amountHigh, amountLow);
      return;
    }
    this.#stage(slot, row, hot, amountHigh, amountLow);
  }

  #stage(slot: number, row: number, hot: number, amountHigh: number, amountLow: number): void {
    const open = this.#open;
    const source = (slot + SLOT_SOURCE) >>> 2;
    const record = open.recordOf(row);
    // The channel's best claim so far: in this group, in the one at the disk, or in the table.
    const group = record >= 0 || !this.#isSyncing ? open : this.#other;
    const best = group === open ? record : group.recordOf(row);
    if (best >= 0 && !isAboveRecord(group, best, amountHigh, amountLow)) {
      group.accept(best, this.#words, source);
      return;
    }
    if ((this.#words[hot + HOT_FLAGS]! & FLAG_LINK) !== 0 && !this.#sequenceRises(group, best, hot, slot)) {
      this.#refuse(STATUS.BAD_SEQUENCE, slot, hot, amountHigh, amountLow);
      return;
    }
    if (record >= 0) open.journal.replace(record, this.#bytes, slot);
    open.accept(record >= 0 ? record : open.append(row, this.#bytes, slot), this.#words, source);
  }

  #refuse(status: number, slot: number, hot: number, amountHigh: number, amountLow: number): void {
    this.#counters.add(STATUS_COUNTER[status]!, 1);
    const isOver = status === STATUS.OVER_CAPACITY;
    if (isOver) this.#table.loadCapacity(hot);
    const high = isOver ? this.#table.capacityHigh : amountHigh;
    const low = isOver ? this.#table.capacityLow : amountLow;
    this.#answers.answer(status, this.#view, slot, high, low, this.#words, (slot + SLOT_SOURCE) >>> 2);
  }

  /** `link`: above the sequence of the channel's best claim, when it has one; numbers left out are counted. */
  #sequenceRises(group: CommitGroup, record: number, hot: number, slot: number): boolean {
    if (record < 0 && this.#table.isUnused(hot)) return true;
    const last =
      record >= 0 ? claimSequence(group.journal.view, group.journal.recordOffset(record)) : this.#table.sequence(hot);
    const sequence = claimSequence(this.#view, slot);
    if (sequence <= last) return false;
    this.#counters.add(LINK_GAPS, sequence - last - 1);
    return true;
  }

  /** The open group to the disk: one write, one sync, and the other group is the open one. */
  #flush(now: number): void {
    const group = this.#open;
    group.end = this.#next;
    this.#open = this.#other;
    this.#other = group;
    if (group.journal.count === 0) {
      this.#finish(group);
      return;
    }
    const bytesBefore = this.#journal.bytesWritten;
    this.#journal.write(group.journal, now);
    this.#counters.add(GROUP_COMMITS, 1);
    this.#counters.add(JOURNAL_RECORDS, group.journal.count);
    this.#counters.add(JOURNAL_BYTES, this.#journal.bytesWritten - bytesBefore);
    this.#clock.lap(STAGE.write);
    if (this.#durability === 'os') this.#journal.skipSync();
    else if (this.#overlaps > 0 && !this.isHolding) {
      this.#overlaps--;
      this.#isSyncing = true;
      this.#clock.syncBegins();
      this.#journal.syncLater(() => {
        this.#isSynced = true;
        this.#clock.syncEnds();
        this.#onSynced!();
      });
      return;
    } else {
      this.#clock.syncBegins();
      this.#journal.sync();
      const isSlow = this.#clock.syncEnds() >= SLOW_SYNC_US;
      if (isSlow && this.#onSynced !== undefined) this.#overlaps = OVERLAPPED_GROUPS;
      this.#counters.add(SYNCS, 1);
      this.#clock.lap(STAGE.write);
    }
    this.#finish(group);
    this.#clock.lap(STAGE.commit);
  }

  /** A sync beside this thread has ended: its group is durable. */
  #endSync(): number {
    if (!this.#isSynced) return 0;
    this.#isSynced = false;
    this.#isSyncing = false;
    this.#counters.add(SYNCS, 1);
    const claims = this.#other.looked;
    this.#finish(this.#other);
    return claims;
  }

  /** The group is durable: the table, then the acks, then its slots are free. */
  #finish(group: CommitGroup): void {
    const { journal, acks } = group;
    if (this.#path !== undefined) this.#path.commit(group);
    else
      for (let record = 0; record < journal.count; record++)
        this.#table.commit(group.rowOf(record), journal.view, journal.recordOffset(record));
    for (let ack = 0; ack < acks.count; ack++) {
      const offset = journal.recordOffset(acks.record(ack));
      const high = claimAmountHigh(journal.view, offset);
      const low = claimAmountLow(journal.view, offset);
      this.#answers.answer(STATUS.COMMITTED, journal.view, offset, high, low, acks.words, acks.source(ack));
    }
    this.#counters.add(COMMITTED, group.accepted);
    this.#ring.release(group.end);
    group.clear();
  }
}

function isAboveRecord(group: CommitGroup, record: number, amountHigh: number, amountLow: number): boolean {
  const { journal } = group;
  const offset = journal.recordOffset(record);
  return isAbove(amountHigh, amountLow, claimAmountHigh(journal.view, offset), claimAmountLow(journal.view, offset));
}
