/** A clock that the test moves. Callbacks run in the order of their times. Test's thread. */
import type { Clock } from '../../src/system/system.ts';

interface Timer {
  at: number;
  periodMs: number;
  callback: () => void;
}

export class SteeredClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();

  constructor(startsAtMs: number) {
    this.#now = startsAtMs;
  }

  wall(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  every(periodMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + periodMs, periodMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass, and calls back what is due. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
      if (next === undefined) break;
      this.#now = next.at;
      next.at += next.periodMs;
      next.callback();
    }
    this.#now = end;
  }
}
