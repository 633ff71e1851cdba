/**
 * The commit step: judged claims, in ring order, become one journal group, one sync, balances, and acks. Commit thread
 * or lane. It calls its parts in turn: stage-step.ts, the journal, apply-step.ts.
 *
 * A group holds the last accepted claim of each channel. Nothing is visible before the sync: the table moves, the acks go
 * out and the slots are freed after it, so "committed" means durable wherever it is read. The group shapes itself:
 * whatever was judged when the step began, up to the group's bound.
 *
 * On a slow disk a lane leaves the sync to another thread and fills a second group meanwhile; a claim that the group at the
 * disk already covers then joins that one's acks.
 */
import type { Durability } from '../config.ts';
import type { JournalWriter } from '../journal/writer.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { ApplyStep } from './apply-step.ts';
import { CommitGroup, GROUP_CLAIMS_MAX } from './commit-group.ts';
import { STAGE, type StageClock } from './stage-clock.ts';
import { StageStep, type StageStepOptions } from './stage-step.ts';

const GROUP_COMMITS = counterIndex('groupCommits');
const SYNCS = counterIndex('syncs');
const JOURNAL_RECORDS = counterIndex('journalRecords');
const JOURNAL_BYTES = counterIndex('journalBytes');

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

export interface CommitStepOptions extends StageStepOptions {
  journal: JournalWriter;
  clock: StageClock;
  /** `os`: acknowledged once written; survives the end of the process, not a loss of power. */
  durability: Durability;
  /** Called when a sync that went on beside this thread has ended: a step is due. Without it every sync is inline. */
  onSynced?: (() => void) | undefined;
  /** Groups that are synced beside this thread before the disk is measured for the first time; default 0. */
  overlaps?: number;
}

export class CommitStep {
  /** While true no claim is taken in: the groups under way end, as a fence asks. */
  isHolding = false;
  readonly #stage: StageStep;
  readonly #apply: ApplyStep;
  readonly #journal: JournalWriter;
  readonly #counters: Counters;
  readonly #clock: StageClock;
  readonly #durability: Durability;
  readonly #onSynced: (() => void) | undefined;
  /** Groups that are still to be synced beside this thread before the disk is measured again. */
  #overlaps: number;
  /** The group being filled, and the one whose turn at the disk is, or will be, next. */
  #open: CommitGroup;
  #other: CommitGroup;
  /** `#other` is being synced beside this thread; and that has ended (a failure is the journal's to tell). */
  #isSyncing = false;
  #isSynced = false;

  constructor(options: CommitStepOptions) {
    this.#stage = new StageStep(options);
    this.#apply = new ApplyStep(options);
    this.#journal = options.journal;
    this.#counters = options.counters;
    this.#clock = options.clock;
    this.#durability = options.durability;
    this.#onSynced = options.onSynced;
    this.#overlaps = options.overlaps ?? 0;
    this.#open = new CommitGroup(options.table.capacity);
    this.#other = new CommitGroup(options.table.capacity);
  }

  /** Whether a step would do something now. */
  hasWork(): boolean {
    return this.#isSynced || (this.#stage.hasJudged && !this.isHolding && this.#open.looked < GROUP_CLAIMS_MAX);
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
    const synced = this.#endSync();
    const syncing = this.#isSyncing ? this.#other : undefined;
    const staged = this.isHolding ? 0 : this.#stage.step(this.#open, syncing, Math.floor(now / 1_000));
    this.#clock.lap(STAGE.commit);
    if (this.#open.looked > 0 && !this.#isSyncing) this.#flush(now);
    return synced + staged;
  }

  /** The open group to the disk: one write, one sync, and the other group is the open one. */
  #flush(now: number): void {
    const group = this.#open;
    group.end = this.#stage.next;
    this.#open = this.#other;
    this.#other = group;
    if (group.journal.count === 0) {
      this.#apply.apply(group);
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
    this.#apply.apply(group);
    this.#clock.lap(STAGE.commit);
  }

  /** A sync beside this thread has ended: its group is durable. */
  #endSync(): number {
    if (!this.#isSynced) return 0;
    this.#isSynced = false;
    this.#isSyncing = false;
    this.#counters.add(SYNCS, 1);
    const claims = this.#other.looked;
    this.#apply.apply(this.#other);
    return claims;
  }
}
