/**
 * The buckets of an HdrHistogram: whole values below 2^(bits + 1) have one each, and from there on every doubling has 2^bits.
 * So a bucket is at most a 2^bits-th of its values wide. Any thread, and browsers: this file imports nothing.
 */

/** The bucket of a whole number from 0 to 2^32 - 1. */
export function bucketOf(value: number, bits: number): number {
  const shift = Math.max(0, 31 - bits - Math.clz32(value));
  return (shift << bits) + (value >>> shift);
}

/** The lowest value of a bucket. */
export function lowestOf(bucket: number, bits: number): number {
  const shift = Math.max(0, (bucket >>> bits) - 1);
  return (bucket - (shift << bits)) * 2 ** shift;
}

/** The highest value of a bucket. */
export function highestOf(bucket: number, bits: number): number {
  return lowestOf(bucket + 1, bits) - 1;
}
