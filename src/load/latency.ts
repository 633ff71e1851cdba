/**
 * Counts latencies in the log-linear buckets that an HDR histogram of three digits has, at a cost of some nanoseconds
 * each. At the end they become a histogram of hdr-histogram-js, with the same buckets. Generator thread.
 */
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { bucketOf, lowestOf } from '../log-buckets.ts';
import type { Latency } from './result.ts';

/** 1,024 buckets a doubling. */
const BITS = 10;
/** About 35 minutes; longer latencies count as this. */
const US_MAX = 2 ** 31 - 1;
const BUCKETS = bucketOf(US_MAX, BITS) + 1;

export class LatencyBuckets {
  readonly #counts = new Uint32Array(BUCKETS);
  /** The counts at the last call of `sinceLast`. */
  #before = new Uint32Array(BUCKETS);

  record(milliseconds: number): void {
    const us = milliseconds * 1_000;
    this.#counts[bucketOf(us > US_MAX ? US_MAX : us > 0 ? Math.round(us) : 0, BITS)]! += 1;
  }

  summary(): Latency {
    const histogram = build({ highestTrackableValue: US_MAX, numberOfSignificantValueDigits: 3, autoResize: false });
    this.#counts.forEach((claims, bucket) => {
      if (claims > 0) histogram.recordValueWithCount(lowestOf(bucket, BITS), claims);
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
      return lowestOf(bucket, BITS) / 1_000;
    };
    return total === 0 ? { p50Ms: 0, p99Ms: 0, maxMs: 0 } : { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  }
}
