/** When a commit of charges may begin: at once where somebody waits for it. Test's thread. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Pace } from '../../../src/meter/pace.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Whether a pause is over by now. */
async function pausing(pace: Pace): Promise<() => boolean> {
  let isOver = false;
  void pace.pause().then(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(0);
  return () => isOver;
}

test('a pause ends after 2 ms, or as soon as somebody waits', async () => {
  const pace = new Pace();
  pace.begin();
  const first = await pausing(pace);
  await vi.advanceTimersByTimeAsync(1);
  expect(first()).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(first()).toBe(true);
  pace.begin();
  const second = await pausing(pace);
  pace.hurry();
  await vi.advanceTimersByTimeAsync(0);
  expect([second(), vi.getTimerCount()]).toEqual([true, 0]);
});

test('who came while a commit was under way is not kept waiting; the next round is paused again', async () => {
  const pace = new Pace();
  pace.begin();
  pace.hurry();
  expect((await pausing(pace))()).toBe(true);
  pace.begin();
  expect((await pausing(pace))()).toBe(false);
});
