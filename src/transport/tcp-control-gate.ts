/**
 * The rate of control messages over all connections of a listener: many connections within their own rates are still a
 * flood to the thread that takes claims.
 *
 * A message costs that thread some 20 µs: decoding 1.4, a nonce 2.8, the way to the main thread and back 4.4, encoding
 * the reply 2.3, two system calls. So the rate below is 2 % of its time. Over it a connection is held, and those held
 * are let through one by one, in the order they came: an operator among a thousand that flood waits for a second.
 */
const MESSAGES_PER_SECOND_MAX = 1_000;
/** A millisecond of them at once. */
const BURST = 64;

export class ControlGate<T> {
  readonly #held = new Set<T>();
  #messages = BURST;
  #filledAt = 0;

  /** How many are held. */
  get held(): number {
    return this.#held.size;
  }

  /** Whether a message of somebody who comes now may be taken. `now` in milliseconds, of any origin. */
  pass(now: number): boolean {
    this.#fill(now);
    if (this.#held.size > 0 || this.#messages < 1) return false;
    this.#messages--;
    return true;
  }

  /** Stands behind those held already; who is held keeps its place. */
  hold(taker: T): void {
    this.#held.add(taker);
  }

  leave(taker: T): void {
    this.#held.delete(taker);
  }

  clear(): void {
    this.#held.clear();
  }

  /** Calls `serve` with those held, the first first, as many as messages may be taken now: one of each. */
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
