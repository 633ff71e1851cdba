/**
 * Where a thread's time goes: microseconds per stage of the claim path, as counters. One per thread.
 *
 * Stages are measured in processor time of the thread where the addon can tell it, since threads may share a core, and
 * else by the monotonic clock. The wait for the disk is always measured by the monotonic clock. Laps are taken once per step of a turn,
 * not per claim: a turn of some hundred claims pays a nanosecond each for them.
 */
import { loadAddon } from '../native/addon.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import type { Clock } from '../system/system.ts';

export const STAGE = {
  receive: counterIndex('busyUs.receive'),
  verify: counterIndex('busyUs.verify'),
  commit: counterIndex('busyUs.commit'),
  write: counterIndex('busyUs.write'),
  send: counterIndex('busyUs.send'),
} as const;
const SYNC_WAIT = counterIndex('syncWaitUs');

export class StageClock {
  readonly #counters: Counters;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #now: () => number;
  #last = 0;
  #waitingSince = 0;

  constructor(counters: Counters, clock: Pick<Clock, 'monotonic'>) {
    this.#counters = counters;
    this.#clock = clock;
    this.#now = processorClock(clock);
  }

  /** What comes next is work. */
  start(): void {
    this.#last = this.#now();
  }

  /** The time since `start` or the last lap was the stage's (one of STAGE). */
  lap(stage: number): void {
    const now = this.#now();
    this.#counters.add(stage, now - this.#last);
    this.#last = now;
  }

  /** A sync begins, in this thread or beside it. */
  syncBegins(): void {
    this.#waitingSince = this.#clock.monotonic();
  }
  /** Returns how long the sync took, microseconds. */
  syncEnds(): number {
    const us = (this.#clock.monotonic() - this.#waitingSince) * 1_000;
    this.#counters.add(SYNC_WAIT, us);
    return us;
  }
}

/** Microseconds this thread has run, or the monotonic clock's. */
function processorClock(clock: Pick<Clock, 'monotonic'>): () => number {
  const wallUs = () => clock.monotonic() * 1_000;
  try {
    const { threadCpuUs } = loadAddon<{ threadCpuUs?: () => number }>();
    return threadCpuUs ?? wallUs;
  } catch {
    return wallUs;
  }
}
