/**
 * Claims held back while an identical one is in flight: a bounded first-in first-out queue of copied slots.
 *
 * Twins are decided in ring order and claims are queued as they come, so the head is nearly always the first to be due; one
 * that waits behind it waits a group commit longer, no more. Net thread (or lane) only; the memory is its own.
 */
import { SLOT_BYTES } from '../ring/arena.ts';
import { SLOT_RECEIVED_AT } from '../ring/slot.ts';

/** A duplicate beyond these is counted and answered OVERLOADED. */
const DEFERRED_MAX = 1_024;

export class DeferredClaims {
  readonly #bytes = new Uint8Array(DEFERRED_MAX * SLOT_BYTES);
  readonly words = new Uint32Array(this.#bytes.buffer);
  readonly view = new DataView(this.#bytes.buffer);
  readonly #twins = new Uint32Array(DEFERRED_MAX);
  #head = 0;
  #tail = 0;

  get count(): number {
    return this.#tail - this.#head;
  }

  /** Copies the claim and source at `slot` of `arena`; false when there is no room. */
  push(arena: Uint8Array, slot: number, twin: number): boolean {
    if (this.count === DEFERRED_MAX) return false;
    const place = this.#tail++ % DEFERRED_MAX;
    this.#bytes.set(arena.subarray(slot, slot + SLOT_RECEIVED_AT), place * SLOT_BYTES);
    this.#twins[place] = twin;
    return true;
  }

  /** Whether the head's twin is decided, given the ring's committed cursor. */
  isDue(committed: number): boolean {
    if (this.count === 0) return false;
    return ((committed - 1 - this.#twins[this.#head % DEFERRED_MAX]!) | 0) >= 0;
  }

  /** Removes the head and returns its byte offset; valid until as many pushes as there is room. */
  shift(): number {
    return (this.#head++ % DEFERRED_MAX) * SLOT_BYTES;
  }
}
