/**
 * Notices stuck claims: a ring stalls when claims wait in it and none was committed for long. Main thread.
 *
 * A sync that never returns blocks its lane, which then cannot report it; but the cursors are in shared memory.
 *
 * Two things would make it say so of a node that is well, or say yes and no by turns, which is worse than to say it late. A look
 * that comes late, since this thread or the whole machine stood still, says nothing of the time in between: it counts as one that
 * came in time. And a disk that takes so long for each sync is slow and does not hang: how long a wait took that ended is how
 * long another may take, twice over, for a while.
 */
import type { ClaimRing } from '../ring/claim-ring.ts';

type WatchedRing = Pick<ClaimRing, 'depth' | 'committed'>;

export interface StallBounds {
  /** How long claims may wait. */
  waitMsMax: number;
  /** How far apart looks are. One that comes later counts no more. */
  lookMs: number;
  /** How long they may wait, at most, where longer waits than `waitMsMax` were seen to end; by default `waitMsMax`. */
  slowMsMax?: number;
}

/** How long a long wait is remembered. */
const SLOW_MS = 60_000;

export class StallWatch {
  readonly #rings: readonly WatchedRing[];
  readonly #bounds: Required<StallBounds>;
  /** For each ring its committed cursor, and how long claims have waited there since it was last seen empty or with a new cursor. */
  readonly #progress: { committed: number; waitedMs: number }[];
  #stalled: number[] = [];
  #lookedAt = Number.NaN;
  /** How long claims may wait, and until when it is more than the bound. */
  #waitMsMax: number;
  #slowUntil = Number.NEGATIVE_INFINITY;

  constructor(rings: readonly WatchedRing[], bounds: StallBounds) {
    this.#rings = rings;
    this.#bounds = { slowMsMax: bounds.waitMsMax, ...bounds };
    this.#waitMsMax = bounds.waitMsMax;
    this.#progress = rings.map(({ committed }) => ({ committed, waitedMs: 0 }));
  }

  get isStalled(): boolean {
    return this.#stalled.length > 0;
  }

  get report(): string {
    if (!this.isStalled) return 'claims get on again: ready';
    const rings = this.#stalled.map((ring) => `${this.#rings[ring]!.depth} in ring ${ring}`).join(', ');
    return `claims wait for ${this.#waitMsMax} ms and more for the disk or a verifier (${rings}): not ready`;
  }

  /** Looks at every ring; returns whether `isStalled` has changed. `now` is monotonic, in milliseconds. */
  look(now: number): boolean {
    const { waitMsMax, lookMs } = this.#bounds;
    const wasStalled = this.isStalled;
    const passedMs = Number.isNaN(this.#lookedAt) ? 0 : Math.min(now - this.#lookedAt, lookMs);
    this.#lookedAt = now;
    if (now >= this.#slowUntil) this.#waitMsMax = waitMsMax;
    this.#stalled = [];
    for (const [index, ring] of this.#rings.entries()) {
      const progress = this.#progress[index]!;
      const { committed } = ring;
      if (ring.depth === 0 || committed !== progress.committed) {
        if (progress.waitedMs >= waitMsMax) this.#noteSlow(progress.waitedMs, now);
        progress.committed = committed;
        progress.waitedMs = 0;
        continue;
      }
      progress.waitedMs += passedMs;
      if (progress.waitedMs >= this.#waitMsMax) this.#stalled.push(index);
    }
    return this.isStalled !== wasStalled;
  }

  #noteSlow(waitedMs: number, now: number): void {
    this.#waitMsMax = Math.min(Math.max(this.#waitMsMax, Math.round(2 * waitedMs)), this.#bounds.slowMsMax);
    this.#slowUntil = now + SLOW_MS;
  }
}
