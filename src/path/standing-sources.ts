/**
 * Sources of pairs in good standing, whose datagrams a socket's filter lets pass while a flood lasts (threads/flood-filter.ts).
 *
 * The commit step (or lane) notes them: not with each claim, but with those that note a pair (standing.ts). A source that is
 * full of wrong signatures, its own or those of whoever writes its address on his, passes no longer. The net thread (or lane)
 * reads; a source that it meets half written passes, or does not, until it reads again.
 */
import { type Arena, STANDING_SOURCE_WORDS, STANDING_SOURCES } from '../ring/arena.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import { sourceTransport } from '../transport/source.ts';
import { sourceHash } from '../transport/source-hash.ts';
import { TRANSPORT_UDP } from '../transport/transport.ts';

/** A source passes for so long after it was noted, seconds: a pair is noted every 16 at least. */
const PASSES_SECONDS = 60;
/** With more wrong signatures in a second it does not, in this second and the next. */
export const SOURCE_FAILURES_MAX = 32;
/** Places where a source may be: the one noted longest ago gives way. */
const WAYS = 4;
const SET_SHIFT = 32 - Math.log2(STANDING_SOURCES / WAYS);

/** After a source's own words: the second when it was noted, which is 0 in an empty place; its failures; when they were too many. */
const NOTED = SOURCE_WORDS;
const FAILURES = NOTED + 1;
const FAILED_AT = FAILURES + 1;
const COUNT_MASK = 0xffff;

export class StandingSources {
  readonly #words: Uint32Array;
  readonly #seed: number;

  constructor(arena: Arena, ring: number, seed: number) {
    const words = STANDING_SOURCES * STANDING_SOURCE_WORDS;
    const start = (arena.plan.sources.offset >>> 2) + ring * words;
    this.#words = arena.words.subarray(start, start + words);
    this.#seed = seed;
  }

  verified(words: Uint32Array, at: number, nowSeconds: number): void {
    if (sourceTransport(words[at]!) !== TRANSPORT_UDP) return;
    const first = this.#setOf(words, at);
    let place = this.#placeOf(first, words, at);
    if (place < 0) {
      place = this.#oldest(first);
      this.#words[place] = words[at]! & ~0xff;
      for (let word = 1; word < SOURCE_WORDS; word++) this.#words[place + word] = words[at + word]!;
      this.#words[place + FAILURES] = 0;
      this.#words[place + FAILED_AT] = 0;
    }
    this.#words[place + NOTED] = nowSeconds;
  }

  failed(words: Uint32Array, at: number, nowSeconds: number): void {
    const place = this.#placeOf(this.#setOf(words, at), words, at);
    if (place < 0) return;
    const second = nowSeconds & COUNT_MASK;
    const word = this.#words[place + FAILURES]!;
    const count = word >>> 16 === second ? Math.min((word & COUNT_MASK) + 1, COUNT_MASK) : 1;
    this.#words[place + FAILURES] = ((second << 16) | count) >>> 0;
    if (count >= SOURCE_FAILURES_MAX) this.#words[place + FAILED_AT] = nowSeconds;
  }

  /** Writes those that pass now into `target`, five words each. Returns how many, at most STANDING_SOURCES. */
  collect(nowSeconds: number, target: Uint32Array): number {
    let count = 0;
    for (let place = 0; place < this.#words.length; place += STANDING_SOURCE_WORDS) {
      const noted = this.#words[place + NOTED]!;
      if (noted === 0 || Math.abs(nowSeconds - noted) > PASSES_SECONDS) continue;
      if (nowSeconds - this.#words[place + FAILED_AT]! <= 1) continue;
      for (let word = 0; word < SOURCE_WORDS; word++) target[count * SOURCE_WORDS + word] = this.#words[place + word]!;
      count++;
    }
    return count;
  }

  #setOf(words: Uint32Array, at: number): number {
    return (sourceHash(this.#seed, words, at) >>> SET_SHIFT) * WAYS * STANDING_SOURCE_WORDS;
  }

  #placeOf(first: number, words: Uint32Array, at: number): number {
    for (let place = first; place < first + WAYS * STANDING_SOURCE_WORDS; place += STANDING_SOURCE_WORDS)
      if (this.#words[place + NOTED] !== 0 && this.#isAt(place, words, at)) return place;
    return -1;
  }

  #isAt(place: number, words: Uint32Array, at: number): boolean {
    // The first byte of a source belongs to the claim.
    if ((this.#words[place]! ^ words[at]!) >>> 8 !== 0) return false;
    for (let word = 1; word < SOURCE_WORDS; word++) if (this.#words[place + word] !== words[at + word]) return false;
    return true;
  }

  #oldest(first: number): number {
    let oldest = first;
    for (let place = first; place < first + WAYS * STANDING_SOURCE_WORDS; place += STANDING_SOURCE_WORDS)
      if (this.#words[place + NOTED]! < this.#words[oldest + NOTED]!) oldest = place;
    return oldest;
  }
}
