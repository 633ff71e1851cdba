/**
 * The retransmission timeout, measured as in RFC 6298, for all channels of one payer (they share the path). Payer's thread.
 */

/** RFC 6298 section 2: the gains of the smoothed round trip and of its variation. */
const SMOOTHING = 1 / 8;
const VARIATION_SMOOTHING = 1 / 4;
/**
 * The timeout is also at least this many round trips: with thousands of samples in one round trip the variation
 * shrinks to that of neighbours (RFC 7323, appendix G), and a stall of one collection or one sync would look like loss.
 */
const ROUND_TRIPS_MIN = 2;

/** Bounds of the retransmission time-out, milliseconds. */
export interface RtoLimits {
  /** Before the first sample. Sooner than RFC 6298's second: a claim sent twice costs the node one look-up. */
  initialMs: number;
  /** Longer than a timer's 1 ms, a group commit and a collection pause, which loopback's 0.2 ms do not cover. */
  minMs: number;
  /** At least 60 s by RFC 6298 (2.5), so that a node that verifies slowly is waited for. */
  maxMs: number;
  /** Bound of the back-off of one claim: a node that restarts is found again within this time. */
  backoffMaxMs: number;
}

export const RTO_LIMITS: RtoLimits = { initialMs: 250, minMs: 20, maxMs: 60_000, backoffMaxMs: 1_000 };

/** After so many doublings a back-off has reached its bound anyway: 20 ms * 2^10 is 20 s. */
const BACKOFF_DOUBLINGS_MAX = 10;
/** Doublings where other claims get through: this one was lost by chance, and the path is neither down nor congested. */
export const BACKOFF_DOUBLINGS_ALIVE_MAX = 3;
/** A claim waits up to this share longer, at random, so that claims lost together do not come back together. */
const JITTER = 0.25;

export class RttEstimator {
  /** 0 before the first sample. */
  smoothedMs = 0;
  variationMs = 0;
  rtoMs: number;
  readonly #limits: RtoLimits;

  constructor(limits: RtoLimits) {
    this.#limits = limits;
    this.rtoMs = limits.initialMs;
  }

  /**
   * Adds the round trip of one transmission; callers leave out those they cannot tell apart (Karn). It comes from an
   * echoed timestamp, so values that cannot be a round trip (NaN, 0, hours) are ignored.
   */
  sample(roundTripMs: number): void {
    if (!(roundTripMs > 0 && roundTripMs <= this.#limits.maxMs)) return;
    if (this.smoothedMs === 0) {
      this.smoothedMs = roundTripMs;
      this.variationMs = roundTripMs / 2;
    } else {
      const error = Math.abs(this.smoothedMs - roundTripMs);
      this.variationMs += VARIATION_SMOOTHING * (error - this.variationMs);
      this.smoothedMs += SMOOTHING * (roundTripMs - this.smoothedMs);
    }
    const timeout = Math.max(this.smoothedMs + 4 * this.variationMs, ROUND_TRIPS_MIN * this.smoothedMs);
    this.rtoMs = Math.min(Math.max(timeout, this.#limits.minMs), this.#limits.maxMs);
  }

  /**
   * How long a claim waits for its ack, from the timeout as it is now.
   * @param backoff times it was sent again
   * @param random 0..1, drawn once per transmission
   */
  delayMs(backoff: number, random: number): number {
    const doubled = this.rtoMs * 2 ** Math.min(backoff, BACKOFF_DOUBLINGS_MAX);
    const bounded = Math.max(this.rtoMs, Math.min(doubled, this.#limits.backoffMaxMs));
    return bounded * (1 + JITTER * random);
  }
}
