/**
 * The hiccup meter (hiccups.c): how late a thread of this process was woken that does nothing else. Any thread; one meter for the
 * process, which runs while it is read at least every ten seconds.
 */
import { bucketOf, highestOf, lowestOf } from '../log-buckets.ts';
import { loadAddon } from './addon.ts';

/** As in hiccups.c. */
const BITS = 3;
const BUCKETS = ((31 - BITS) << BITS) + 2 ** (BITS + 1);

/** How often the thread was so late, by the bucket's lowest microseconds, since the meter first ran; buckets that have some. */
export type HiccupCounts = Record<string, number>;

/** How late the meter's thread was, milliseconds: about what the machine adds to any latency. */
export interface Hiccups {
  /** How often it looked: each millisecond, so fewer where it was late. */
  count: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
}

/** What was counted so far; undefined without an addon. The first call starts the meter. */
export function readHiccups(): HiccupCounts | undefined {
  const numbers = new Float64Array(BUCKETS);
  try {
    const { hiccups } = loadAddon<{ hiccups?: (counts: Float64Array) => void }>();
    if (hiccups === undefined) return undefined;
    hiccups(numbers);
  } catch {
    return undefined;
  }
  const counts: HiccupCounts = {};
  numbers.forEach((count, bucket) => {
    if (count > 0) counts[lowestOf(bucket, BITS)] = count;
  });
  return counts;
}

/** What was seen between two readings; null where one is missing, or nothing was seen. */
export function hiccupsBetween(before: HiccupCounts | undefined, after: HiccupCounts | undefined): Hiccups | null {
  if (before === undefined || after === undefined) return null;
  const seen = Object.entries(after)
    .map(([us, count]) => ({ us: Number(us), count: count - (before[us] ?? 0) }))
    .filter(({ count }) => count > 0)
    .sort((left, right) => left.us - right.us);
  const count = seen.reduce((sum, bucket) => sum + bucket.count, 0);
  if (count === 0) return null;
  const at = (share: number) => {
    let index = 0;
    for (let left = Math.ceil(count * share) - seen[0]!.count; left > 0; left -= seen[index]!.count) index++;
    return highestOf(bucketOf(seen[index]!.us, BITS), BITS) / 1_000;
  };
  return { count, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1) };
}
