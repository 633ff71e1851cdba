/**
 * What is measured of the claims on their way, by whichever threads run the steps: each thread has an instance, and uses the
 * part of its role. Times are taken once a batch; a committer adds them up for each group, by runs of claims that had the
 * same times, so a claim by itself costs nothing.
 *
 * Claims that are committed are counted, each as often as it was acknowledged anew: those refused, and those that a newer
 * one of their batch stands for, are not. A claim that the group being synced already covers counts as its own group's.
 */
import type { AckRing } from '../ring/ack-ring.ts';
import { AnswerMarks } from '../ring/answer-marks.ts';
import type { Arena } from '../ring/arena.ts';
import { ArrivalReader, ArrivalWriter } from '../ring/arrival-marks.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { Histograms, MEASURE } from '../ring/histogram.ts';
import { SLOT_JUDGED_AT, SLOT_JUDGED_END } from '../ring/slot.ts';
import type { Clock } from '../system/system.ts';
import type { CommitGroup } from './commit-group.ts';

export interface PathMeasuresOptions {
  arena: Arena;
  /** The ring's number, and the thread's handle on it. */
  number: number;
  ring: ClaimRing;
  /** Where acks go to another thread. */
  acks?: AckRing | undefined;
  clock: Pick<Clock, 'monotonic'>;
  counters: Counters;
}

const UNMEASURED = counterIndex('unmeasured');
/** In place of the time at which a batch was judged. */
const NOT_YET = 0;

export class PathMeasures {
  readonly arrivals: ArrivalWriter;
  readonly #ring: ClaimRing;
  readonly #acks: AckRing | undefined;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #counters: Counters;
  readonly #ints: Int32Array;
  readonly #histograms: Histograms;
  readonly #runs: ArrivalReader;
  readonly #answers: AnswerMarks;
  /** Committer: the first claim of the group that is applied next, and the batch of verdicts it is in. */
  #at: number;
  #batchEnd: number;
  #judgedAt = 0;

  constructor({ arena, number, ring, acks, clock, counters }: PathMeasuresOptions) {
    this.#ring = ring;
    this.#acks = acks;
    this.#clock = clock;
    this.#counters = counters;
    this.#ints = arena.ints;
    this.arrivals = new ArrivalWriter(arena, number, ring, () => this.now());
    this.#histograms = new Histograms(arena, number);
    this.#runs = new ArrivalReader(arena, number, ring);
    this.#answers = new AnswerMarks(arena, number);
    this.#at = ring.committed;
    this.#batchEnd = this.#at;
  }

  /** Microseconds of the monotonic clock modulo 2^32, the same in every thread. */
  now(): number {
    return (this.#clock.monotonic() * 1_000) >>> 0;
  }

  // --- verifier ---

  /** The batch is about to be judged. A committer may see its verdicts one by one, and must know where it ends. */
  judging(first: number, count: number): void {
    if (!this.#ring.isMeasured) return;
    const slot = this.#ring.slot(first);
    this.#ints[(slot + SLOT_JUDGED_END) >>> 2] = (first + count) | 0;
    this.#ints[(slot + SLOT_JUDGED_AT) >>> 2] = NOT_YET;
  }

  /** The batch has its verdicts, of which a committer may have seen some already. */
  judged(first: number): void {
    if (!this.#ring.isMeasured) return;
    Atomics.store(this.#ints, (this.#ring.slot(first) + SLOT_JUDGED_AT) >>> 2, (this.now() || 1) | 0);
  }

  // --- committer ---

  /** The group is written; unless `synced` follows, it is as durable as it will be. */
  written(group: CommitGroup): void {
    if (!this.#ring.isMeasured) return;
    group.writtenAt = this.now();
    group.durableAt = group.writtenAt;
  }

  /** The group's sync, which followed, has ended. */
  synced(group: CommitGroup): void {
    if (!this.#ring.isMeasured) return;
    group.durableAt = this.now();
    this.#histograms.add(MEASURE.journalSync, elapsed(group.writtenAt, group.durableAt), 1);
  }

  /** The group is applied, and its slots are not free yet. Groups are applied in the order of their claims. */
  applied(group: CommitGroup): void {
    const { end, passed, passedCount, writtenAt, durableAt } = group;
    const runs = this.#runs;
    if (!this.#ring.isMeasured) {
      this.#at = end;
      this.#batchEnd = end;
      runs.skipTo(end);
      return;
    }
    let passedSeen = 0;
    let ofGroup = 0;
    let ofRun = 0;
    let ofBatch = 0;
    while (this.#at !== end) {
      if (this.#at === runs.end) {
        ofRun = this.#endRun(ofRun, durableAt);
        runs.next();
      }
      if (this.#at === this.#batchEnd) {
        ofBatch = this.#endBatch(ofBatch, writtenAt);
        this.#nextBatch(writtenAt);
      }
      const upToRun = (runs.end - this.#at) >>> 0;
      const upToBatch = (this.#batchEnd - this.#at) >>> 0;
      const looked = Math.min(upToRun, upToBatch, (end - this.#at) >>> 0);
      let claims = looked;
      for (; passedSeen < passedCount && (passed[passedSeen]! - this.#at) >>> 0 < looked; passedSeen++) claims--;
      if (claims > 0) {
        this.#histograms.add(MEASURE.verify, elapsed(runs.published, this.#judgedBy(writtenAt)), claims);
        ofRun += claims;
        ofBatch += claims;
        ofGroup += claims;
      }
      this.#at = (this.#at + looked) >>> 0;
    }
    this.#endRun(ofRun, durableAt);
    this.#endBatch(ofBatch, writtenAt);
    this.#answers.publish();
    if (ofGroup > 0) this.#histograms.add(MEASURE.sync, elapsed(writtenAt, durableAt), ofGroup);
    if (group.journal.count > 0) this.#histograms.add(MEASURE.group, group.accepted, 1);
  }

  /** Counts claims of the run at hand. */
  #endRun(claims: number, durableAt: number): number {
    if (claims === 0) return 0;
    const { arrived, readAt, published } = this.#runs;
    this.#histograms.add(MEASURE.queue, elapsed(arrived, readAt), claims);
    this.#histograms.add(MEASURE.receive, elapsed(readAt, published), claims);
    if (!this.#answers.add(this.#acks?.next ?? 0, claims, arrived, durableAt)) this.#counters.add(UNMEASURED, claims);
    return 0;
  }

  /** Counts claims of the batch at hand. */
  #endBatch(claims: number, writtenAt: number): number {
    if (claims > 0) this.#histograms.add(MEASURE.commit, elapsed(this.#judgedBy(writtenAt), writtenAt), claims);
    return 0;
  }

  /** When the batch was judged. A verifier may say so only after a committer has written the last of its claims. */
  #judgedBy(writtenAt: number): number {
    return ((this.#judgedAt - writtenAt) | 0) > 0 ? writtenAt : this.#judgedAt;
  }

  /** Finds the batch that begins here. If its verifier has not said when it was done, it was by `latest`. */
  #nextBatch(latest: number): void {
    const slot = this.#ring.slot(this.#at);
    const end = this.#ints[(slot + SLOT_JUDGED_END) >>> 2]! >>> 0;
    const claims = (end - this.#at) >>> 0;
    // Without a verifier that says so, a claim is a batch of its own.
    const isThere = claims > 0 && claims <= this.#ring.size;
    const at = isThere ? Atomics.load(this.#ints, (slot + SLOT_JUDGED_AT) >>> 2) : NOT_YET;
    this.#batchEnd = isThere ? end : (this.#at + 1) >>> 0;
    this.#judgedAt = at === NOT_YET ? latest : at >>> 0;
  }

  // --- sender ---

  /** The acks before `acksEnd` of the ack ring are handed to their sockets; in a lane, all are. */
  answered(acksEnd: number): void {
    const answers = this.#answers;
    if (!answers.next(acksEnd)) return;
    const now = this.now();
    do {
      this.#histograms.add(MEASURE.ack, elapsed(answers.durable, now), answers.claims);
      this.#histograms.add(MEASURE.whole, elapsed(answers.arrived, now), answers.claims);
    } while (answers.next(acksEnd));
    answers.release();
  }
}

/** Microseconds, 0 to VALUE_MAX. No clock of one thread is ahead of another's; a thread that was stopped for an hour counts as 0. */
function elapsed(from: number, to: number): number {
  return Math.max(0, (to - from) | 0);
}
