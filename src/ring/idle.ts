/**
 * What a blocking thread does when a step found nothing: spin a little, then sleep on its doorbell.
 *
 * Spinning saves the 59 µs of a wake-up only where a core is to spare; with fewer cores than threads it takes the
 * core from the very thread that would bring work, so the default there is not to spin at all.
 */
import type { Doorbell } from './doorbell.ts';

/** Atomics.pause is there from Node 24 on. */
const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});

export interface IdleStrategy {
  /** Empty steps before the thread sleeps. */
  spins: number;
  /** Longest sleep: a net under a lost wake-up, which the doorbell's protocol rules out. Milliseconds. */
  sleepMsMax: number;
}

/** No spinning unless every thread has a core of its own. */
export function defaultIdleStrategy(cores: number, threads: number): IdleStrategy {
  return { spins: cores > threads ? 2_000 : 0, sleepMsMax: 1_000 };
}

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

  /** A step found nothing. */
  wait(hasWork: () => boolean): void {
    if (this.#empty++ < this.#strategy.spins) {
      pause();
      return;
    }
    this.#doorbell.sleep(hasWork, this.#strategy.sleepMsMax);
    this.#empty = 0;
  }
}
