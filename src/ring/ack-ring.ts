/**
 * The ack ring carries finished acks, each with its destination, from the committer to the net thread.
 *
 * With the ring full an ack is dropped and counted: the payer sends its newest claim again and is answered ALREADY, whereas
 * a committer that waited for the net thread could stall every channel.
 */
import { ACK_BYTES } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import { ACK_ENTRY_BYTES, type Arena } from './arena.ts';
import { ACK_READ_LINE, ACK_WRITTEN_LINE, cursorWord } from './claim-ring.ts';
import { SOURCE_BYTES } from './slot.ts';

/** An entry is the ack frame, then its destination (see SOURCE_* in slot.ts). */
export const ENTRY_SOURCE = ACK_BYTES;
assert(ENTRY_SOURCE + SOURCE_BYTES <= ACK_ENTRY_BYTES, 'an ack and its destination fit an entry');

export class AckRing {
  readonly #ints: Int32Array;
  readonly #base: number;
  readonly #size: number;
  readonly #writtenWord: number;
  readonly #readWord: number;
  #next: number;
  #readSeen: number;

  constructor(arena: Arena, ring: number) {
    this.#ints = arena.ints;
    this.#size = arena.plan.shape.ackSlots;
    this.#base = arena.plan.acks.offset + ring * this.#size * ACK_ENTRY_BYTES;
    this.#writtenWord = cursorWord(arena, ring, ACK_WRITTEN_LINE);
    this.#readWord = cursorWord(arena, ring, ACK_READ_LINE);
    this.#next = this.written;
    this.#readSeen = this.read;
  }

  get written(): number {
    return Atomics.load(this.#ints, this.#writtenWord) >>> 0;
  }
  get read(): number {
    return Atomics.load(this.#ints, this.#readWord) >>> 0;
  }
  /** Writer: the sequence of the entry to fill next. */
  get next(): number {
    return this.#next;
  }
  entry(sequence: number): number {
    return this.#base + (sequence & (this.#size - 1)) * ACK_ENTRY_BYTES;
  }

  /** Writer: the byte offset of the entry to fill, or -1 when the ring is full. */
  tryNext(): number {
    if ((this.#next - this.#readSeen) >>> 0 >= this.#size) {
      this.#readSeen = this.read;
      if ((this.#next - this.#readSeen) >>> 0 >= this.#size) return -1;
    }
    return this.entry(this.#next);
  }

  /** Writer: the entry from `tryNext` is filled. The reader sees it after `publish`. */
  push(): void {
    this.#next = (this.#next + 1) >>> 0;
  }

  publish(): void {
    Atomics.store(this.#ints, this.#writtenWord, this.#next | 0);
  }

  /** Reader: frees every entry below `sequence`. */
  release(sequence: number): void {
    Atomics.store(this.#ints, this.#readWord, sequence | 0);
  }
}
