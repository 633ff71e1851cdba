/**
 * The verify step: take a batch of received claims, judge it in place, ring for the committer. Verifier thread or lane.
 */
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { VerifyBackend } from '../verify/backend.ts';

export class VerifyStep {
  readonly #ring: ClaimRing;
  readonly #backend: VerifyBackend;

  readonly #claimsMax: number;

  /** @param claimsMax most claims taken at once, where others could have them; the backend has a limit of its own */
  constructor(ring: ClaimRing, backend: VerifyBackend, claimsMax: number = Number.POSITIVE_INFINITY) {
    this.#ring = ring;
    this.#backend = backend;
    this.#claimsMax = Math.min(backend.batchMax, claimsMax);
  }

  /** Judges at most one batch; returns how many claims. */
  step(): number {
    const count = this.#ring.reserve(this.#claimsMax);
    if (count === 0) return 0;
    this.#backend.verifySlots(this.#ring.first, count);
    this.#ring.verified();
    return count;
  }
}
