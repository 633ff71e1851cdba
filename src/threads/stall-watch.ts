/**
 * Notices stuck claims: a ring stalls when claims wait in it and none was committed for long. Main thread.
 *
 * A sync that never returns blocks its lane, which then cannot report it; but the cursors are in shared memory.
 */
import type { ClaimRing } from '../ring/claim-ring.ts';

type WatchedRing = Pick<ClaimRing, 'depth' | 'committed'>;

export class StallWatch {
  readonly #rings: readonly WatchedRing[];
  readonly #msMax: number;
  /** For each ring its committed cursor, and when it was last seen empty or with a new cursor. */
  readonly #progress: { committed: number; since: number }[];
  #stalled: number[] = [];

  /** @param msMax how long claims may wait */
  constructor(rings: readonly WatchedRing[], msMax: number) {
    this.#rings = rings;
    this.#msMax = msMax;
    this.#progress = rings.map(({ committed }) => ({ committed, since: -1 }));
  }

  get isStalled(): boolean {
    return this.#stalled.length > 0;
  }

  get report(): string {
    if (!this.isStalled) return 'claims get on again: ready';
    const rings = this.#stalled.map((ring) => `${this.#rings[ring]!.depth} in ring ${ring}`).join(', ');
    return `claims wait for ${this.#msMax} ms and more for the disk or a verifier (${rings}): not ready`;
  }

  /** Looks at every ring; returns whether `isStalled` has changed. `now` is monotonic, in milliseconds. */
  look(now: number): boolean {
    const wasStalled = this.isStalled;
    this.#stalled = [];
    for (const [index, ring] of this.#rings.entries()) {
      const progress = this.#progress[index]!;
      const { committed } = ring;
      if (ring.depth === 0 || committed !== progress.committed || progress.since < 0) {
        progress.committed = committed;
        progress.since = now;
      } else if (now - progress.since >= this.#msMax) this.#stalled.push(index);
    }
    return this.isStalled !== wasStalled;
  }
}
