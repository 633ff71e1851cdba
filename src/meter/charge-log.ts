/**
 * The latest charges that had a key, so that a charge which is asked for again is not made again. Main thread.
 *
 * The log on the disk has `CHARGES_KEPT` entries at most: a new one removes the oldest, in the same commit, so a key is known
 * for as long as fewer keyed charges than that were made on the node since. In memory there are only fingerprints, in a
 * table with open addressing: 20 bytes a place, at most 2^21 of them (40 MB); an entry's other fields are read again.
 */
import type { SideChange, SideTables } from '../registry/side-tables.ts';
import {
  decodeCharge,
  encodeCharge,
  FINGERPRINT_BYTES,
  LOG_TABLE,
  type LoggedCharge,
  logKey,
  logNumber,
} from './charge-record.ts';

/** 52 seconds at 20,000 keyed charges a second, 17 minutes at 1,000: retries come sooner. About 70 MB on the disk. */
export const CHARGES_KEPT = 2 ** 20;

const FINGERPRINT_WORDS = FINGERPRINT_BYTES / 4;
const PLACES_MIN = 1_024;

export class ChargeLog {
  readonly #tables: SideTables;
  readonly #kept: number;
  /** The number of the next entry, and of the oldest one that is kept. */
  #next = 0;
  #oldest = 0;
  readonly #index = new FingerprintIndex();

  /** Reads the log: a second for a million entries. */
  constructor(tables: SideTables, kept: number = CHARGES_KEPT) {
    this.#tables = tables;
    this.#kept = kept;
    let isFirst = true;
    for (const [key, value] of tables.entries(LOG_TABLE)) {
      const number = logNumber(key);
      if (isFirst) this.#oldest = number;
      isFirst = false;
      this.#index.add(decodeCharge(value).fingerprint, number);
      this.#next = number + 1;
    }
  }

  /** The charge with this fingerprint, if it is among those kept. */
  find(fingerprint: Buffer): LoggedCharge | undefined {
    const number = this.#index.find(fingerprint);
    if (number === undefined) return undefined;
    const bytes = this.#tables.get(LOG_TABLE, logKey(number));
    return bytes === undefined ? undefined : decodeCharge(bytes);
  }

  /** The changes that add charges and forget as many old ones. Call `added` once they are committed. */
  changes(charges: readonly LoggedCharge[]): SideChange[] {
    const changes: SideChange[] = charges.map((charge, index) => ({
      table: LOG_TABLE,
      key: logKey(this.#next + index),
      value: encodeCharge(charge),
    }));
    const keptFrom = this.#next + charges.length - this.#kept;
    for (let number = this.#oldest; number < keptFrom; number++)
      changes.push({ table: LOG_TABLE, key: logKey(number) });
    return changes;
  }

  /** The changes for these charges have been committed. */
  added(charges: readonly LoggedCharge[]): void {
    for (const { fingerprint } of charges) this.#index.add(fingerprint, this.#next++);
    const keptFrom = this.#next - this.#kept;
    if (keptFrom <= this.#oldest) return;
    this.#oldest = keptFrom;
    this.#index.forgetBelow(keptFrom);
  }
}

/** Numbers by fingerprint. An entry that was forgotten keeps its place until the table is made anew. */
class FingerprintIndex {
  #words = new Uint32Array(PLACES_MIN * FINGERPRINT_WORDS);
  /** Number + 1, or 0 for an empty place. */
  #numbers = new Float64Array(PLACES_MIN);
  #used = 0;
  #keptFrom = 0;

  find(fingerprint: Buffer): number | undefined {
    const place = this.#place(wordsOf(fingerprint));
    const number = this.#numbers[place]! - 1;
    return number >= this.#keptFrom ? number : undefined;
  }

  add(fingerprint: Buffer, number: number): void {
    if ((this.#used + 1) * 2 > this.#numbers.length) this.#makeAnew();
    this.#put(wordsOf(fingerprint), number);
  }

  forgetBelow(number: number): void {
    this.#keptFrom = number;
  }

  #put(words: Uint32Array, number: number): void {
    const place = this.#place(words);
    if (this.#numbers[place] === 0) this.#used++;
    this.#numbers[place] = number + 1;
    this.#words.set(words, place * FINGERPRINT_WORDS);
  }

  /** The place of a fingerprint, or the empty one where it belongs. Its bits are random, so they serve as a hash. */
  #place(words: Uint32Array): number {
    const mask = this.#numbers.length - 1;
    for (let place = words[0]! & mask; ; place = (place + 1) & mask) {
      if (this.#numbers[place] === 0) return place;
      const at = place * FINGERPRINT_WORDS;
      let same = 0;
      while (same < FINGERPRINT_WORDS && this.#words[at + same] === words[same]) same++;
      if (same === FINGERPRINT_WORDS) return place;
    }
  }

  /** Leaves out forgotten entries, and is larger where those that stay fill more than a quarter. */
  #makeAnew(): void {
    const [words, numbers] = [this.#words, this.#numbers];
    const stay = numbers.reduce((count, number) => count + (number > this.#keptFrom ? 1 : 0), 0);
    const places = stay * 4 > numbers.length ? numbers.length * 2 : numbers.length;
    this.#words = new Uint32Array(places * FINGERPRINT_WORDS);
    this.#numbers = new Float64Array(places);
    this.#used = 0;
    for (let place = 0; place < numbers.length; place++) {
      const number = numbers[place]! - 1;
      if (number < this.#keptFrom || number < 0) continue;
      this.#put(words.subarray(place * FINGERPRINT_WORDS, (place + 1) * FINGERPRINT_WORDS), number);
    }
  }
}

function wordsOf(fingerprint: Buffer): Uint32Array {
  const words = new Uint32Array(FINGERPRINT_WORDS);
  for (let word = 0; word < FINGERPRINT_WORDS; word++) words[word] = fingerprint.readUInt32LE(word * 4);
  return words;
}
