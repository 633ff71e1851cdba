/** The claims of one turn, which are filled and signed in the first slots of the ring and then sent. Generator thread. */
import type { Random } from './random.ts';
import type { FaultFractions } from './settings.ts';

/** The most claims that are signed at once, in the ring's first slots. */
export const BATCH_CLAIMS_MAX = 512;
/** The most claims that are held back to be reordered, in the slots behind. */
export const HELD_CLAIMS_MAX = 512;

/** The faults that are made on purpose. */
export const FAULT_NONE = 0;
export const FAULT_DROP = 1;
export const FAULT_DUPLICATE = 2;
export const FAULT_REORDER = 3;
export const FAULT_CORRUPT = 4;
export const FAULT_STALE = 5;

export class Batch {
  count = 0;
  /** How many of them have been sent. */
  sent = 0;
  readonly dueAt = new Float64Array(BATCH_CLAIMS_MAX);
  readonly faults = new Uint8Array(BATCH_CLAIMS_MAX);
  /** The source of the claims sets these. */
  readonly channels = new Uint32Array(BATCH_CLAIMS_MAX);
  readonly amounts = new Float64Array(BATCH_CLAIMS_MAX);
  readonly sockets = new Uint16Array(BATCH_CLAIMS_MAX);
  /** 1 where a datagram has to begin. */
  readonly starts = new Uint8Array(BATCH_CLAIMS_MAX);
}

/** Draws at most one fault a claim. */
export class FaultDraw {
  readonly #limits: Float64Array;
  readonly #random: Random;
  readonly #isActive: boolean;

  constructor({ drop, dup, reorder, corruptSignature, stale }: FaultFractions, random: Random) {
    let sum = 0;
    this.#limits = Float64Array.of(drop, dup, reorder, corruptSignature, stale).map((fraction) => (sum += fraction));
    this.#random = random;
    this.#isActive = sum > 0;
  }

  draw(): number {
    if (!this.#isActive) return FAULT_NONE;
    const value = this.#random.next();
    for (let fault = FAULT_DROP; fault <= FAULT_STALE; fault++) if (value < this.#limits[fault - 1]!) return fault;
    return FAULT_NONE;
  }
}
