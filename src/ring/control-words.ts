/** Control words: the few flags that every thread reads. Each has a line of the arena's control region. */
import { type Arena, LINE_BYTES } from './arena.ts';
import { Doorbell } from './doorbell.ts';

/**
 * Phases of a node, in order. STOPPING: the main thread asked to stop, so the net thread receives nothing more. DRAINING:
 * every claim is in the ring. DRAINED: the committer is done; the net thread sends the last acks and closes its sockets.
 */
export const PHASE_RUNNING = 0;
export const PHASE_STOPPING = 1;
export const PHASE_DRAINING = 2;
export const PHASE_DRAINED = 3;

const PHASE_LINE = 0;
const ABANDON_LINE = 1;
const FENCE_LINE = 2;
const MAIN_DOORBELL_LINE = 3;
/** Owned by channel/table.ts. */
export const ED25519_LINE = 4;
const CLOCK_LINE = 5;
/** Owned by grown-rows.ts. */
export const FEED_LINE = 6;
/** Owned by setting-words.ts. */
export const SETTINGS_LINE = 7;

export function controlWord(arena: Arena, line: number): number {
  return (arena.plan.control.offset + line * LINE_BYTES) >>> 2;
}

export class ControlWords {
  /** The main thread sleeps here until a fence is passed. */
  readonly mainDoorbell: Doorbell;
  readonly #ints: Int32Array;
  readonly #base: number;

  constructor(arena: Arena) {
    this.#ints = arena.ints;
    this.#base = controlWord(arena, 0);
    this.mainDoorbell = new Doorbell(arena.ints, this.#word(MAIN_DOORBELL_LINE));
  }

  get phase(): number {
    return Atomics.load(this.#ints, this.#word(PHASE_LINE));
  }
  /** Phases only advance. */
  advanceTo(phase: number): void {
    if (this.phase < phase) Atomics.store(this.#ints, this.#word(PHASE_LINE), phase);
  }

  /** Whether stopping took too long: claims still in a ring are dropped, unacknowledged. */
  get isAbandoned(): boolean {
    return Atomics.load(this.#ints, this.#word(ABANDON_LINE)) !== 0;
  }
  abandon(): void {
    Atomics.store(this.#ints, this.#word(ABANDON_LINE), 1);
  }

  /**
   * Main thread: asks every committer for a moment between two groups. Returns what each ring's `fencePassed` must reach:
   * then every earlier group is applied, and every later group sees what was written to the channel table before.
   */
  askFence(): number {
    return Atomics.add(this.#ints, this.#word(FENCE_LINE), 1) + 1;
  }
  get fenceAsked(): number {
    return Atomics.load(this.#ints, this.#word(FENCE_LINE));
  }

  /** Raises the rules' time to `seconds` since 1970 if it was less, and returns it. It never falls. */
  advanceClock(seconds: number): number {
    const word = this.#word(CLOCK_LINE);
    for (;;) {
      const seen = Atomics.load(this.#ints, word);
      if (seen >>> 0 >= seconds) return seen >>> 0;
      if (Atomics.compareExchange(this.#ints, word, seen, seconds | 0) === seen) return seconds;
    }
  }

  #word(line: number): number {
    return this.#base + (line * LINE_BYTES) / 4;
  }
}
