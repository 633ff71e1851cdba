/**
 * u64 amounts as pairs of words in one array, the high word of pair `index` at 2 × index: BigInts would be allocated for each ack.
 * Any thread.
 */

/** Where the low word of a u64 lies in this machine's memory. */
const LOW_FIRST = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
const WORD = 2 ** 32;
const MASK = 0xffff_ffffn;

/** Drops for each channel: one number for all of them, or one each. Views of the caller's array, in pairs. */
export interface Drops {
  high(index: number): number;
  low(index: number): number;
}

export function dropsOf(drops: bigint | BigUint64Array): Drops {
  if (typeof drops === 'bigint') {
    const [high, low] = [Number(drops >> 32n), Number(drops & MASK)];
    return { high: () => high, low: () => low };
  }
  const words = new Uint32Array(drops.buffer, drops.byteOffset, 2 * drops.length);
  const [high, low] = LOW_FIRST ? [1, 0] : [0, 1];
  return { high: (index) => words[2 * index + high]!, low: (index) => words[2 * index + low]! };
}

/** Whether the pair is at least pair `index` of `words`. */
export function isAtLeast(high: number, low: number, words: Uint32Array, index: number): boolean {
  const other = words[2 * index]!;
  return high > other || (high === other && low >= words[2 * index + 1]!);
}

export function setPair(words: Uint32Array, index: number, high: number, low: number): void {
  words[2 * index] = high;
  words[2 * index + 1] = low;
}

/** Raises pair `index` to pair `index` of `other`, where that is more. */
export function raise(words: Uint32Array, index: number, other: Uint32Array): void {
  const [high, low] = [other[2 * index]!, other[2 * index + 1]!];
  if (!isAtLeast(words[2 * index]!, words[2 * index + 1]!, other, index)) setPair(words, index, high, low);
}

/** Adds to pair `index`, into `out`. Returns false where the sum is no u64; then nothing is written. */
export function addTo(words: Uint32Array, index: number, high: number, low: number, out: Uint32Array): boolean {
  const lows = words[2 * index + 1]! + low;
  const highs = words[2 * index]! + high + (lows >= WORD ? 1 : 0);
  if (highs >= WORD) return false;
  setPair(out, index, highs, lows >>> 0);
  return true;
}

export function readPair(words: Uint32Array, index: number): bigint {
  return (BigInt(words[2 * index]!) << 32n) | BigInt(words[2 * index + 1]!);
}

export function writePair(words: Uint32Array, index: number, value: bigint): void {
  setPair(words, index, Number(value >> 32n), Number(value & MASK));
}
