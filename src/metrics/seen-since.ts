/**
 * What was seen between two looks at a distribution that only grows: percentiles of the difference. Any thread.
 *
 * A distribution lists the buckets that are not empty, and a bucket is known by its upper bound. So the difference is taken
 * bound by bound, and a percentile is the upper bound of the bucket that it falls in: never too good.
 */
import type { Distribution } from '../control/measure-control.ts';
import type { Percentiles } from './sample.ts';

export const NO_PERCENTILES: Percentiles = { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };

/** Seconds to milliseconds, to the microsecond: more digits are noise, and bytes of every sample. */
function toMs(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e3;
}

/** What several threads have seen, as one. */
export function together(parts: readonly Distribution[]): Distribution {
  if (parts.length === 1) return parts[0]!;
  const byBound = new Map<number, number>();
  for (const { bounds, counts } of parts)
    for (let index = 0; index < bounds.length; index++)
      byBound.set(bounds[index]!, (byBound.get(bounds[index]!) ?? 0) + counts[index]!);
  const sorted = [...byBound].sort(([left], [right]) => left - right);
  return {
    count: parts.reduce((total, part) => total + part.count, 0),
    sum: parts.reduce((total, part) => total + part.sum, 0),
    bounds: Float64Array.from(sorted, ([bound]) => bound),
    counts: Float64Array.from(sorted, ([, count]) => count),
  };
}

/** Percentiles of what is in `now` and was not in `before`, both in seconds. Without `before` all of it is new. */
export function percentilesSince(before: Distribution | undefined, now: Distribution): Percentiles {
  const fresh = new Float64Array(now.counts);
  let total = 0;
  let max = 0;
  for (let index = 0, at = 0; index < fresh.length; index++) {
    const bound = now.bounds[index]!;
    while (before !== undefined && at < before.bounds.length && before.bounds[at]! < bound) at++;
    if (before !== undefined && before.bounds[at] === bound) fresh[index]! -= before.counts[at]!;
    if (fresh[index]! <= 0) continue;
    total += fresh[index]!;
    max = bound;
  }
  if (total === 0) return NO_PERCENTILES;
  const at = (share: number): number => {
    let left = Math.ceil(total * share);
    for (let index = 0; index < fresh.length; index++) {
      left -= Math.max(0, fresh[index]!);
      if (left <= 0) return toMs(now.bounds[index]!);
    }
    return toMs(max);
  };
  return { count: total, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: toMs(max) };
}

/** The mean of what is in `now` and was not in `before`; 0 where nothing is. */
export function meanSince(before: Distribution | undefined, now: Distribution): number {
  const count = now.count - (before?.count ?? 0);
  return count <= 0 ? 0 : (now.sum - (before?.sum ?? 0)) / count;
}
