/** Distributions as a node tells them: what came between two of them, their sum over lanes, and percentiles. */
import type { PlainDistribution } from './service.ts';

/** Counts by bound, in seconds. */
export type Counts = ReadonlyMap<number, number>;

export function countsOf(distributions: readonly PlainDistribution[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { bounds, counts: of } of distributions)
    for (const [index, bound] of bounds.entries()) counts.set(bound, (counts.get(bound) ?? 0) + of[index]!);
  return counts;
}

/** What was counted after `before`. */
export function since(before: Counts, after: Counts): Map<number, number> {
  return new Map([...after].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)]));
}

export function total(counts: Counts): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** The bound that so many percent do not exceed, in milliseconds; 0 where nothing was counted. */
export function percentileMs(counts: Counts, percent: number): number {
  const sorted = [...counts].filter(([, count]) => count > 0).sort(([left], [right]) => left - right);
  const wanted = Math.max(1, Math.round((total(counts) * percent) / 100));
  let seen = 0;
  for (const [bound, count] of sorted) {
    seen += count;
    if (seen >= wanted) return bound * 1_000;
  }
  return 0;
}
