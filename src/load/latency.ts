/**
 * Counts latencies in the log-linear buckets that an HDR histogram of three digits has, at a cost of some nanoseconds
 * each. At the end they become a histogram of hdr-histogram-js, with the same buckets. Generator thread.
 */
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import type { Latency } from './result.ts';

/** Each value below this has a bucket of its own; above, every doubling has 2^10 buckets. */
const LINEAR = 2_048;
const LINEAR_BITS = 11;
const HALF_BITS = LINEAR_BITS - 1;
/** About 35 minutes; longer latencies count as this. */
const US_MAX = 2 ** 31 - 1;
const BUCKETS = LINEAR + (31 - LINEAR_BITS) * (LINEAR / 2);

function bucketOf(us: number): number {
  if (us < LINEAR) return us;
  const shift = 32 - LINEAR_BITS - Math.clz32(us);
  return (shift << HALF_BITS) + (us >>> shift);
}

/** The lowest value of a bucket. */
function lowestOf(bucket: number): number {
  if (bucket < LINEAR) return bucket;
  const shift = (bucket >>> HALF_BITS) - 1;
  return (bucket - (shift << HALF_BITS)) * 2 ** shift;
}

export class LatencyBuckets {
  readonly #counts = new Uint32Array(BUCKETS);
  /** The counts at the last call of `sinceLast`. */
  #before = new Uint32Array(BUCKETS);

  record(milliseconds: number): void {
    const us = milliseconds * 1_000;
    this.#counts[bucketOf(us > US_MAX ? US_MAX : us > 0 ? Math.round(us) : 0)]! += 1;
  }

  summary(): Latency {
    const histogram = build({ highestTrackableValue: US_MAX, numberOfSignificantValueDigits: 3, autoResize: false });
    this.#counts.forEach((claims, bucket) => {
      if (claims > 0) histogram.recordValueWithCount(lowestOf(bucket), claims);
    });
    const count = histogram.totalCount;
    const at = (percentile: number) => (count === 0 ? 0 : histogram.getValueAtPercentile(percentile) / 1_000);
    return {
      count,
      minMs: at(0),
      meanMs: count === 0 ? 0 : histogram.mean / 1_000,
      p50Ms: at(50),
      p90Ms: at(90),
      p99Ms: at(99),
      p999Ms: at(99.9),
      p9999Ms: at(99.99),
      maxMs: count === 0 ? 0 : histogram.maxValue / 1_000,
      hdr: encodeIntoCompressedBase64(histogram),
    };
  }

  /** Percentiles of what was recorded since the last call; 0 where nothing was. */
  sinceLast(): { p50Ms: number; p99Ms: number; maxMs: number } {
    const since = this.#counts.map((count, bucket) => count - this.#before[bucket]!);
    const total = since.reduce((sum, count) => sum + count, 0);
    this.#before = this.#counts.slice();
    const at = (share: number) => {
      let bucket = 0;
      for (let seen = since[0]!; seen < Math.max(1, Math.ceil(total * share)); seen += since[bucket]!) bucket += 1;
      return lowestOf(bucket) / 1_000;
    };
    return total === 0 ? { p50Ms: 0, p99Ms: 0, maxMs: 0 } : { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  }
}
