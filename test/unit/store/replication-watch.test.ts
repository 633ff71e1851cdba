/** How far the standbys are, as an operator is told: asked every few seconds, kept for a while, and never in the way. */
import { expect, test } from 'vitest';
import { ReplicationWatch } from '../../../src/store/replication-watch.ts';
import { type ReplicationFigures, StoreCounts } from '../../../src/store/store-figures.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const SEEN: ReplicationFigures = { names: 's1', standbys: [] };
const kept = () => new Promise(setImmediate);

test('it is asked at once and every five seconds, one question at a time', async () => {
  const clock = new ManualClock();
  const answers: ((figures: ReplicationFigures | null) => void)[] = [];
  const watch = new ReplicationWatch({ replication: () => new Promise((resolve) => answers.push(resolve)) }, clock);
  expect([answers.length, watch.figures]).toEqual([1, null]);
  clock.advance(20_000);
  expect(answers).toHaveLength(1);
  answers[0]!(SEEN);
  await kept();
  expect(watch.figures).toBe(SEEN);
  clock.advance(5_000);
  expect(answers).toHaveLength(2);
  watch.stop();
  expect(clock.pending).toBe(0);
});

test('an answer is told for fifteen seconds; a failure is no answer, and harms nobody', async () => {
  const clock = new ManualClock();
  let fails = false;
  const watch = new ReplicationWatch(
    { replication: () => (fails ? Promise.reject(new Error('gone')) : Promise.resolve(SEEN)) },
    clock,
  );
  await kept();
  fails = true;
  for (let seconds = 5; seconds <= 15; seconds += 5) {
    clock.advance(5_000);
    await kept();
    expect(watch.figures).toBe(SEEN);
  }
  clock.advance(1);
  expect(watch.figures).toBeNull();
  watch.stop();
});

test('a database without standbys has nothing to tell', () => {
  const clock = new ManualClock();
  const watch = new ReplicationWatch({}, clock);
  clock.advance(5_000);
  expect(watch.figures).toBeNull();
  watch.stop();
});

test('threads count together what they ask again', () => {
  const counts = new StoreCounts();
  const other = new StoreCounts(counts.words);
  counts.add('unknown');
  other.add('unknown');
  other.add('reconnects');
  expect(counts.retries).toEqual({ refused: 0, unknown: 2, unconfirmed: 0 });
  expect(counts.reconnects).toBe(1);
});
