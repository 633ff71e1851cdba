/** The buckets that every histogram of times has: each value lies in one, they follow each other, and are narrow enough. */
import { expect, it } from 'vitest';
import { bucketOf, highestOf, lowestOf } from '../../src/log-buckets.ts';

it.each([7, 10])('with 2^%i a doubling they cover every value once, in order', (bits) => {
  let next = 0;
  const wrong: object[] = [];
  const last = bucketOf(2 ** 31 - 1, bits);
  for (let bucket = 0; bucket <= last; bucket++) {
    const [lowest, highest] = [lowestOf(bucket, bits), highestOf(bucket, bits)];
    const isInOrder = lowest === next && highest - lowest <= lowest / 2 ** bits;
    if (!isInOrder || bucketOf(lowest, bits) !== bucket || bucketOf(highest, bits) !== bucket)
      wrong.push({ bucket, lowest, highest });
    next = highest + 1;
  }
  expect(wrong).toEqual([]);
  expect(next).toBe(2 ** 31);
});
