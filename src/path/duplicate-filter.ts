/**
 * The in-flight duplicate filter: spares a second verification of a claim that is still between receipt and the disk.
 *
 * A cell holds the ring sequence of the last claim that went in under it; the cell is picked by signature bits, which
 * are random already, at positions drawn at random per filter, so nothing is hashed and nobody outside knows the cells.
 * A cell's claim is in flight while its sequence lies in [committed, next): nothing is ever cleared. A hit is compared
 * in place with the claim in the slot, so only a true duplicate is held back, and it is never refused for it: once the
 * claim in flight is decided it runs through acceptance like any other.
 *
 * It belongs to the thread that receives, the net thread or a lane. There C enters plain claims into the same cells
 * (native/claim_path.c). The slots are the arena's.
 */
import { CLAIM_SIGNATURE, CLAIM_TIMESTAMP } from '../../protocol/layout.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { System } from '../system/system.ts';

/** 16 bits pick a cell: with 8,192 claims in flight one in eight cells is taken, and a false hit costs one compare. */
export const FILTER_CELLS = 1 << 16;
/** Whole bytes of r and s that a slice may begin at; s's first byte is left out, low-S biases it. */
const R_STARTS = 31;
const S_FIRST = 33;
const S_STARTS = 30;

export class DuplicateFilter {
  readonly cells = new Uint32Array(FILTER_CELLS);
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #ring: ClaimRing;
  readonly #rStart: number;
  readonly #rShift: number;
  readonly #sStart: number;
  readonly #sShift: number;
  /** Where in a claim the two bytes of a cell's number come from: byte and shift of the upper one, then of the lower. */
  readonly places: Uint32Array;

  constructor(arena: Arena, ring: ClaimRing, random: System['random']) {
    const draws = random(8);
    const below = (limit: number, draw: number) => draws.readUInt16LE(draw * 2) % limit;
    this.#rStart = CLAIM_SIGNATURE + below(R_STARTS, 0);
    this.#rShift = below(9, 1);
    this.#sStart = CLAIM_SIGNATURE + S_FIRST + below(S_STARTS, 2);
    this.#sShift = below(9, 3);
    this.places = Uint32Array.of(this.#rStart, this.#rShift, this.#sStart, this.#sShift);
    this.#bytes = arena.bytes;
    this.#view = arena.view;
    this.#ring = ring;
  }

  /**
   * Looks up the claim at `offset` of the arena, which is about to be pushed as `ring.next`.
   * @returns the ring sequence of its twin in flight, or -1 when there is none (and the claim is now the cell's)
   */
  enter(offset: number): number {
    const cell = this.#cell(offset);
    const ring = this.#ring;
    const committed = ring.committed;
    const sequence = this.cells[cell]!;
    const inFlight = (sequence - committed) >>> 0 < (ring.next - committed) >>> 0;
    if (inFlight && this.#same(offset, ring.slot(sequence))) return sequence;
    this.cells[cell] = ring.next;
    return -1;
  }

  #cell(offset: number): number {
    const high = (this.#view.getUint16(offset + this.#rStart) >>> this.#rShift) & 0xff;
    const low = (this.#view.getUint16(offset + this.#sStart) >>> this.#sShift) & 0xff;
    return (high << 8) | low;
  }

  /** The same claim but for its timestamp, which a payer sets anew when it sends a claim again. */
  #same(left: number, right: number): boolean {
    for (let index = 1; index < CLAIM_TIMESTAMP; index++)
      if (this.#bytes[left + index] !== this.#bytes[right + index]) return false;
    return true;
  }
}
