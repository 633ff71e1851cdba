/** The payer's histogram against HdrHistogram, of which it is a small copy. */
import { build } from 'hdr-histogram-js';
import { expect, it } from 'vitest';
import { WaitHistogram } from '../../../src/client/wait-histogram.ts';

it('has the percentiles of HdrHistogram, of any size of waits', () => {
  const mine = new WaitHistogram();
  const theirs = build({ highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3, autoResize: false });
  let state = 1;
  for (let count = 0; count < 20_000; count += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    // As many of a microsecond as of a minute.
    const value = Math.max(1, Math.floor(60_000_000 ** (state / 2 ** 32)));
    mine.record(value);
    theirs.recordValue(value);
  }
  expect(mine.count).toBe(theirs.totalCount);
  expect(mine.min).toBe(theirs.minNonZeroValue);
  for (const percent of [0.01, 1, 10, 50, 90, 99, 99.9, 99.99, 100]) {
    const expected = theirs.getValueAtPercentile(percent);
    // What lies on the edge of two buckets may be counted to either.
    expect(Math.abs(mine.percentile(percent) - expected), `${percent} %`).toBeLessThanOrEqual(expected / 1_000);
  }
});

it('counts any wait, also none and one of an hour, and is 0 when empty', () => {
  const waits = new WaitHistogram();
  expect([waits.min, waits.percentile(50), waits.max]).toEqual([0, 0, 0]);
  for (const wait of [0, 0.2, 2_047, 2_048, 4_096, 3_600_000_000]) waits.record(wait);
  expect([waits.min, waits.percentile(50), waits.max]).toEqual([1, 2_047, 60_000_000]);
});
