/**
 * How many claims may be unacknowledged at once, over all channels of one payer.
 *
 * More claims than the node can handle would only wait there, so the user sets a maximum. OVERLOADED halves the limit, at
 * most once per timeout, since all claims of one burst get the same answer. Acks raise it again.
 */

/** One full datagram, so that a node with room again is found at once. */
const LIMIT_MIN = 15;
/** Growth per acknowledged claim: by an eighth in a round trip. */
const GROWTH = 1 / 8;

export class SendWindow {
  /** Claims sent and neither acknowledged nor given up. */
  used = 0;
  limit: number;
  readonly #max: number;
  #shrunkAt = Number.NEGATIVE_INFINITY;

  constructor(max: number) {
    this.#max = max;
    this.limit = max;
  }

  get hasRoom(): boolean {
    return this.used + 1 <= this.limit;
  }

  grow(claims: number): void {
    this.limit = Math.min(this.#max, this.limit + claims * GROWTH);
  }

  shrink(now: number, timeoutMs: number): void {
    if (now - this.#shrunkAt < timeoutMs) return;
    this.#shrunkAt = now;
    this.limit = Math.max(Math.min(this.#max, LIMIT_MIN), this.limit / 2);
  }
}
