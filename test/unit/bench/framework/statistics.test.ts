/** The statistics of the framework against values that are known. */
import { expect, test } from 'vitest';
import {
  bootstrapInterval,
  mean,
  median,
  outliersOf,
  quantile,
  standardDeviation,
  summarize,
} from '../../../../bench/framework/statistics.ts';
import { Random } from '../../../../src/load/random.ts';

test('quantiles are those of R and NumPy: type 7', () => {
  // numpy.quantile([1, 2, 4, 8, 16], [0, .1, .25, .5, .9, 1])
  const values = [1, 2, 4, 8, 16];
  expect([0, 0.1, 0.25, 0.5, 0.9, 1].map((share) => quantile(values, share))).toEqual([1, 1.4, 2, 4, 12.8, 16]);
  expect(median([3, 1, 2, 10])).toBe(2.5);
});

test("Michelson's speed of light of 1879: mean, deviation and outlier of the first twenty runs", () => {
  // R's dataset morley, Expt 1, km/s above 299,000: mean 909, deviation 104.926.
  const series = [
    850, 740, 900, 1070, 930, 850, 950, 980, 980, 880, 1000, 980, 930, 650, 760, 810, 1000, 1000, 960, 960,
  ];
  expect(mean(series)).toBe(909);
  expect(standardDeviation(series)).toBeCloseTo(104.926, 3);
  // The quartiles are 850 and 980: only 650 lies below 850 - 1.5 · 130.
  expect(outliersOf(series)).toEqual([650]);
  // Mirrored: the same value on the other side.
  expect(outliersOf(series.map((value) => 2_000 - value))).toEqual([1_350]);
});

test('the interval of a median holds it in about 95 of 100 samples', () => {
  const random = new Random(7, 'coverage');
  let held = 0;
  for (let sample = 0; sample < 30; sample++) {
    const values = Array.from({ length: 21 }, () => random.next() + random.next() + random.next());
    const { low, high } = bootstrapInterval(values, sample, 'coverage');
    if (low <= 1.5 && high >= 1.5) held++;
  }
  expect(held).toBeGreaterThanOrEqual(26);
});

test('the same values and seed give the same interval; another seed another one', () => {
  const values = Array.from({ length: 15 }, (_, index) => Math.sin(index) + 2);
  expect(summarize(values, 1, 'a')).toEqual(summarize(values, 1, 'a'));
  expect(summarize(values, 1, 'a').interval).not.toEqual(summarize(values, 1, 'b').interval);
});

test('a summary of one value has no width, and of none is a fault', () => {
  expect(summarize([4], 1, 'one')).toMatchObject({ runs: 1, median: 4, sd: 0, interval: { low: 4, high: 4 } });
  expect(() => summarize([], 1, 'none')).toThrow(/none: expected numbers, got \[\]/);
  expect(() => summarize([1, Number.NaN], 1, 'nan')).toThrow(/nan: expected numbers/);
});
