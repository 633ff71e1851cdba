/**
 * Control words: the few flags every thread looks at. One line each in the arena's control region.
 */
import type { Arena } from './arena.ts';
import { LINE_BYTES } from './arena.ts';
import { Doorbell } from './doorbell.ts';

/**
 * Phases of a node, in order. Main asks to stop; the net side then takes in nothing more; the committer has committed
 * all that was in; the net side sends the last acks and closes its socket.
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

export function controlWord(arena: Arena, line: number): number {
  return (arena.plan.control.offset + line * LINE_BYTES) >>> 2;
}

export class ControlWords {
  /** The main thread sleeps here for a fence to be passed. */
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
  /** Phases only go forward. */
  advanceTo(phase: number): void {
    if (this.phase < phase) Atomics.store(this.#ints, this.#word(PHASE_LINE), phase);
  }

  /** The drain took too long: what is still in a ring is left there, unacknowledged. */
  get isAbandoned(): boolean {
    return Atomics.load(this.#ints, this.#word(ABANDON_LINE)) !== 0;
  }
  abandon(): void {
    Atomics.store(this.#ints, this.#word(ABANDON_LINE), 1);
  }

  /**
   * Main: asks every committer to pass between two groups; the result is what each ring's `fencePassed` must reach.
   * What was written to the channel table before is then known to every later group, and every earlier group applied.
   */
  askFence(): number {
    return Atomics.add(this.#ints, this.#word(FENCE_LINE), 1) + 1;
  }
  get fenceAsked(): number {
    return Atomics.load(this.#ints, this.#word(FENCE_LINE));
  }

  /**
   * The time the rules go by, whole seconds since 1970: raised to `seconds` if it was less, and returned. It never falls,
   * in any thread, also when the machine's clock does.
   */
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
