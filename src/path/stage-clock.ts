/**
 * Counts the microseconds that a thread spends in each stage of the claim path. One instance per thread.
 *
 * Stages are measured in the thread's processor time where the addon provides it, since threads may share a core, otherwise
 * by the monotonic clock, which always measures the wait for the disk. A lap is counted once per step of a turn: with some
 * hundred claims a turn, that costs a nanosecond a claim.
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

  /** Begins the first lap. */
  start(): void {
    this.#last = this.#now();
  }

  /** Counts the time since `start` or the last lap for `stage`, one of STAGE. */
  lap(stage: number): void {
    const now = this.#now();
    this.#counters.add(stage, now - this.#last);
    this.#last = now;
  }

  /** A sync begins, in this thread or in another. */
  syncBegins(): void {
    this.#waitingSince = this.#clock.monotonic();
  }
  /** Returns how long the sync took, in microseconds. */
  syncEnds(): number {
    const us = (this.#clock.monotonic() - this.#waitingSince) * 1_000;
    this.#counters.add(SYNC_WAIT, us);
    return us;
  }
}

/** The processor time of this thread in microseconds, or else the monotonic clock's. */
function processorClock(clock: Pick<Clock, 'monotonic'>): () => number {
  const wallUs = () => clock.monotonic() * 1_000;
  try {
    return loadAddon<{ threadCpuUs?: () => number }>().threadCpuUs ?? wallUs;
  } catch {
    return wallUs;
  }
}
