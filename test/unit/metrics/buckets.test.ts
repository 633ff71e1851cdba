/** Fixed buckets out of fine ones: nothing is lost, nothing looks faster than it was, and the count is what the buckets hold. */
import { expect, test } from 'vitest';
import type { Distribution } from '../../../src/control/measure-control.ts';
import { CLAIMS_BUCKETS, cumulative, SECONDS_BUCKETS } from '../../../src/metrics/buckets.ts';
import { random } from '../../support/random.ts';

function of(bounds: readonly number[], counts: readonly number[]): Distribution {
  const count = counts.reduce((total, each) => total + each, 0);
  const sum = bounds.reduce((total, bound, index) => total + bound * counts[index]!, 0);
  return { count, sum, bounds: Float64Array.from(bounds), counts: Float64Array.from(counts) };
}

test('a fine bucket belongs to the first fixed one that holds all of it; what is above all is in the count alone', () => {
  const parts = [of([0.5, 1, 1.01, 7, 100], [1, 10, 100, 1_000, 10_000]), of([2], [100_000])];
  expect(cumulative(parts, [1, 2, 5, 10])).toEqual({
    counts: [11, 100_111, 100_111, 101_111],
    count: 111_111,
    sum: 0.5 + 10 + 101 + 7_000 + 1e6 + 200_000,
  });
  expect(cumulative([], [1, 2])).toEqual({ counts: [0, 0], count: 0, sum: 0 });
});

test('against a count one by one, over random buckets', () => {
  const from = random(7);
  for (let round = 0; round < 200; round++) {
    const parts = Array.from({ length: 1 + from.below(3) }, () => {
      const bounds = [...new Set(Array.from({ length: from.below(60) }, () => (1 + from.below(1e6)) / 5e4))];
      bounds.sort((left, right) => left - right);
      return of(
        bounds,
        bounds.map(() => 1 + from.below(9)),
      );
    });
    const { counts, count } = cumulative(parts, SECONDS_BUCKETS);
    const upTo = (bound: number) =>
      parts.reduce(
        (total, part) => total + part.counts.reduce((sum, each, at) => sum + (part.bounds[at]! <= bound ? each : 0), 0),
        0,
      );
    expect(counts).toEqual(SECONDS_BUCKETS.map(upTo));
    expect(count).toBe(upTo(Number.POSITIVE_INFINITY));
  }
});

test('the fixed buckets ascend from 50 µs to 10 s, and from one claim to as many as a large ring holds', () => {
  for (const buckets of [SECONDS_BUCKETS, CLAIMS_BUCKETS])
    expect([...buckets].sort((left, right) => left - right)).toEqual([...new Set(buckets)]);
  expect([SECONDS_BUCKETS[0], SECONDS_BUCKETS.at(-1)]).toEqual([50e-6, 10]);
});
