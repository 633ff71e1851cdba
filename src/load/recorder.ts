/**
 * Counts the claims of one step of a run by how they ended, records their latencies, and makes a line for every second.
 *
 * Generator thread. Claims that were due before `measuredFrom` are warm-up: they are in no figure, however late they end.
 */
import { statusName } from '../../protocol/layout.ts';
import { LatencyBuckets } from './latency.ts';
import type { ClaimEnds } from './outstanding.ts';
import type { FaultCounts, LoadInterval, LoadStep } from './result.ts';

/** A claim that leaves by more than this after it was due is late: then the generator, not the node, shapes the figures. */
export const LATE_MS = 1;
const INTERVAL_MS = 1_000;
/** The rest of a step after its last whole second is an interval if it is at least this long. */
const INTERVAL_MS_MIN = 1;

export class Recorder implements ClaimEnds {
  /** The figures of the step that are plain counts, as result.ts describes them. */
  readonly counts = {
    sent: 0,
    datagrams: 0,
    acked: 0,
    ackedByNewer: 0,
    already: 0,
    moved: 0,
    resent: 0,
    expectedRefusals: 0,
    covered: 0,
    unanswered: 0,
    duplicateAcks: 0,
    outOfOrderAcks: 0,
    strayAcks: 0,
  };
  readonly faults: FaultCounts = { dropped: 0, duplicated: 0, reordered: 0, corrupted: 0, stale: 0 };
  /** When a socket was last found full: a claim that was due by then waited for it. */
  fullAt = Number.NEGATIVE_INFINITY;
  readonly #late = { claims: 0, lateMs: LATE_MS, maxMs: 0, unsent: 0, blocked: 0 };
  readonly #latency = new LatencyBuckets();
  readonly #uncorrected = new LatencyBuckets();
  readonly #wire = new LatencyBuckets();
  /** Refusals by status. */
  readonly #refused = new Float64Array(256);
  readonly #intervals: LoadInterval[] = [];
  readonly #measuredFrom: number;
  #lastSentAt = 0;
  #lastAckedAt = 0;
  /** Where the current interval began, and what was counted then. */
  #interval: { at: number; sent: number; acked: number };

  constructor(measuredFrom: number) {
    this.#measuredFrom = measuredFrom;
    this.#interval = { at: measuredFrom, sent: 0, acked: 0 };
  }

  isMeasured(dueAt: number): boolean {
    return dueAt >= this.#measuredFrom;
  }

  left(dueAt: number, sentAt: number): void {
    if (dueAt < this.#measuredFrom) return;
    this.counts.sent += 1;
    this.#lastSentAt = sentAt;
    const lateMs = sentAt - dueAt;
    if (lateMs > LATE_MS) {
      this.#late.claims += 1;
      if (dueAt <= this.fullAt) this.#late.blocked += 1;
    }
    if (lateMs > this.#late.maxMs) this.#late.maxMs = lateMs;
  }

  committed(dueAt: number, sentAt: number, now: number, isByNewer: boolean, wireMs: number): void {
    if (dueAt < this.#measuredFrom) return;
    this.counts.acked += 1;
    if (isByNewer) this.counts.ackedByNewer += 1;
    this.#lastAckedAt = now;
    this.#latency.record(now - dueAt);
    this.#uncorrected.record(now - sentAt);
    if (!Number.isNaN(wireMs)) this.#wire.record(wireMs);
  }
  already(dueAt: number): void {
    if (dueAt >= this.#measuredFrom) this.counts.already += 1;
  }
  refused(dueAt: number, status: number, isExpected: boolean): void {
    if (dueAt < this.#measuredFrom) return;
    this.#refused[status]! += 1;
    if (isExpected) this.counts.expectedRefusals += 1;
  }
  covered(dueAt: number): void {
    if (dueAt >= this.#measuredFrom) this.counts.covered += 1;
  }
  uncovered(dueAt: number): void {
    if (dueAt >= this.#measuredFrom) this.counts.covered -= 1;
  }
  unanswered(dueAt: number): void {
    if (dueAt >= this.#measuredFrom) this.counts.unanswered += 1;
  }

  /**
   * Ends the intervals whose second is over, each on the second, so that n seconds have n intervals. After a late call,
   * what was counted meanwhile is in the first of them.
   */
  tick(now: number, hear: (interval: LoadInterval) => void): void {
    for (let end = this.#interval.at + INTERVAL_MS; now >= end; end += INTERVAL_MS) this.#endInterval(end, hear);
  }

  /** The step's last interval, which may be shorter than the others. */
  lastTick(endedAt: number, hear: (interval: LoadInterval) => void): void {
    this.tick(endedAt, hear);
    if (endedAt - this.#interval.at >= INTERVAL_MS_MIN) this.#endInterval(endedAt, hear);
  }

  #endInterval(end: number, hear: (interval: LoadInterval) => void): void {
    const { sent, acked } = this.counts;
    const before = this.#interval;
    const seconds = (end - before.at) / 1_000;
    const interval = {
      atSeconds: (end - this.#measuredFrom) / 1_000,
      sentPerSecond: (sent - before.sent) / seconds,
      ackedPerSecond: (acked - before.acked) / seconds,
      ...this.#latency.sinceLast(),
    };
    this.#interval = { at: end, sent, acked };
    this.#intervals.push(interval);
    hear(interval);
  }

  /**
   * The step's figures.
   * @param endedAt when the last claim was due to leave; acks may have come later
   * @param unsent claims that were due and never left, and those of them that waited for a full socket
   */
  step(requestedRate: number | null, endedAt: number, unsent: { claims: number; blocked: number }): LoadStep {
    const over = (last: number) => Math.max(endedAt, last) - this.#measuredFrom;
    const perSecond = (claims: number, last: number) => (claims === 0 ? 0 : (claims * 1_000) / over(last));
    const refused: Record<string, number> = {};
    this.#refused.forEach((count, status) => {
      if (count > 0) refused[statusName(status)] = count;
    });
    const { counts } = this;
    const wire = this.#wire.summary();
    const late = { ...this.#late, unsent: unsent.claims, blocked: this.#late.blocked + unsent.blocked };
    return {
      requestedRate,
      achievedRate: perSecond(counts.sent, this.#lastSentAt),
      ackedRate: perSecond(counts.acked, this.#lastAckedAt),
      seconds: Math.max(0, endedAt - this.#measuredFrom) / 1_000,
      ...counts,
      refused,
      faults: this.faults,
      late,
      latency: this.#latency.summary(),
      uncorrected: this.#uncorrected.summary(),
      wire: wire.count > 0 ? wire : null,
      intervals: this.#intervals,
      delivery: null,
      hiccups: null,
    };
  }
}
