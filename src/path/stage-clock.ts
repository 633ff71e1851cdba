/**
 * Where a thread's time goes: microseconds per stage of the claim path, as counters. One per thread.
 *
 * By the thread's own processor time where the addon can tell it, since threads that share cores stand in each other's
 * way; else by the wall clock. The wait for the disk is by the wall clock always. Laps are taken once per step of a turn,
 * not per claim: a turn of some hundred claims pays a nanosecond each for them.
 */
import { loadAddon } from '../native/addon.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';

export const STAGE = {
  receive: counterIndex('busyUs.receive'),
  verify: counterIndex('busyUs.verify'),
  commit: counterIndex('busyUs.commit'),
  write: counterIndex('busyUs.write'),
  send: counterIndex('busyUs.send'),
} as const;
const SYNC_WAIT = counterIndex('syncWaitUs');

const wallUs = () => performance.now() * 1_000;

export class StageClock {
  readonly #counters: Counters;
  readonly #now = processorClock();
  #last = 0;
  #waitingSince = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
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
    this.#waitingSince = wallUs();
  }
  syncEnds(): void {
    this.#counters.add(SYNC_WAIT, wallUs() - this.#waitingSince);
  }
}

/** Microseconds this thread has run, or the wall clock's. */
function processorClock(): () => number {
  try {
    const { threadCpuUs } = loadAddon<{ threadCpuUs?: () => number }>();
    return threadCpuUs ?? wallUs;
  } catch {
    return wallUs;
  }
}
