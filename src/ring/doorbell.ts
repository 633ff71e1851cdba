/**
 * How a thread with nothing to do is woken: two words of the arena, `rings` and `sleepers`.
 *
 * Producer: publish, then `ring()`; it costs one atomic load while nobody sleeps. Sleeper: announce itself, look for
 * work once more, then wait. Either the producer sees the sleeper or the sleeper sees the work (both sides are
 * sequentially consistent), so no wake-up is lost.
 */
export class Doorbell {
  readonly #ints: Int32Array;
  readonly #rings: number;
  readonly #sleepers: number;

  /** @param word index into `ints` of two adjacent words */
  constructor(ints: Int32Array, word: number) {
    this.#ints = ints;
    this.#rings = word;
    this.#sleepers = word + 1;
  }

  ring(): void {
    if (Atomics.load(this.#ints, this.#sleepers) === 0) return;
    Atomics.add(this.#ints, this.#rings, 1);
    Atomics.notify(this.#ints, this.#rings);
  }

  /** Blocks until rung, unless `hasWork` says there is something already; at most `timeoutMs`. Worker threads only. */
  sleep(hasWork: () => boolean, timeoutMs: number): void {
    const seen = Atomics.load(this.#ints, this.#rings);
    Atomics.add(this.#ints, this.#sleepers, 1);
    if (!hasWork()) Atomics.wait(this.#ints, this.#rings, seen, timeoutMs);
    Atomics.sub(this.#ints, this.#sleepers, 1);
  }

  /** The same for a thread that must keep its event loop: resolves once rung, or at once when there is work. */
  async sleepAsync(hasWork: () => boolean): Promise<void> {
    const seen = Atomics.load(this.#ints, this.#rings);
    Atomics.add(this.#ints, this.#sleepers, 1);
    if (!hasWork()) {
      const wait = Atomics.waitAsync(this.#ints, this.#rings, seen);
      if (wait.async) await wait.value;
    }
    Atomics.sub(this.#ints, this.#sleepers, 1);
  }
}
