/**
 * Roots whose signatures were valid lately, so that a root is checked once for all of its frames. One instance per verifying thread.
 *
 * Bounded: a root has one place, which its digest and a seed pick. Nobody outside knows the seed, so nobody can choose whose
 * root he puts out; who is put out is checked once more. Only what was valid enters, so forged roots put out nobody.
 */
import { SIGNATURE_BYTES } from '../../protocol/layout.ts';

const PLACE_BITS = 9;
const PLACES = 1 << PLACE_BITS;
const DIGEST_WORDS = 8;
const SIGNATURE_WORDS = SIGNATURE_BYTES / 4;
/** Digest, signature, number of the key + 1. */
const ENTRY_WORDS = DIGEST_WORDS + SIGNATURE_WORDS + 1;
const MIX = 0x9e37_79b1;

export class VerifiedRoots {
  readonly #entries = new Uint32Array(PLACES * ENTRY_WORDS);
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Whether this signature (words from `signatureAt` on) of this digest was valid under the key of this number. */
  has(digest: Uint32Array, digestAt: number, signature: Uint32Array, signatureAt: number, key: number): boolean {
    const base = this.#place(digest, digestAt);
    const entries = this.#entries;
    if (entries[base + ENTRY_WORDS - 1] !== key + 1) return false;
    for (let word = 0; word < DIGEST_WORDS; word++) if (entries[base + word] !== digest[digestAt + word]) return false;
    for (let word = 0; word < SIGNATURE_WORDS; word++)
      if (entries[base + DIGEST_WORDS + word] !== signature[signatureAt + word]) return false;
    return true;
  }

  add(digest: Uint32Array, digestAt: number, signature: Uint32Array, signatureAt: number, key: number): void {
    const base = this.#place(digest, digestAt);
    for (let word = 0; word < DIGEST_WORDS; word++) this.#entries[base + word] = digest[digestAt + word]!;
    for (let word = 0; word < SIGNATURE_WORDS; word++)
      this.#entries[base + DIGEST_WORDS + word] = signature[signatureAt + word]!;
    this.#entries[base + ENTRY_WORDS - 1] = key + 1;
  }

  #place(digest: Uint32Array, at: number): number {
    const mixed = Math.imul(Math.imul(digest[at]! ^ this.#seed, MIX) ^ digest[at + 1]!, MIX);
    return (mixed >>> (32 - PLACE_BITS)) * ENTRY_WORDS;
  }
}
