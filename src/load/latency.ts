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
  readonly counts = new Uint32Array(BUCKETS);

  record(milliseconds: number): void {
    const us = milliseconds * 1_000;
    this.counts[bucketOf(us > US_MAX ? US_MAX : us > 0 ? Math.round(us) : 0)]! += 1;
  }

  summary(): Latency {
    const histogram = build({ highestTrackableValue: US_MAX, numberOfSignificantValueDigits: 3, autoResize: false });
    this.counts.forEach((claims, bucket) => {
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
}

/** Summarizes what was recorded since the last call. */
export class LatencyDifference {
  readonly #buckets: LatencyBuckets;
  readonly #before = new Uint32Array(BUCKETS);
  readonly #since = new Uint32Array(BUCKETS);

  constructor(buckets: LatencyBuckets) {
    this.#buckets = buckets;
  }

  next(): { p50Ms: number; p99Ms: number; maxMs: number } {
    const { counts } = this.#buckets;
    let total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const since = counts[bucket]! - this.#before[bucket]!;
      this.#since[bucket] = since;
      total += since;
    }
    this.#before.set(counts);
    if (total === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 };
    const at = (share: number) => this.#value(Math.max(1, Math.ceil(total * share))) / 1_000;
    return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  }

  /** Microseconds of the claim of that rank. */
  #value(rank: number): number {
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#since[bucket]!;
      if (seen >= rank) return lowestOf(bucket);
    }
    return 0;
  }
}
