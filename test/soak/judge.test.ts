import { expect, test } from 'vitest';
import { judgeSoak, type Sample, type SeriesName, slope } from './judge.ts';

const MIB = 2 ** 20;
/** A run of `seconds` with a sample every six: flat but for `change`. */
function run(change: (seconds: number, index: number) => Partial<Sample> = () => ({}), seconds = 600): Sample[] {
  return Array.from({ length: Math.floor(seconds / 6) }, (_, index) => ({
    seconds: 6 * index,
    residentBytes: (300 + (index % 7)) * MIB,
    heapBytes: (30 + (index % 11)) * MIB,
    descriptors: 60 + (index % 5),
    // Segments come and go.
    folderBytes: (200 + 64 * (Math.floor(index / 9) % 3)) * MIB,
    p99Ms: 1 + (index % 3) / 10,
    ...change(6 * index, index),
  }));
}
const notFlat = (samples: Sample[]): SeriesName[] =>
  judgeSoak(samples)
    .filter(({ isFlat }) => !isFlat)
    .map(({ name }) => name);

test('what only goes up and down is flat', () => {
  expect(notFlat(run())).toEqual([]);
});

test.each<[SeriesName, (seconds: number) => Partial<Sample>]>([
  ['residentBytes', (seconds) => ({ residentBytes: (300 + seconds * 0.1) * MIB })],
  ['heapBytes', (seconds) => ({ heapBytes: (30 + seconds * 0.05) * MIB })],
  ['descriptors', (seconds) => ({ descriptors: 60 + Math.floor(seconds / 20) })],
  ['folderBytes', (seconds) => ({ folderBytes: (200 + seconds * 0.5) * MIB })],
  ['p99Ms', (seconds) => ({ p99Ms: 1 + seconds / 100 })],
])('%s that grows slowly and for ever is told', (name, change) => {
  expect(notFlat(run(change))).toEqual([name]);
});

test('a warm-up that grows, a minute that stands out and falling are flat', () => {
  expect(notFlat(run((seconds) => ({ residentBytes: Math.min(300, 100 + 2 * seconds) * MIB })))).toEqual([]);
  expect(
    notFlat(run((seconds) => (seconds > 300 && seconds < 360 ? { p99Ms: 500, heapBytes: 500 * MIB } : {}))),
  ).toEqual([]);
  expect(notFlat(run((seconds) => ({ descriptors: 200 - seconds / 10 })))).toEqual([]);
});

test('growth is over the judged time, in the unit that is shown; too few samples are no verdict', () => {
  const { growth, allowance, median } = judgeSoak(run((seconds) => ({ residentBytes: (100 + seconds) * MIB })))[0]!;
  expect(growth).toBeCloseTo(444, 0);
  expect(median).toBeCloseTo(472, 0);
  expect(allowance).toBeCloseTo(37.76, 1);
  expect(() => judgeSoak(run(undefined, 16))).toThrow(/at least 8 samples/);
  expect(slope([0, 1, 2, 3], [0, 1, 100, 3])).toBeCloseTo(1, 5);
});
