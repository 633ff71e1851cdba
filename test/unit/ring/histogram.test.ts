/** Histograms in the arena: what is read is what was added, each ring's and each measure's by itself, and HdrHistogram's. */
import { build } from 'hdr-histogram-js';
import { expect, test } from 'vitest';
import { Arena } from '../../../src/ring/arena.ts';
import { Histograms, MEASURE, readHistogram, VALUE_MAX } from '../../../src/ring/histogram.ts';

const arenaOf = (rings: number) =>
  Arena.create({ kernelBytes: 0, rings, ringSlots: 2, ackSlots: 2, threads: 1, channelsMax: 8 });

test('buckets that are not empty, ascending, by their highest values, in the unit asked for', () => {
  const arena = arenaOf(1);
  const histograms = new Histograms(arena, 0);
  histograms.add(MEASURE.verify, 1_000, 2);
  histograms.add(MEASURE.verify, 3, 5);
  histograms.add(MEASURE.verify, 0, 1);
  histograms.add(MEASURE.verify, VALUE_MAX, 1);
  expect(readHistogram(arena, 0, MEASURE.verify)).toEqual({
    count: 9,
    sum: 2_015 + VALUE_MAX,
    bounds: Float64Array.of(0, 3, 1_003, VALUE_MAX),
    counts: Float64Array.of(1, 5, 2, 1),
  });
  expect(readHistogram(arena, 0, MEASURE.verify, 1_000).bounds).toEqual(
    Float64Array.of(0, 0.003, 1.003, VALUE_MAX / 1_000),
  );
});

test('rings and measures share nothing, not even a line', () => {
  const arena = arenaOf(3);
  const measures = Object.values(MEASURE);
  for (let ring = 0; ring < 3; ring++)
    for (const measure of measures) {
      new Histograms(arena, ring).add(measure, 0, ring * 10 + measure + 1);
      new Histograms(arena, ring).add(measure, VALUE_MAX, 1);
    }
  for (let ring = 0; ring < 3; ring++)
    for (const measure of measures)
      expect(readHistogram(arena, ring, measure).counts).toEqual(Float64Array.of(ring * 10 + measure + 1, 1));
  const { offset, bytes } = arena.plan.histograms;
  expect([offset % 128, (bytes / 3 / measures.length) % 128]).toEqual([0, 0]);
});

test('has the percentiles of HdrHistogram within a bucket', () => {
  const arena = arenaOf(1);
  const mine = new Histograms(arena, 0);
  const theirs = build({ highestTrackableValue: VALUE_MAX, numberOfSignificantValueDigits: 3 });
  let state = 7;
  for (let count = 0; count < 5_000; count++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const value = Math.floor(VALUE_MAX ** (state / 2 ** 32));
    mine.add(MEASURE.whole, value, 3);
    theirs.recordValueWithCount(value, 3);
  }
  const { bounds, counts, count } = readHistogram(arena, 0, MEASURE.whole);
  for (const percent of [1, 10, 50, 90, 99, 99.9, 100]) {
    let bucket = 0;
    for (let seen = counts[0]!; seen < (count * percent) / 100; seen += counts[bucket]!) bucket++;
    const expected = theirs.getValueAtPercentile(percent);
    expect(Math.abs(bounds[bucket]! - expected), `${percent} %`).toBeLessThanOrEqual(expected / 100);
  }
});
