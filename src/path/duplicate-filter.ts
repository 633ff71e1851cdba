/**
 * The filter of duplicates spares the verification of a copy while its original is in flight. Net thread or lane.
 *
 * A cell holds the ring sequence of the last claim entered under it. Bits of the signature pick the cell: they are random
 * already, so nothing is hashed, and their positions are drawn per filter, so nobody outside knows the cells. A cell's
 * claim is in flight while its sequence lies in [committed, next), so nothing is ever cleared. A hit is compared with the
 * claim in the slot, so only a true copy is held back; once its original is decided, it is considered like any other
 * claim. C enters plain claims into the same cells (native/claim_path.c).
 */
import { CLAIM_SIGNATURE, CLAIM_TIMESTAMP } from '../../protocol/layout.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { System } from '../system/system.ts';

/** With 8,192 claims in flight one cell in eight is in use, with the largest default ring full half of them; a false hit costs one comparison. */
export const FILTER_CELLS = 1 << 16;
/** The bytes of r and s at which the bits may begin. The first byte of s is left out, since low-S biases it. */
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
  /** Where a cell's number comes from: offset in the claim and shift of its upper byte, then of its lower byte. */
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
   * Looks up the claim at `offset` of the arena, which may be pushed as `ring.next`.
   * @returns the ring sequence of its original in flight, or -1 when there is none; the claim is then entered in its cell
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

  /** Compares all but the timestamps, since a payer sets a new one when it sends a claim again. */
  #same(left: number, right: number): boolean {
    for (let index = 1; index < CLAIM_TIMESTAMP; index++)
      if (this.#bytes[left + index] !== this.#bytes[right + index]) return false;
    return true;
  }
}
