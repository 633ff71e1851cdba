/**
 * What one step of a run counts: claims by how they ended, latencies, and a line for every second.
 *
 * Generator thread. Claims meant to leave before `measuredFrom` are warm-up and in no figure, however late they end.
 */
import { statusName } from '../../protocol/layout.ts';
import { LatencyBuckets, LatencyDifference } from './latency.ts';
import type { ClaimEnds } from './outstanding.ts';
import type { FaultCounts, LoadInterval, LoadStep } from './result.ts';

/** A claim that leaves later than this is late: the generator, not the node, then shapes the figures. */
export const LATE_MS = 1;
const INTERVAL_MS = 1_000;
/** What is left of a step behind its last second is an interval from this length on. */
const INTERVAL_MS_MIN = 1;

export class Recorder implements ClaimEnds {
  sent = 0;
  datagrams = 0;
  duplicateAcks = 0;
  outOfOrderAcks = 0;
  /** Frames that are no ack of one of the channels. */
  strayAcks = 0;
  /** When a socket was last found full: a claim that was due by then waited for it. */
  fullAt = Number.NEGATIVE_INFINITY;
  readonly faults: FaultCounts = { dropped: 0, duplicated: 0, reordered: 0, corrupted: 0, stale: 0 };
  readonly #latency = new LatencyBuckets();
  readonly #uncorrected = new LatencyBuckets();
  readonly #difference = new LatencyDifference(this.#latency);
  readonly #refused = new Float64Array(256);
  readonly #intervals: LoadInterval[] = [];
  readonly #measuredFrom: number;
  #acked = 0;
  #ackedByNewer = 0;
  #already = 0;
  #covered = 0;
  #expectedRefusals = 0;
  #unanswered = 0;
  #late = 0;
  #blocked = 0;
  #lateMaxMs = 0;
  #lastSentAt = 0;
  #lastAckedAt = 0;
  #intervalAt: number;
  #intervalSent = 0;
  #intervalAcked = 0;

  constructor(measuredFrom: number) {
    this.#measuredFrom = measuredFrom;
    this.#intervalAt = measuredFrom;
  }

  isMeasured(dueAt: number): boolean {
    return dueAt >= this.#measuredFrom;
  }

  left(dueAt: number, sentAt: number): void {
    if (dueAt < this.#measuredFrom) return;
    this.sent += 1;
    this.#lastSentAt = sentAt;
    const lateMs = sentAt - dueAt;
    if (lateMs > LATE_MS) {
      this.#late += 1;
      if (dueAt <= this.fullAt) this.#blocked += 1;
    }
    if (lateMs > this.#lateMaxMs) this.#lateMaxMs = lateMs;
  }

  committed(dueAt: number, sentAt: number, now: number, isByNewer: boolean): void {
    if (dueAt < this.#measuredFrom) return;
    this.#acked += 1;
    if (isByNewer) this.#ackedByNewer += 1;
    this.#lastAckedAt = now;
    this.#latency.record(now - dueAt);
    this.#uncorrected.record(now - sentAt);
  }
  already(dueAt: number): void {
    if (dueAt >= this.#measuredFrom) this.#already += 1;
  }
  refused(dueAt: number, status: number, isExpected: boolean): void {
    if (dueAt < this.#measuredFrom) return;
    this.#refused[status]! += 1;
    if (isExpected) this.#expectedRefusals += 1;
  }
  covered(dueAt: number): void {
    if (dueAt >= this.#measuredFrom) this.#covered += 1;
  }
  uncovered(dueAt: number): void {
    if (dueAt >= this.#measuredFrom) this.#covered -= 1;
  }
  unanswered(dueAt: number): void {
    if (dueAt >= this.#measuredFrom) this.#unanswered += 1;
  }

  /**
   * Ends the intervals whose second is over, each on the second: what a late caller brings counts in the first of them.
   * So n seconds have n intervals.
   */
  tick(now: number, hear: (interval: LoadInterval) => void): void {
    for (let end = this.#intervalAt + INTERVAL_MS; now >= end; end += INTERVAL_MS) this.#endInterval(end, hear);
  }

  /** The step's last interval, which may be shorter than the others. */
  lastTick(endedAt: number, hear: (interval: LoadInterval) => void): void {
    this.tick(endedAt, hear);
    if (endedAt - this.#intervalAt >= INTERVAL_MS_MIN) this.#endInterval(endedAt, hear);
  }

  #endInterval(end: number, hear: (interval: LoadInterval) => void): void {
    const seconds = (end - this.#intervalAt) / 1_000;
    const interval = {
      atSeconds: (end - this.#measuredFrom) / 1_000,
      sentPerSecond: (this.sent - this.#intervalSent) / seconds,
      ackedPerSecond: (this.#acked - this.#intervalAcked) / seconds,
      ...this.#difference.next(),
    };
    this.#intervalAt = end;
    this.#intervalSent = this.sent;
    this.#intervalAcked = this.#acked;
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
    return {
      requestedRate,
      achievedRate: perSecond(this.sent, this.#lastSentAt),
      ackedRate: perSecond(this.#acked, this.#lastAckedAt),
      seconds: Math.max(0, endedAt - this.#measuredFrom) / 1_000,
      sent: this.sent,
      datagrams: this.datagrams,
      acked: this.#acked,
      ackedByNewer: this.#ackedByNewer,
      already: this.#already,
      refused,
      expectedRefusals: this.#expectedRefusals,
      covered: this.#covered,
      unanswered: this.#unanswered,
      duplicateAcks: this.duplicateAcks,
      outOfOrderAcks: this.outOfOrderAcks,
      strayAcks: this.strayAcks,
      faults: this.faults,
      late: {
        claims: this.#late,
        lateMs: LATE_MS,
        maxMs: this.#lateMaxMs,
        unsent: unsent.claims,
        blocked: this.#blocked + unsent.blocked,
      },
      latency: this.#latency.summary(),
      uncorrected: this.#uncorrected.summary(),
      intervals: this.#intervals,
      delivery: null,
    };
  }
}
