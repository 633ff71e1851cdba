/**
 * What is measured of the claim path: for every ring a block of histograms in the arena, of times in microseconds and of
 * claims a group. Each histogram is written by one thread, in cache lines of its own, with plain adds; readers sum.
 *
 * Counts are doubles, as counters are. 128 buckets a doubling keep a percentile within 0.8 %, in 25 KB a histogram, of which
 * a running node touches some dozen lines; the generator's 1,024 would take eight times the memory for nothing that shows.
 */
import { assert } from '../errors.ts';
import { bucketOf, highestOf } from '../log-buckets.ts';
import { type Arena, HISTOGRAM_BYTES, HISTOGRAMS_PER_RING } from './arena.ts';

/** The histograms of a ring: a claim's way by stage (control/measure-control.ts), the whole way, and two of groups. */
export const MEASURE = {
  queue: 0,
  receive: 1,
  verify: 2,
  commit: 3,
  sync: 4,
  /** The last stage. Written by the thread that sends, as the next one is. */
  ack: 5,
  /** From a claim's arrival to its ack. */
  whole: 6,
  /** Each sync of the journal. */
  journalSync: 7,
  /** Claims a group. */
  group: 8,
} as const;

const BITS = 7;
/** About 35 minutes of microseconds; a higher value counts as this one. */
export const VALUE_MAX = 2 ** 31 - 1;
const BUCKETS = bucketOf(VALUE_MAX, BITS) + 1;
/** The sum of the values comes first. */
const FIRST_BUCKET = 16;
const DOUBLES = HISTOGRAM_BYTES / 8;
assert(Object.keys(MEASURE).length === HISTOGRAMS_PER_RING, 'a ring has its histograms');
assert(FIRST_BUCKET + BUCKETS <= DOUBLES, 'the buckets fit their histogram');

/** The histograms of one ring, for the threads that write them. */
export class Histograms {
  readonly #doubles: Float64Array;
  readonly #base: number;

  constructor(arena: Arena, ring: number) {
    this.#doubles = arena.doubles;
    this.#base = firstDouble(arena, ring, 0);
  }

  /** Counts `value`, a whole number from 0 to VALUE_MAX, so many times. */
  add(measure: number, value: number, times: number): void {
    const base = this.#base + measure * DOUBLES;
    this.#doubles[base]! += value * times;
    this.#doubles[base + FIRST_BUCKET + bucketOf(value, BITS)]! += times;
  }
}

/** How often which values were seen: the buckets that are not empty, by their highest values divided by `unit`. Any thread. */
export function readHistogram(
  arena: Arena,
  ring: number,
  measure: number,
  unit = 1,
): { count: number; sum: number; bounds: Float64Array; counts: Float64Array } {
  const base = firstDouble(arena, ring, measure);
  const bounds: number[] = [];
  const counts: number[] = [];
  let count = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const times = arena.doubles[base + FIRST_BUCKET + bucket]!;
    if (times === 0) continue;
    bounds.push(highestOf(bucket, BITS) / unit);
    counts.push(times);
    count += times;
  }
  return {
    count,
    sum: arena.doubles[base]! / unit,
    bounds: Float64Array.from(bounds),
    counts: Float64Array.from(counts),
  };
}

function firstDouble(arena: Arena, ring: number, measure: number): number {
  return arena.plan.histograms.offset / 8 + (ring * HISTOGRAMS_PER_RING + measure) * DOUBLES;
}
