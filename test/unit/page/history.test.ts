/** What the live page keeps of the feed: ten minutes, its window of it, and gaps where the node was silent. */
import { expect, test } from 'vitest';
import type { Sample } from '../../../src/metrics/sample.ts';
import { History } from '../../../src/page/history.ts';

const sample = (at: number, refused: Record<string, number> = {}) =>
  ({ at: at * 1_000, seconds: 1, rates: { received: at }, refused }) as unknown as Sample;

test('it is bounded, and shows its window of what it has', () => {
  const history = new History();
  expect([history.last, history.shown]).toEqual([undefined, []]);
  for (let at = 1; at <= 1_000; at++) history.add(sample(at));
  history.window = 3_600;
  expect(history.shown.length).toBe(600);
  history.window = 60;
  expect([history.shown.length, history.shown[0]!.at]).toEqual([60, 941_000]);
  history.clear();
  expect(history.shown).toEqual([]);
});

test('a silence is a gap and not a line', () => {
  const history = new History();
  for (const at of [1, 2, 10, 11]) history.add(sample(at));
  expect(history.columns([({ rates }) => rates.received, () => null])).toEqual([
    [1, 2, 3, 10, 11],
    [1, 2, null, 10, 11],
    [null, null, null, null, null],
  ]);
});

test("a node's clock that is set back begins the charts anew: they need times that rise", () => {
  const history = new History();
  for (const at of [100, 101, 50, 51]) history.add(sample(at));
  expect(history.shown.map(({ at }) => at)).toEqual([50_000, 51_000]);
});

test('rates by reason come together to counts', () => {
  const history = new History();
  history.add(sample(1, { badAmount: 3 }));
  history.add(sample(2, { badAmount: 2, overloaded: 1 }));
  expect(history.totals(({ refused }) => refused)).toEqual(
    new Map([
      ['badAmount', 5],
      ['overloaded', 1],
    ]),
  );
});
