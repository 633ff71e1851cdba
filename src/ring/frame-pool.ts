/**
 * The frames of Merkle batches in flight, beside their ring: one contiguous entry each, which the slots of its leaves name.
 *
 * The receiver copies a frame in, once, before it publishes its leaves; a verifier writes the verdict, the committer what it has
 * answered. Entries are made in the order of their leaves, so they are freed in that order too: one is free once the ring's
 * committed cursor has passed its last leaf. A node without `--roots` has no such memory.
 */
import { MERKLE_BLOCK_LEAVES, MERKLE_FRAME_BYTES_MAX } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import { type Arena, FRAME_BYTES_PER_SLOT } from './arena.ts';
import type { ClaimRing } from './claim-ring.ts';

/** Words of an entry, in front of the frame. */
export const ENTRY_VERDICT = 0; // i32, one of FRAME_*; verifiers
export const ENTRY_SIZE = 1; // bytes of the frame
export const ENTRY_COUNT = 2; // its leaves
export const ENTRY_ANSWERS = 3; // answers that may still be sent to leaves that are not verified; receiver, then committer
export const ENTRY_NOTED = 4; // 1 once its failure was noted; committer
export const ENTRY_ROWS = 8; // the row of each leaf's channel
const ENTRY_WORDS = ENTRY_ROWS + MERKLE_BLOCK_LEAVES;
/** Where the frame begins in its entry. */
export const ENTRY_FRAME = ENTRY_WORDS * 4;

/** Whether the frame leads to a root that its key has signed. */
export const FRAME_PENDING = 0;
export const FRAME_VALID = 1;
export const FRAME_INVALID = 2;

const ENTRY_ALIGN = 16;
/** The smallest frame has one leaf and no path. */
const ENTRY_BYTES_MIN = ENTRY_FRAME + 96;

/** The receiver's handle on the pool of a ring. */
export class FramePool {
  readonly #ring: ClaimRing;
  readonly #base: number;
  readonly #bytes: number;
  /** Of each entry, by its number modulo as many as there can be: where it begins in the pool, and the sequence after its last leaf. */
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  /** The numbers of the oldest entry in flight and of the next one. */
  #oldest: number;
  #next: number;
  /** Where the next entry begins, if it fits there. */
  #head = 0;
  #reserved = 0;

  /** @param first the number of the first entry */
  constructor(arena: Arena, number: number, ring: ClaimRing, first = 0) {
    const { frames, shape } = arena.plan;
    this.#ring = ring;
    this.#oldest = first;
    this.#next = first;
    this.#bytes = shape.ringSlots * FRAME_BYTES_PER_SLOT;
    assert(frames.bytes >= this.#bytes * (number + 1), 'the arena was made with room for frames');
    assert(this.#bytes > 2 * (ENTRY_FRAME + MERKLE_FRAME_BYTES_MAX), 'any frame fits an empty pool');
    this.#base = frames.offset + number * this.#bytes;
    // A power of two: numbers go round at 2^32, and after the last of them comes the next place too.
    const entries = 2 ** Math.ceil(Math.log2(this.#bytes / ENTRY_BYTES_MIN));
    this.#starts = new Uint32Array(entries);
    this.#ends = new Uint32Array(entries);
  }

  /** The number that the entry made next will have. */
  get next(): number {
    return this.#next;
  }

  /** Whether the entry of this number is in flight. */
  isLive(number: number): boolean {
    this.#free();
    return (number - this.#oldest) >>> 0 < (this.#next - this.#oldest) >>> 0;
  }
  /** The byte offset in the arena of an entry that is in flight. */
  entry(number: number): number {
    return this.#base + this.#starts[number % this.#starts.length]!;
  }

  /** The byte offset of a place for a frame of `size` bytes, which is not taken before `push`; -1 where there is none. */
  tryEntry(size: number): number {
    this.#free();
    const needed = Math.ceil((ENTRY_FRAME + size) / ENTRY_ALIGN) * ENTRY_ALIGN;
    const count = (this.#next - this.#oldest) >>> 0;
    if (count === this.#starts.length) return -1;
    if (count === 0) this.#head = 0;
    const tail = count === 0 ? this.#bytes : this.#starts[this.#oldest % this.#starts.length]!;
    // Behind the head there is room up to the oldest entry, or up to the end and then again from the start.
    let start = this.#head;
    const isWrapped = count > 0 && start <= tail;
    if (start + needed > (isWrapped ? tail : this.#bytes)) {
      if (isWrapped || needed > tail) return -1;
      start = 0;
    }
    this.#starts[this.#next % this.#starts.length] = start;
    this.#reserved = start + needed;
    return this.#base + start;
  }

  /** The place from `tryEntry` is taken, until the ring has committed `end`, the sequence after its last leaf. */
  push(end: number): void {
    this.#ends[this.#next % this.#ends.length] = end;
    this.#head = this.#reserved;
    this.#next = (this.#next + 1) >>> 0;
  }

  #free(): void {
    const { committed } = this.#ring;
    while (this.#oldest !== this.#next) {
      if (((committed - this.#ends[this.#oldest % this.#ends.length]!) | 0) < 0) return;
      this.#oldest = (this.#oldest + 1) >>> 0;
    }
  }
}
