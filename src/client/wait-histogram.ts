/**
 * A distribution of microseconds with three significant digits, in 72 KB, as HdrHistogram buckets it: single values up to
 * 2,047, then 1,024 buckets for each doubling. hdr-histogram-js is ten times the size of everything else that a page needs.
 */

const SINGLE_VALUES = 2_048;
const PER_DOUBLING = SINGLE_VALUES / 2;
/** A minute has 26 bits, of which 11 are told apart. */
const DOUBLINGS = 15;
/** Longer waits count as this one. */
const MICROSECONDS_MAX = 60_000_000;

export class WaitHistogram {
  count = 0;
  min = 0;
  max = 0;
  readonly #counts = new Uint32Array(SINGLE_VALUES + DOUBLINGS * PER_DOUBLING);

  /** Counts a value, taken as 1 microsecond at least and a minute at most. */
  record(microseconds: number): void {
    const value = Math.min(Math.max(Math.round(microseconds), 1), MICROSECONDS_MAX);
    const shift = Math.max(0, 21 - Math.clz32(value));
    this.#counts[shift * PER_DOUBLING + (value >>> shift)]! += 1;
    if (this.count === 0 || value < this.min) this.min = value;
    if (value > this.max) this.max = value;
    this.count += 1;
  }

  /** The value that so many percent do not exceed, to three digits; 0 where nothing was counted. */
  percentile(percent: number): number {
    const wanted = Math.max(1, Math.round((percent / 100) * this.count));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index += 1) {
      seen += this.#counts[index]!;
      if (seen < wanted) continue;
      const shift = Math.max(0, Math.floor(index / PER_DOUBLING) - 1);
      return Math.min(((index - shift * PER_DOUBLING + 1) << shift) - 1, this.max);
    }
    return this.max;
  }
}
