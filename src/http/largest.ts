/**
 * The channels with the largest exposure, found in a walk over all of them: what GET /channels?sort=exposure lists. Main thread.
 *
 * Only the positions of the best rows are kept, so that a walk over millions of channels holds a few kilobytes.
 */
import type { Channel } from '../channel/row.ts';
import { exposureOf } from '../control/exposure.ts';
import type { Ledger } from './ledger.ts';

/** Rows that such a list has at most: each row of the walk may cost an insertion among these. */
export const LARGEST_MAX = 200;

interface Place {
  exposure: bigint;
  committed: bigint;
  position: number;
}

export class Largest {
  readonly #count: number;
  readonly #ledger: Ledger | undefined;
  /** The largest first. */
  readonly #places: Place[] = [];

  constructor(count: number, ledger: Ledger | undefined) {
    this.#count = count;
    this.#ledger = ledger;
  }

  /** Positions of the rows found, the largest exposure first; among equals the larger committed amount. */
  get positions(): number[] {
    return this.#places.map(({ position }) => position);
  }

  add(channel: Channel, position: number): void {
    const { committed, throwAway } = channel;
    const state = this.#ledger?.state(channel.channelId);
    const isLost = state !== undefined && !state.exists;
    const exposure = throwAway || isLost ? 0n : exposureOf(committed, state ?? { redeemed: 0n });
    const place = { exposure, committed, position };
    const last = this.#places.at(-1);
    const isFull = this.#places.length >= this.#count;
    if (isFull && last !== undefined && !isLarger(place, last)) return;
    if (isFull) this.#places.pop();
    let low = 0;
    let high = this.#places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isLarger(place, this.#places[middle]!)) high = middle;
      else low = middle + 1;
    }
    this.#places.splice(low, 0, place);
  }
}

function isLarger(left: Place, right: Place): boolean {
  if (left.exposure !== right.exposure) return left.exposure > right.exposure;
  return left.committed > right.committed;
}
