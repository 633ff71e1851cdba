/** Threads on cores of their own, and how exactly the system ends their waits (schedule_node.c). For the thread that calls; Linux. */
import { loadAddon } from './addon.ts';

interface PinningAddon {
  pinThread(n: number): number;
  timerSlack(ns: number): boolean;
}

/** Pins this thread to the nth core, from 0, that the process may use, beyond the last from the first on. The core, or -1 where it cannot. */
export function pinThisThread(n: number): number {
  try {
    return loadAddon<Partial<PinningAddon>>().pinThread?.(n) ?? -1;
  } catch {
    return -1;
  }
}

/** Has this thread's waits end by no more than so many nanoseconds late; the system's default is 50,000. Whether it can. */
export function limitTimerSlack(ns: number): boolean {
  try {
    return loadAddon<Partial<PinningAddon>>().timerSlack?.(ns) ?? false;
  } catch {
    return false;
  }
}
