/**
 * Memory for what connections read and could not hand in yet: a place of READ_BYTES for each, by its slot.
 *
 * Blocks of places are allocated when first needed, and never freed: under a flood every turn fills places again, and a
 * buffer for each would be garbage that an idle thread never collects.
 */
import { READ_BYTES } from './tcp-reader.ts';

const PLACES_PER_BLOCK = 64;

export class KeptBytes {
  readonly #blocks: (Uint8Array | undefined)[] = [];

  /** A copy of `bytes` in the place of `slot`, valid until the next call for that slot. */
  keep(slot: number, bytes: Uint8Array): Uint8Array {
    // TLS may deliver more than READ_BYTES in one piece.
    if (bytes.length > READ_BYTES) return bytes.slice();
    const index = Math.floor(slot / PLACES_PER_BLOCK);
    this.#blocks[index] ??= new Uint8Array(PLACES_PER_BLOCK * READ_BYTES);
    const block = this.#blocks[index];
    const offset = (slot % PLACES_PER_BLOCK) * READ_BYTES;
    // `bytes` may be in the same place already: `set` allows overlaps.
    block.set(bytes, offset);
    return block.subarray(offset, offset + bytes.length);
  }
}
