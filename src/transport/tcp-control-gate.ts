/**
 * Limits the rate of control messages of all a listener's connections, since many within their own rates are still a flood.
 *
 * A message costs the thread some 20 µs: decoding 1.4, a nonce 2.8, to the main thread and back 4.4, encoding the reply
 * 2.3, two system calls. So the rate below is 2 % of its time. Connections over it are held, and let through in the order
 * they came: among a thousand that flood, an operator waits for a second.
 */
const MESSAGES_PER_SECOND_MAX = 1_000;
/** Messages at once, some millisecond of work. */
const BURST = 64;

export class ControlGate<T> {
  readonly #held = new Set<T>();
  #messages = BURST;
  #filledAt = 0;

  get held(): number {
    return this.#held.size;
  }

  /** Whether a new message may be accepted. `now` is in milliseconds, of any origin. */
  pass(now: number): boolean {
    this.#fill(now);
    if (this.#held.size > 0 || this.#messages < 1) return false;
    this.#messages--;
    return true;
  }

  /** Puts `taker` behind those that are held; one that is held already keeps its place. */
  hold(taker: T): void {
    this.#held.add(taker);
  }

  leave(taker: T): void {
    this.#held.delete(taker);
  }

  clear(): void {
    this.#held.clear();
  }

  /** Calls `serve` with those held, in order, one message each, as far as the rate allows now. */
  release(now: number, serve: (taker: T) => void): void {
    this.#fill(now);
    while (this.#messages >= 1) {
      const [taker] = this.#held;
      if (taker === undefined) return;
      this.#held.delete(taker);
      this.#messages--;
      serve(taker);
    }
  }

  #fill(now: number): void {
    const filled = this.#messages + (Math.max(0, now - this.#filledAt) * MESSAGES_PER_SECOND_MAX) / 1_000;
    this.#messages = Math.min(BURST, filled);
    this.#filledAt = now;
  }
}
