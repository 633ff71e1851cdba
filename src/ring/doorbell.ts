/**
 * How a thread with nothing to do waits and is woken: two words of the arena, `rings` and `sleepers`.
 *
 * A producer publishes, then rings, which costs one atomic load while nobody sleeps. A sleeper announces itself, looks for
 * work once more, then waits. Either the producer sees the sleeper or the sleeper sees the work (both sides are
 * sequentially consistent), so no wake-up is lost.
 */

/** Node has Atomics.pause from version 24 on. */
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});

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

  /** Blocks until rung, for at most `timeoutMs`; not at all when there is work. Worker threads only. */
  sleep(hasWork: () => boolean, timeoutMs: number): void {
    const seen = Atomics.load(this.#ints, this.#rings);
    Atomics.add(this.#ints, this.#sleepers, 1);
    if (!hasWork()) Atomics.wait(this.#ints, this.#rings, seen, timeoutMs);
    Atomics.sub(this.#ints, this.#sleepers, 1);
  }

  /** The same for a thread that must not block its event loop, without a limit of time. */
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

export interface IdleStrategy {
  /** Empty steps before the thread sleeps. Read each time, since it may change. */
  readonly spins: number;
  /** The longest sleep, milliseconds: it would end a lost wake-up, which the doorbell's protocol rules out. */
  readonly sleepMsMax: number;
}

/**
 * A thread spins, which saves the 59 µs of a wake-up, only where every thread has a core of its own: otherwise it would take
 * the core from the thread that brings work.
 */
export function defaultIdleStrategy(cores: number, threads: number): IdleStrategy {
  return { spins: cores > threads ? 2_000 : 0, sleepMsMax: 1_000 };
}

/** What a blocking thread does between steps: it spins for a few empty ones, then sleeps on its doorbell. */
export class Idle {
  readonly #doorbell: Doorbell;
  readonly #strategy: IdleStrategy;
  #empty = 0;

  constructor(doorbell: Doorbell, strategy: IdleStrategy) {
    this.#doorbell = doorbell;
    this.#strategy = strategy;
  }

  /** A step did something. */
  reset(): void {
    this.#empty = 0;
  }

  /** A step found nothing. @param msMax another bound of the sleep, where the thread has something to do by then */
  wait(hasWork: () => boolean, msMax = Number.POSITIVE_INFINITY): void {
    if (this.#empty++ < this.#strategy.spins) {
      pause();
      return;
    }
    this.#doorbell.sleep(hasWork, Math.min(msMax, this.#strategy.sleepMsMax));
    this.#empty = 0;
  }
}
