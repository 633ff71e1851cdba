/**
 * A distribution of microseconds with three significant digits, in 72 KB, as HdrHistogram buckets it: single values up to
 * 2,047, then 1,024 buckets for each doubling. hdr-histogram-js is ten times the size of everything else that a page needs.
 */
import { bucketOf, highestOf } from '../log-buckets.ts';

/** 1,024 buckets a doubling. */
const BITS = 10;
/** Longer waits count as this one. */
const MICROSECONDS_MAX = 60_000_000;

export class WaitHistogram {
  count = 0;
  min = 0;
  max = 0;
  readonly #counts = new Uint32Array(bucketOf(MICROSECONDS_MAX, BITS) + 1);

  /** Counts a value, taken as 1 microsecond at least and a minute at most. */
  record(microseconds: number): void {
    const value = Math.min(Math.max(Math.round(microseconds), 1), MICROSECONDS_MAX);
    this.#counts[bucketOf(value, BITS)]! += 1;
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
      if (seen >= wanted) return Math.min(highestOf(index, BITS), this.max);
    }
    return this.max;
  }
}
