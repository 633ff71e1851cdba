/**
 * The verify step: take a batch of received claims, judge it in place, ring for the committer. Verifier thread or lane.
 */
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { VerifyBackend } from '../verify/backend.ts';

export class VerifyStep {
  readonly #ring: ClaimRing;
  readonly #backend: VerifyBackend;

  constructor(ring: ClaimRing, backend: VerifyBackend) {
    this.#ring = ring;
    this.#backend = backend;
  }

  /** Judges at most one batch; returns how many claims. */
  step(): number {
    const count = this.#ring.take(this.#backend.batchMax);
    if (count === 0) return 0;
    this.#backend.verifySlots(this.#ring.first, count);
    this.#ring.verified();
    return count;
  }
}
