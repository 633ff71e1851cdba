/**
 * Copies of claims in flight, held back until their originals are decided: a bounded queue. Net thread or lane.
 *
 * Originals are decided in ring order and copies are queued as they come, so the head is nearly always the first that is
 * due; a copy behind it waits at most one group commit longer.
 */
import { SLOT_BYTES } from '../ring/arena.ts';
import { SLOT_SOURCE, SOURCE_BYTES } from '../ring/slot.ts';

/** A copy beyond these is counted and answered OVERLOADED. */
const DEFERRED_MAX = 1_024;

export class DeferredClaims {
  readonly #bytes = new Uint8Array(DEFERRED_MAX * SLOT_BYTES);
  readonly words = new Uint32Array(this.#bytes.buffer);
  readonly view = new DataView(this.#bytes.buffer);
  /** The ring sequence of each copy's original. */
  readonly #originals = new Uint32Array(DEFERRED_MAX);
  #head = 0;
  #tail = 0;

  get count(): number {
    return this.#tail - this.#head;
  }

  /** Keeps the claim and source at `slot` of `arena`; false when there is no room. */
  push(arena: Uint8Array, slot: number, original: number): boolean {
    if (this.count === DEFERRED_MAX) return false;
    const place = this.#tail++ % DEFERRED_MAX;
    this.#bytes.set(arena.subarray(slot, slot + SLOT_SOURCE + SOURCE_BYTES), place * SLOT_BYTES);
    this.#originals[place] = original;
    return true;
  }

  /** Whether the head's original is decided, given the ring's committed cursor. */
  isDue(committed: number): boolean {
    if (this.count === 0) return false;
    return ((committed - 1 - this.#originals[this.#head % DEFERRED_MAX]!) | 0) >= 0;
  }

  /** Removes the head and returns its byte offset, which is valid until the next push. */
  shift(): number {
    return (this.#head++ % DEFERRED_MAX) * SLOT_BYTES;
  }
}
