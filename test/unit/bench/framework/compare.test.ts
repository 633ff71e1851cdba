/** Comparing two reports: what changed is told from what cannot be told apart. */
import { expect, test } from 'vitest';
import { compare, comparisonText, expectReport } from '../../../../bench/framework/compare.ts';
import { benchReport, figureOf } from '../../../support/bench-report.ts';

const steady = [100, 101, 99, 100, 102];
const times = (factor: number) => steady.map((value) => value * factor);
const changeOf = (before: ReturnType<typeof figureOf>, after: ReturnType<typeof figureOf>) =>
  compare(benchReport([before]), benchReport([after])).figures[0]!.change;

test('intervals that have nothing in common are a change, better or worse by what the figure is', () => {
  expect(changeOf(figureOf('a', steady), figureOf('a', times(1.2)))).toBe('better');
  expect(changeOf(figureOf('a', steady), figureOf('a', times(0.8)))).toBe('worse');
  const lower = { better: 'lower' as const };
  expect(changeOf(figureOf('a', steady, lower), figureOf('a', times(0.8), lower))).toBe('better');
  const size = { better: 'neither' as const };
  expect(changeOf(figureOf('a', steady, size), figureOf('a', times(0.8), size))).toBe('different');
});

test('intervals that overlap, and figures of one or two runs, cannot be told apart', () => {
  expect(changeOf(figureOf('a', steady), figureOf('a', times(1.005)))).toBe('same');
  expect(changeOf(figureOf('a', [100]), figureOf('a', [200]))).toBe('same');
  expect(changeOf(figureOf('a', [100, 101]), figureOf('a', [200, 201]))).toBe('same');
  // Intervals that share one value alone.
  const within = (low: number, high: number) => ({ ...figureOf('a', steady), interval: { low, high } });
  expect(changeOf(within(90, 100), within(100, 110))).toBe('same');
  expect(changeOf(within(90, 99), within(100, 110))).not.toBe('same');
});

test('on another processor only ratios to a floor of the same run are compared', () => {
  const figures = (factor: number) => [
    figureOf('rate', times(factor)),
    figureOf('codec.vsMemcpy', times(factor), { floor: 'codec.memcpyNs' }),
  ];
  const other = benchReport(figures(2));
  other.machine.processor = 'another';
  const comparison = compare(benchReport(figures(1)), other);
  expect(comparison.isSameMachine).toBe(false);
  expect(comparison.figures.map(({ name, change }) => [name, change])).toEqual([
    ['rate', 'machine'],
    ['codec.vsMemcpy', 'better'],
  ]);
  expect(comparisonText(comparison)).toMatch(/processors differ/);
  expect(comparisonText(comparison)).toMatch(/^rate .* CPU differs$/m);
});

test('a figure in one of them alone is said to be', () => {
  const { figures } = compare(benchReport([figureOf('old', steady)]), benchReport([figureOf('new', steady)]));
  expect(figures.map(({ name, change, before, after }) => [name, change, before, after])).toEqual([
    ['old', 'missing', 100, null],
    ['new', 'missing', null, 100],
  ]);
});

test('gains of optimisations are compared too', () => {
  const withGain = (factor: number) => {
    const gain = figureOf('x', times(factor / 100));
    const measured = { unit: 'claims/s', with: gain, without: gain, gain };
    const one = { name: 'Batching', on: '', off: '', memory: '', latency: '', lines: 1, files: [], measured };
    return benchReport([], { optimisations: [one] });
  };
  expect(compare(withGain(3), withGain(2)).figures).toMatchObject([{ name: 'gain of Batching', change: 'worse' }]);
});

test('what is no report, or of another schema, or was cut, is refused with its name', () => {
  expect(() => expectReport({ figures: [] }, 'a.json')).toThrow(/a\.json: expected a report of claimwire bench/);
  expect(() => expectReport(null, 'a.json')).toThrow(/a\.json/);
  expect(() => expectReport({ ...benchReport([]), schema: 9 }, 'b.json')).toThrow(/schema 1, got 9; measure again/);
  const cut = { ...benchReport([]), figures: [{ name: 'a', median: null }] };
  expect(() => expectReport(cut, 'c.json')).toThrow(/c\.json: expected figures with medians/);
  const report = benchReport([figureOf('a', steady)]);
  expect(expectReport(JSON.parse(JSON.stringify(report)), 'd.json')).toEqual(report);
});
