/**
 * The filter of repeated frames: a copy of a frame in flight is dropped, since its payer puts what is not acknowledged into his next
 * root. Net thread or lane.
 *
 * As in duplicate-filter.ts, bits of the signature pick the cell, at places that nobody outside knows; here with the block's
 * number, as all frames of a root have its signature. Only a frame that is the same in every byte is dropped.
 */
import { MERKLE_BLOCK, MERKLE_SIGNATURE } from '../../protocol/layout.ts';
import type { Arena } from '../ring/arena.ts';
import { ENTRY_FRAME, ENTRY_SIZE, type FramePool } from '../ring/frame-pool.ts';
import type { System } from '../system/system.ts';

const CELL_BITS = 12;
/** The bytes of the signature at which the bits may begin. */
const STARTS = 60;

export class FrameFilter {
  /** The numbers of entries. */
  readonly #cells = new Uint32Array(1 << CELL_BITS);
  readonly #pool: FramePool;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #start: number;
  readonly #factor: number;

  constructor(arena: Arena, pool: FramePool, random: System['random']) {
    const draws = random(8);
    this.#pool = pool;
    this.#bytes = arena.bytes;
    this.#words = arena.words;
    this.#start = MERKLE_SIGNATURE + (draws.readUInt32LE(0) % STARTS);
    this.#factor = draws.readUInt32LE(4) | 1;
  }

  /** Whether the frame of `size` bytes at `offset` is that of an entry in flight. If not, the entry made next is looked at from now on. */
  isRepeated(bytes: Uint8Array, offset: number, size: number): boolean {
    const cell = this.#cell(bytes, offset);
    const number = this.#cells[cell]!;
    if (this.#pool.isLive(number) && this.#isSame(bytes, offset, size, this.#pool.entry(number))) return true;
    this.#cells[cell] = this.#pool.next;
    return false;
  }

  #cell(bytes: Uint8Array, offset: number): number {
    const at = offset + this.#start;
    const block = (bytes[offset + MERKLE_BLOCK]! << 8) | bytes[offset + MERKLE_BLOCK + 1]!;
    const bits = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
    return Math.imul(bits ^ Math.imul(block, this.#factor), this.#factor) >>> (32 - CELL_BITS);
  }

  #isSame(bytes: Uint8Array, offset: number, size: number, entry: number): boolean {
    if (this.#words[(entry >>> 2) + ENTRY_SIZE] !== size) return false;
    const frame = entry + ENTRY_FRAME;
    for (let index = 0; index < size; index++) if (bytes[offset + index] !== this.#bytes[frame + index]) return false;
    return true;
  }
}
