/** When a commit of charges may begin, and how much it takes: at once and all where somebody waits for it. Test's thread. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pace } from '../../../src/meter/pace.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Whether the next commit may begin by now. */
async function gathering(pace: Pace, due: number): Promise<() => boolean> {
  let isOver = false;
  void pace.gather(due).then(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  return () => isOver;
}

test('a commit with few due waits for 2 ms, for enough of them, or until somebody waits for it', async () => {
  const pace = new Pace();
  pace.begin(1);
  const first = await gathering(pace, 7);
  await vi.advanceTimersByTimeAsync(1);
  expect(first()).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(first()).toBe(true);
  pace.begin(7);
  const second = await gathering(pace, 1);
  pace.saw(7);
  await vi.advanceTimersByTimeAsync(0);
  expect(second()).toBe(false);
  pace.saw(8);
  await vi.advanceTimersByTimeAsync(0);
  expect([second(), vi.getTimerCount()]).toEqual([true, 0]);
  pace.begin(16);
  const third = await gathering(pace, 1);
  pace.hurry();
  await vi.advanceTimersByTimeAsync(0);
  expect([third(), vi.getTimerCount()]).toEqual([true, 0]);
});

test('with enough due, and where somebody came while a commit was under way, the next begins at once', async () => {
  const pace = new Pace();
  pace.begin(1);
  expect((await gathering(pace, 8))()).toBe(true);
  pace.begin(16);
  pace.hurry();
  expect((await gathering(pace, 1))()).toBe(true);
  pace.begin(1);
  expect((await gathering(pace, 1))()).toBe(false);
});

test('of many that nobody waits for it takes one half, and all where somebody does', () => {
  const pace = new Pace();
  expect([1, 16, 32, 64, 1_001].map((due) => Math.min(due, pace.begin(due)))).toEqual([1, 16, 16, 32, 501]);
  pace.hurry();
  expect([pace.begin(1_001), pace.begin(1_001)]).toEqual([1_001, 501]);
});
