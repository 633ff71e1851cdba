/**
 * A number for each key of the channel table, with a lock: what leaves of its channels expose (rooted.ts). Any thread; a region of the
 * memory beside the table. Who holds a row's lock may take a key's, never the other way round.
 */

/** Words of a key: its lock, nothing, and the sum as a double. */
const KEY_WORDS = 4;
export const KEY_SUM_BYTES = 4 * KEY_WORDS;

export class KeySums {
  readonly #locks: Int32Array;
  readonly #sums: Float64Array;

  /** @param offset bytes, a multiple of 8 */
  constructor(memory: SharedArrayBuffer, offset: number) {
    this.#locks = new Int32Array(memory, offset);
    this.#sums = new Float64Array(memory, offset);
  }

  /** Without the lock it is an answer for now. */
  of(key: number): number {
    return this.#sums[((key * KEY_WORDS) >>> 1) + 1]!;
  }

  /** Under the lock. */
  add(key: number, difference: number): void {
    this.#sums[((key * KEY_WORDS) >>> 1) + 1]! += difference;
  }

  /** It spins: the holder adds two numbers. */
  lock(key: number): void {
    while (Atomics.compareExchange(this.#locks, key * KEY_WORDS, 0, 1) !== 0);
  }
  unlock(key: number): void {
    Atomics.store(this.#locks, key * KEY_WORDS, 0);
  }

  /** Before other threads run. */
  clear(): void {
    this.#sums.fill(0);
  }
}
