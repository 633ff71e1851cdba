import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FeedSource, Feeds } from '../../../src/web/feed.ts';
import { BATCH_BYTES, BATCH_MS, WINDOW_BYTES } from '../../../src/web/limits.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Two threads; `sent` has the batches as ring and bytes. */
function rig() {
  const sent: [ring: number, bytes: number][] = [];
  const feeds = new Feeds(2, (ring, batch) => sent.push([ring, batch.length]));
  const sources = [0, 1].map(
    (slot): FeedSource => ({ slot, generation: 1, waiting: [], waitingBytes: 0, drained: () => {} }),
  );
  const add = (slot: number, bytes = 93) => feeds.of(slot).add(sources[slot]!, new Uint8Array(bytes));
  return { sent, feeds, add };
}

test('batches for all threads leave in one turn, and the next ones a millisecond later', () => {
  const { sent, add } = rig();
  for (const slot of [0, 1, 0]) add(slot);
  expect(sent).toEqual([]);
  vi.advanceTimersByTime(0);
  expect(sent.splice(0)).toEqual([
    [0, 2 * 105],
    [1, 105],
  ]);
  // A message of either thread waits for the same end.
  add(1);
  vi.advanceTimersByTime(0);
  add(0);
  expect(sent).toEqual([]);
  vi.advanceTimersByTime(BATCH_MS);
  vi.advanceTimersToNextTimer();
  expect(sent.splice(0)).toEqual([
    [0, 105],
    [1, 105],
  ]);
  // Nothing came: no more turns until something does.
  vi.advanceTimersByTime(10);
  expect(vi.getTimerCount()).toBe(0);
  add(1);
  vi.advanceTimersToNextTimer();
  expect(sent).toEqual([[1, 105]]);
});

test('much does not wait, and what a thread has no room for does', () => {
  const { sent, feeds, add } = rig();
  add(0);
  vi.advanceTimersByTime(0);
  expect(sent.splice(0)).toEqual([[0, 105]]);
  add(0, BATCH_BYTES);
  vi.advanceTimersByTime(0);
  expect(sent.splice(0)).toEqual([[0, BATCH_BYTES + 12]]);
  // The window may be overrun by one message.
  for (let count = 0; count < 5; count++) add(0, BATCH_BYTES);
  vi.advanceTimersByTime(0);
  expect(sent.splice(0)).toEqual([[0, 3 * (BATCH_BYTES + 12)]]);
  vi.advanceTimersByTime(10);
  expect(sent).toEqual([]);
  feeds.taken(0, WINDOW_BYTES);
  vi.advanceTimersToNextTimer();
  expect(sent).toEqual([[0, 2 * (BATCH_BYTES + 12)]]);
});
