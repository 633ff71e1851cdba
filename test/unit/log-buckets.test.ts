/** The buckets that every histogram of times has: each value lies in one, they follow each other, and are narrow enough. */
import { expect, it } from 'vitest';
import { bucketOf, highestOf, lowestOf } from '../../src/log-buckets.ts';

it.each([7, 10])('with 2^%i a doubling they cover every value once, in order', (bits) => {
  let next = 0;
  const last = bucketOf(2 ** 31 - 1, bits);
  for (let bucket = 0; bucket <= last; bucket++) {
    const [lowest, highest] = [lowestOf(bucket, bits), highestOf(bucket, bits)];
    expect(lowest).toBe(next);
    expect([bucketOf(lowest, bits), bucketOf(highest, bits)]).toEqual([bucket, bucket]);
    expect(highest - lowest).toBeLessThanOrEqual(lowest / 2 ** bits);
    next = highest + 1;
  }
  expect(next).toBe(2 ** 31);
});
