/**
 * The priority of the web process. Its main thread, before the library's threads, which inherit it.
 *
 * Where cores are short, the threads that verify and commit come first: handshakes and packets of strangers wait, and not the
 * claims that are in the node already.
 *
 * A small share of a core is not enough for that. A core on which a thread of the smallest share is at work counts as busy:
 * a lane that wakes is not put there, and two lanes that have met on the other core stay there for up to 64 ms, until the
 * system evens out busy cores. One on which only idle threads (SCHED_IDLE) are at work counts as free.
 *
 * But idle threads of a full machine get a three-hundredth of a core each. So this process looks whether it still gets its turns, and where
 * it does not, it takes its small share for a while.
 */
import { setPriority } from 'node:os';
import { loadAddon } from '../native/addon.ts';

/**
 * A thread has a share of a core by its weight, and four are at work here: with 10 (110 each) they had 0.43 of what a lane
 * (1,024) has, and with 19 (15 each) 0.06 of it.
 */
const NICE = 19;
const LOOK_MS = 100;
/** A look that is later says that this process does not get its turns. Payers wait as long for an ack at least. */
const LATE_MS_MAX = 100;
/** For how long it takes its share then: longer each time that this did not last, up to the second. */
const SHARE_MS_MIN = 1_000;
const SHARE_MS_MAX = 10_000;

/** What schedule_node.c exports; absent from addons of other systems. */
interface Scheduling {
  scheduleBatch(): boolean;
  mayScheduleIdle(): boolean;
  scheduleIdle(isIdle: boolean): boolean;
}

/** Gives precedence to the node, as far as the system allows it: otherwise they share alike. */
export function yieldToNode(): void {
  try {
    setPriority(NICE);
  } catch {
    // A sandbox may forbid it.
  }
  try {
    const addon = loadAddon<Scheduling>();
    addon.scheduleBatch();
    // Without a way back it would be idle for good (deploy/claimwire.service asks for one).
    if (!addon.mayScheduleIdle()) return;
    const idling = new Idling(performance.now(), (isIdle) => addon.scheduleIdle(isIdle));
    setInterval(() => idling.look(performance.now()), LOOK_MS).unref();
  } catch {
    // Without the addon a thread that wakes may interrupt a lane, for its small share.
  }
}

/** Is idle as long as it gets its turns; not in its first second, in which it loads libraries. */
export class Idling {
  readonly #setIdle: (isIdle: boolean) => void;
  #lookedAt: number;
  #isIdle = false;
  /** When it began, became idle, or no longer was. */
  #since: number;
  #shareMs = SHARE_MS_MIN;

  /** @param now milliseconds of a monotonic clock */
  constructor(now: number, setIdle: (isIdle: boolean) => void) {
    this.#setIdle = setIdle;
    this.#lookedAt = now;
    this.#since = now;
  }

  /** Called every LOOK_MS, as far as this thread gets its turns. */
  look(now: number): void {
    const lateMs = now - this.#lookedAt - LOOK_MS;
    const lastedMs = now - this.#since;
    this.#lookedAt = now;
    if (!this.#isIdle) {
      if (lastedMs >= this.#shareMs) this.#become(true, now);
      return;
    }
    if (lateMs <= LATE_MS_MAX) return;
    const hasLasted = lastedMs >= SHARE_MS_MAX;
    this.#shareMs = hasLasted ? SHARE_MS_MIN : Math.min(SHARE_MS_MAX, 2 * this.#shareMs);
    this.#become(false, now);
  }

  #become(isIdle: boolean, now: number): void {
    this.#isIdle = isIdle;
    this.#since = now;
    this.#setIdle(isIdle);
  }
}
