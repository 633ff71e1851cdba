/**
 * The commit step calls, in turn, the stage step, the journal and the apply step. Commit thread or lane.
 *
 * A group is whatever was judged when the step began, up to a bound, and holds the last accepted claim of each channel. It
 * is applied only after its sync, so "committed" means durable wherever it is read. On a slow disk a lane leaves the sync
 * to another thread and fills a second group meanwhile; a claim covered by the group being synced joins that group's acks.
 * A database's groups all go that way.
 */
import type { Durability } from '../config.ts';
import { assert } from '../errors.ts';
import type { GroupLog } from '../journal/group-log.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import type { SettingWords } from '../ring/setting-words.ts';
import { ApplyStep } from './apply-step.ts';
import { CommitGroup, GROUP_CLAIMS_MAX } from './commit-group.ts';
import type { PathMeasures } from './path-measures.ts';
import { STAGE, type StageClock } from './stage-clock.ts';
import { StageStep, type StageStepOptions } from './stage-step.ts';

const GROUP_COMMITS = counterIndex('groupCommits');
const SYNCS = counterIndex('syncs');
const JOURNAL_RECORDS = counterIndex('journalRecords');
const JOURNAL_BYTES = counterIndex('journalBytes');

/**
 * Microseconds. A sync that takes longer runs in another thread while the lane verifies: on a disk of 5 ms that gives
 * 473,000 claims/s instead of 206,000. A faster sync stays in the lane, since another thread must be scheduled twice for
 * it: at 150,000 claims/s p50 is 0.43 ms in the lane and 0.62 ms beside it; at the maximum rate they are equal.
 */
const SLOW_SYNC_US = 500;
/**
 * Groups synced beside the lane after a slow sync; the next is synced in the lane, to measure the disk again. A sync beside
 * the lane does not measure it, since the lane sees its end only after its own turn. Measuring costs a slow disk 1.5 %.
 */
const OVERLAPPED_GROUPS = 64;
/**
 * A group of so few claims, behind which none waits, is synced in the lane on a slow disk too: beside it two threads are woken for the
 * sync, 60 µs each in a virtual machine, each may have to wait for a core, and the lane is woken for every datagram meanwhile. At
 * half of the maximum rate, with groups of 130, this takes a seventh off a claim's processor time and a quarter off p50.
 */
const FEW_CLAIMS = 512;
/**
 * So many groups of few claims come before the first that is synced in the lane: at the maximum rate small groups lie between large
 * ones, since what payers may send is at the disk, and a lane that waited there would not read what they send after their acks.
 */
const FEW_GROUPS = 4;
/** Microseconds. After a sync that took longer, groups of few claims go beside the lane as well, so that it goes on receiving. */
const LONG_SYNC_US = 10_000;

export interface CommitStepOptions extends StageStepOptions {
  journal: GroupLog;
  clock: StageClock;
  /** With `os` a claim is acknowledged once written: it survives the end of the process, not a loss of power. */
  durability: Durability;
  /** Called when a sync beside this thread has ended and a step is due. Without it this thread does every sync. */
  onSynced?: (() => void) | undefined;
  /** Groups to sync beside this thread before the disk is measured for the first time; default 0. */
  overlaps?: number;
  /** What may change while the node runs; left out, nothing does. */
  settings?: SettingWords | undefined;
}

export class CommitStep {
  /** While true nothing is staged, so that the groups under way can end, as a fence asks. */
  isHolding = false;
  /** Once true no group waits for more claims, since none come. */
  isEnding = false;
  readonly #stage: StageStep;
  readonly #apply: ApplyStep;
  readonly #journal: GroupLog;
  readonly #syncsInline: boolean;
  readonly #counters: Counters;
  readonly #clock: StageClock;
  readonly #durability: Durability;
  readonly #measures: PathMeasures | undefined;
  readonly #onSynced: (() => void) | undefined;
  readonly #settings: SettingWords | undefined;
  /** When the open group got its first claim, or 0; only where groups wait. */
  #openedAt = 0;
  /** Groups still to sync beside this thread before the disk is measured again. */
  #overlaps: number;
  /** Whether that sync took so long that groups of few claims go there too; so they do before the first measurement. */
  #isLong = true;
  /** Groups of few claims since the last other one. */
  #fewGroups = 0;
  /** The group being filled, and the other one, which is empty or being synced. */
  #open: CommitGroup;
  #other: CommitGroup;
  /** Whether `#other` is being synced beside this thread, and whether that has ended. The journal reports a failure. */
  #isSyncing = false;
  #isSynced = false;

  constructor(options: CommitStepOptions) {
    this.#stage = new StageStep(options);
    this.#apply = new ApplyStep(options);
    this.#journal = options.journal;
    this.#syncsInline = options.journal.syncsInline;
    assert(
      this.#syncsInline || (options.onSynced !== undefined && options.durability === 'sync'),
      'a log that syncs beside this thread says when it has, and is never done without',
    );
    this.#counters = options.counters;
    this.#clock = options.clock;
    this.#durability = options.durability;
    this.#measures = options.measures;
    this.#onSynced = options.onSynced;
    this.#overlaps = options.overlaps ?? 0;
    this.#settings = options.settings;
    this.#open = new CommitGroup(options.rooted !== undefined);
    this.#other = new CommitGroup(options.rooted !== undefined);
  }

  /** Whether a step would do something now. */
  hasWork(): boolean {
    return (
      this.#isSynced ||
      (this.#stage.hasJudged && !this.isHolding && this.#open.looked < this.#stage.claimsMax && !this.#open.isFull)
    );
  }

  /** No group is open and none is being synced. */
  get isIdle(): boolean {
    return this.#open.looked === 0 && !this.#isSyncing;
  }

  /**
   * Commits what has been judged; returns how many claims were considered or made durable. Throws JOURNAL_FAILED when the
   * disk fails: then nothing of the group was acknowledged, and the process must stop.
   * @param now milliseconds since 1970
   */
  step(now: number): number {
    this.#journal.refuseAfterFailure();
    const synced = this.#endSync(now);
    const syncing = this.#isSyncing ? this.#other : undefined;
    if (this.#settings !== undefined) this.#stage.claimsMax = this.#claimsMax(this.#settings);
    const staged = this.isHolding ? 0 : this.#stage.step(this.#open, syncing, Math.floor(now / 1_000));
    this.#clock.lap(STAGE.commit);
    const isDue = this.#open.looked > 0 && !this.#isSyncing && this.waitMs(now) === 0;
    if (isDue) this.#flush(now);
    return Math.max(synced + staged, isDue ? 1 : 0);
  }

  /**
   * Milliseconds for which the open group still waits for more claims before it is written; 0 where nothing waits. It
   * does not wait beyond its bound of claims, nor for a fence, nor where the clock was set back.
   */
  waitMs(now: number): number {
    const waitMs = this.#settings?.get('groupWaitMs', 0) ?? 0;
    const { looked, isFull } = this.#open;
    if (waitMs === 0 || looked === 0 || looked >= this.#stage.claimsMax || isFull || this.isHolding || this.isEnding)
      return 0;
    if (this.#openedAt === 0 || now < this.#openedAt) this.#openedAt = now;
    return Math.max(0, this.#openedAt + waitMs - now);
  }

  #claimsMax(settings: SettingWords): number {
    return Math.min(GROUP_CLAIMS_MAX, Math.max(1, settings.get('groupClaims', GROUP_CLAIMS_MAX)));
  }

  /** Writes and syncs the open group; the other group becomes the open one. */
  #flush(now: number): void {
    const group = this.#open;
    const seconds = Math.floor(now / 1_000);
    this.#openedAt = 0;
    group.end = this.#stage.next;
    this.#open = this.#other;
    this.#other = group;
    if (group.journal.count === 0) {
      this.#measures?.written(group);
      this.#apply.apply(group, seconds);
      return;
    }
    const bytesBefore = this.#journal.bytesWritten;
    this.#journal.write(group.journal, now);
    this.#counters.add(GROUP_COMMITS, 1);
    this.#counters.add(JOURNAL_RECORDS, group.journal.count);
    this.#counters.add(JOURNAL_BYTES, this.#journal.bytesWritten - bytesBefore);
    this.#clock.lap(STAGE.write);
    this.#measures?.written(group);
    if (this.#durability === 'os') this.#journal.skipSync();
    else if (this.#goesBeside(group)) {
      this.#isSyncing = true;
      this.#clock.syncBegins();
      this.#journal.syncLater(() => {
        this.#isSynced = true;
        this.#clock.syncEnds();
        this.#measures?.synced(group);
        this.#onSynced!();
      });
      return;
    } else {
      this.#clock.syncBegins();
      this.#journal.sync();
      const us = this.#clock.syncEnds();
      this.#measures?.synced(group);
      if (us >= SLOW_SYNC_US && this.#onSynced !== undefined) {
        this.#overlaps = OVERLAPPED_GROUPS;
        this.#isLong = us >= LONG_SYNC_US;
      }
      this.#counters.add(SYNCS, 1);
      this.#clock.lap(STAGE.write);
    }
    this.#apply.apply(group, seconds);
    this.#clock.lap(STAGE.commit);
  }

  /** Whether the group, which is written, is synced beside this thread. */
  #goesBeside(group: CommitGroup): boolean {
    if (!this.#syncsInline) return true;
    const isFew = group.looked <= FEW_CLAIMS && !this.#stage.hasMore;
    this.#fewGroups = isFew ? this.#fewGroups + 1 : 0;
    if (this.#overlaps === 0 || this.isHolding) return false;
    this.#overlaps--;
    return this.#isLong || this.#fewGroups <= FEW_GROUPS;
  }

  /** Applies the group whose sync beside this thread has ended; returns how many claims that were. */
  #endSync(now: number): number {
    if (!this.#isSynced) return 0;
    this.#isSynced = false;
    this.#isSyncing = false;
    this.#counters.add(SYNCS, 1);
    const claims = this.#other.looked;
    this.#apply.apply(this.#other, Math.floor(now / 1_000));
    return claims;
  }
}
