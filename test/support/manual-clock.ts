/** A clock that stands still until a test moves it. */
import type { Clock } from '../../src/system/system.ts';

export class ManualClock implements Clock {
  private now: number;
  private readonly timers = new Set<{ periodMs: number; at: number; callback: () => void }>();

  /** `wall` in milliseconds since 1970. */
  constructor(wall = 1_800_000_000_000) {
    this.now = wall;
  }

  wall(): number {
    return this.now;
  }

  monotonic(): number {
    return this.now;
  }

  every(periodMs: number, callback: () => void): () => void {
    const timer = { periodMs, at: this.now + periodMs, callback };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.timers.size;
  }

  /** Moves on, and calls what falls due, in order. */
  advance(forMs: number): void {
    const end = this.now + forMs;
    for (;;) {
      const due = [...this.timers].filter(({ at }) => at <= end).sort((left, right) => left.at - right.at)[0];
      if (due === undefined) break;
      this.now = Math.max(this.now, due.at);
      due.at += due.periodMs;
      due.callback();
    }
    this.now = end;
  }
}
