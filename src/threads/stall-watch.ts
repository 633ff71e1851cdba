/**
 * Whether claims get on: a ring in which some wait, and none has been committed for so long, stands still.
 *
 * Main thread. A sync that never returns blocks its lane, so nobody there can say so; but its claims leave the ring only
 * after it, and the cursors are in shared memory. The claim path does nothing for this.
 */

/** What is looked at of a ring (ring/claim-ring.ts). */
export interface WatchedRing {
  readonly depth: number;
  readonly committed: number;
}

interface Progress {
  committed: number;
  /** When the ring was last seen empty or further on. */
  since: number;
}

export class StallWatch {
  readonly #rings: readonly WatchedRing[];
  readonly #msMax: number;
  readonly #progress: Progress[];
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

  /** For the log. */
  get report(): string {
    if (!this.isStalled) return 'claims get on again: ready';
    const rings = this.#stalled.map((ring) => `${this.#rings[ring]!.depth} in ring ${ring}`).join(', ');
    return `claims wait for ${this.#msMax} ms and more for the disk or a verifier (${rings}): not ready`;
  }

  /** Looks at every ring; whether `isStalled` has changed. `now`: monotonic, milliseconds. */
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
