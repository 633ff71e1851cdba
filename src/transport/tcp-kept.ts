/**
 * Where connections keep what was read and not handed in yet: a place of READ_BYTES for each, by its slot.
 *
 * Made a block of places at a time, when first needed, and kept: under a flood every turn fills places anew, and buffers
 * made for each would be garbage that an idle thread never collects. The system gives pages to the places that are used.
 */
import { READ_BYTES } from './tcp-reader.ts';

const PLACES_PER_BLOCK = 64;

export class KeptBytes {
  readonly #blocks: (Uint8Array | undefined)[] = [];

  /** A copy of `bytes` in the place of `slot`, which is the caller's until it keeps others there. */
  keep(slot: number, bytes: Uint8Array): Uint8Array {
    // TLS may hand over more in one piece than was read in one.
    if (bytes.length > READ_BYTES) return bytes.slice();
    const index = Math.floor(slot / PLACES_PER_BLOCK);
    let block = this.#blocks[index];
    if (block === undefined) {
      block = new Uint8Array(PLACES_PER_BLOCK * READ_BYTES);
      this.#blocks[index] = block;
    }
    const offset = (slot % PLACES_PER_BLOCK) * READ_BYTES;
    // From one place into the same one, too: `set` copes with what overlaps.
    block.set(bytes, offset);
    return block.subarray(offset, offset + bytes.length);
  }
}
