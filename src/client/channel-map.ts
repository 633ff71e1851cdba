/**
 * What belongs to each channel, found by the two halves of its handle as they lie in a claim or an ack: a Map of BigInts
 * allocates one, and calls the engine, for every look-up. Nothing is taken out one by one. Payer's thread.
 */
import { assert } from '../errors.ts';

/** A place: the handle's halves, and which value it is, counted from 1. 0 is a free place; half of them are. */
const PLACE_WORDS = 4;
const NUMBER = 2;
const PLACES_MIN = 16;
/** Odd: Fibonacci's, for 32 bits. */
const SPREAD = 0x9e3779b1;

export class ChannelMap<Value extends object> {
  readonly #values: Value[] = [];
  #places = new Uint32Array(PLACE_WORDS * PLACES_MIN);
  #mask = PLACES_MIN - 1;

  get(high: number, low: number): Value | undefined {
    const number = this.#places[this.#place(high, low) + NUMBER]!;
    return number === 0 ? undefined : this.#values[number - 1];
  }

  find(channelId: bigint): Value | undefined {
    return this.get(highOf(channelId), lowOf(channelId));
  }

  /** Adds a channel that is not there yet. */
  add(channelId: bigint, value: Value): void {
    if (2 * this.#values.length > this.#mask) this.#grow();
    const [high, low] = [highOf(channelId), lowOf(channelId)];
    assert(this.get(high, low) === undefined, 'a channel is added once');
    this.#put(high, low, this.#values.push(value));
  }

  /** In the order in which they were added. */
  get values(): readonly Value[] {
    return this.#values;
  }

  clear(): void {
    this.#values.length = 0;
    this.#places.fill(0);
  }

  /** Where the channel is, or the free place where it would be. */
  #place(high: number, low: number): number {
    const places = this.#places;
    let place = (Math.imul(high ^ Math.imul(low, SPREAD), SPREAD) >>> 5) & this.#mask;
    for (;;) {
      const at = PLACE_WORDS * place;
      if (places[at + NUMBER] === 0 || (places[at] === high && places[at + 1] === low)) return at;
      place = (place + 1) & this.#mask;
    }
  }

  #put(high: number, low: number, number: number): void {
    const at = this.#place(high, low);
    this.#places[at] = high;
    this.#places[at + 1] = low;
    this.#places[at + NUMBER] = number;
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Uint32Array(2 * old.length);
    this.#mask = 2 * this.#mask + 1;
    for (let at = 0; at < old.length; at += PLACE_WORDS)
      if (old[at + NUMBER] !== 0) this.#put(old[at]!, old[at + 1]!, old[at + NUMBER]!);
  }
}

function highOf(channelId: bigint): number {
  return Number(channelId >> 32n);
}
function lowOf(channelId: bigint): number {
  return Number(BigInt.asUintN(32, channelId));
}
