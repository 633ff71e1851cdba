/**
 * Limits the refusals sent to a source, so that a flood of bad claims is not answered one for one. Net thread or lane.
 *
 * Addresses, without their ports, are hashed into a fixed number of token buckets: spoofed sources share buckets, and
 * cannot make the table grow.
 */
import { SOURCE_ADDRESS, SOURCE_WORDS } from '../ring/slot.ts';
import type { System } from '../system/system.ts';

const BUCKET_BITS = 12;
const BUCKET_SHIFT = 32 - BUCKET_BITS;
/** An honest payer is refused rarely. 2,000 a second is 64 kB/s of acks; the burst covers a test or a wrong batch. */
const REFUSALS_PER_SECOND = 2_000;
const BURST = 4_000;

export class RefusalLimiter {
  readonly #tokens = new Float64Array(1 << BUCKET_BITS).fill(BURST);
  readonly #filledAt = new Float64Array(1 << BUCKET_BITS);
  readonly #seed: number;

  constructor(random: System['random']) {
    this.#seed = random(4).readInt32LE();
  }

  /** Whether a refusal may be sent to the source at `words[at]`, which uses up a token; `now` in milliseconds. */
  allow(words: Uint32Array, at: number, now: number): boolean {
    let hash = this.#seed;
    for (let index = SOURCE_ADDRESS / 4; index < SOURCE_WORDS; index++)
      hash = Math.imul(hash ^ words[at + index]!, 0x9e3779b1) ^ (hash >>> 15);
    // The upper bits are used, since the lower ones of a product depend only on the first octets of an address.
    const bucket = hash >>> BUCKET_SHIFT;
    const refill = ((now - this.#filledAt[bucket]!) / 1_000) * REFUSALS_PER_SECOND;
    const tokens = Math.min(BURST, this.#tokens[bucket]! + Math.max(0, refill));
    this.#filledAt[bucket] = now;
    if (tokens < 1) {
      this.#tokens[bucket] = tokens;
      return false;
    }
    this.#tokens[bucket] = tokens - 1;
    return true;
  }
}
