/**
 * Everything random in a load run comes from its seed, so that the same command repeats the same run.
 *
 * Bytes for keys and ids are SHA-256 of seed and name; numbers come from xoshiro128**, which starts from such bytes.
 */
import { createHash } from 'node:crypto';

/** 32 bytes that depend on the seed and the name alone. */
export function seededBytes(seed: number, name: string): Buffer {
  return createHash('sha256').update(`claimwire load/${seed}/${name}`).digest();
}

/** xoshiro128**, https://prng.di.unimi.it/xoshiro128starstar.c */
export class Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number, name: string) {
    const bytes = seededBytes(seed, name);
    for (let word = 0; word < 4; word++) this.#state[word] = bytes.readUInt32LE(4 * word);
  }

  /** A u32. */
  word(): number {
    const state = this.#state;
    const second = state[1]!;
    const product = Math.imul(second, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    state[2]! ^= state[0]!;
    state[3]! ^= second;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= second << 9;
    const fourth = state[3]!;
    state[3] = (fourth << 11) | (fourth >>> 21);
    return result;
  }

  /** At least 0, below 1, in steps of 2^-32. */
  next(): number {
    return this.word() / 2 ** 32;
  }

  /** A whole number below `bound`, at most 2^32. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }
}
