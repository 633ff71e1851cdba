/**
 * Fixed histogram buckets out of the node's fine ones (control/measure-control.ts). Any thread.
 *
 * A fine bucket belongs to the first fixed one that holds all of it, so no value is ever shown as faster than it was.
 */
import type { Distribution } from '../control/measure-control.ts';

/** Upper bounds in seconds: 1-2-5 from 50 µs to 10 s. */
export const SECONDS_BUCKETS = [
  0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10,
] as const;
/** Claims in a group commit: powers of two, as many as a ring may hold. */
export const CLAIMS_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192] as const;

/** Values up to each of `buckets`, over all parts; `count` is the sum of what the parts list, so that it fits them. */
export function cumulative(
  parts: readonly Distribution[],
  buckets: readonly number[],
): { counts: number[]; count: number; sum: number } {
  const counts = new Array<number>(buckets.length).fill(0);
  let count = 0;
  let sum = 0;
  for (const part of parts) {
    sum += part.sum;
    let at = 0;
    for (let index = 0; index < part.bounds.length; index++) {
      const seen = part.counts[index]!;
      count += seen;
      while (at < buckets.length && part.bounds[index]! > buckets[at]!) at++;
      if (at < buckets.length) counts[at]! += seen;
    }
  }
  for (let index = 1; index < counts.length; index++) counts[index]! += counts[index - 1]!;
  return { counts, count, sum };
}
