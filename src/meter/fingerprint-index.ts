/**
 * Numbers by fingerprint, for the latest entries of a log. Main thread.
 *
 * Two tables with open addressing: a younger one that is added to, and, once that has as many entries as are kept, an older
 * one. So nothing is ever moved once the tables have their size, and no call takes long. A place has 20 bytes; at most half
 * of the places are used. For a million entries that are kept: 84 MB at most, and 42 MB until a million were made.
 */
import { FINGERPRINT_BYTES } from './charge-record.ts';

const FINGERPRINT_WORDS = FINGERPRINT_BYTES / 4;
const PLACES_MIN = 64;
/** The words of the fingerprint that is looked for. */
const wanted = new Uint32Array(FINGERPRINT_WORDS);

export class FingerprintIndex {
  readonly #kept: number;
  #younger: Table;
  #older: Table;
  #keptFrom = 0;

  /** @param kept entries that must be found: the latest ones */
  constructor(kept: number) {
    this.#kept = kept;
    this.#younger = new Table(0, PLACES_MIN);
    this.#older = this.#younger;
  }

  find(name: string): number | undefined {
    setWanted(name);
    const number = this.#younger.find() ?? this.#older.find();
    return number !== undefined && number >= this.#keptFrom ? number : undefined;
  }

  /** Numbers rise by one. */
  add(name: string, number: number): void {
    if (this.#younger.used >= this.#kept) {
      this.#older = this.#younger;
      this.#younger = new Table(number, this.#older.places);
    } else if ((this.#younger.used + 1) * 2 > this.#younger.places) this.#younger = this.#younger.larger();
    setWanted(name);
    this.#younger.put(number);
  }

  forgetBelow(number: number): void {
    this.#keptFrom = number;
  }
}

class Table {
  readonly places: number;
  used = 0;
  /** Numbers here are relative to this one. */
  readonly #first: number;
  readonly #words: Uint32Array;
  /** Number + 1, or 0 for an empty place. */
  readonly #numbers: Uint32Array;

  constructor(first: number, places: number) {
    this.#first = first;
    this.places = places;
    this.#words = new Uint32Array(places * FINGERPRINT_WORDS);
    this.#numbers = new Uint32Array(places);
  }

  /** The number of `wanted`. */
  find(): number | undefined {
    const number = this.#numbers[this.#place()]!;
    return number === 0 ? undefined : this.#first + number - 1;
  }

  /** Gives `wanted` a number. */
  put(number: number): void {
    const place = this.#place();
    if (this.#numbers[place] === 0) this.used++;
    this.#numbers[place] = number - this.#first + 1;
    this.#words.set(wanted, place * FINGERPRINT_WORDS);
  }

  /** The same with twice the places. */
  larger(): Table {
    const table = new Table(this.#first, this.places * 2);
    for (let place = 0; place < this.places; place++) {
      const number = this.#numbers[place]!;
      if (number === 0) continue;
      for (let word = 0; word < FINGERPRINT_WORDS; word++)
        wanted[word] = this.#words[place * FINGERPRINT_WORDS + word]!;
      table.put(this.#first + number - 1);
    }
    return table;
  }

  /** The place of `wanted`, or the empty one where it belongs. Its bits are random, so they serve as a hash. */
  #place(): number {
    const words = this.#words;
    const mask = this.places - 1;
    for (let place = wanted[0]! & mask; ; place = (place + 1) & mask) {
      if (this.#numbers[place] === 0) return place;
      const at = place * FINGERPRINT_WORDS;
      let same = 0;
      while (same < FINGERPRINT_WORDS && words[at + same] === wanted[same]) same++;
      if (same === FINGERPRINT_WORDS) return place;
    }
  }
}

function setWanted(name: string): void {
  for (let word = 0, at = 0; word < FINGERPRINT_WORDS; word++, at += 4)
    wanted[word] =
      name.charCodeAt(at) |
      (name.charCodeAt(at + 1) << 8) |
      (name.charCodeAt(at + 2) << 16) |
      (name.charCodeAt(at + 3) << 24);
}
