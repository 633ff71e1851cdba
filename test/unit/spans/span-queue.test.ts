/** The queue of ended spans: its bound, its batches, and a collector that is slow. */
import { expect, test } from 'vitest';
import { SpanQueue } from '../../../src/spans/span-queue.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const turn = () => new Promise(setImmediate);

test('beyond its bound spans are dropped and counted, and one batch is under way at a time', async () => {
  const clock = new ManualClock();
  const batches: number[] = [];
  let answer = () => {};
  const send = (spans: number[]) => {
    batches.push(spans.length);
    return new Promise<void>((resolve) => {
      answer = resolve;
    });
  };
  const queue = new SpanQueue<number>(send, clock, () => {});
  for (let span = 0; span < 6_000; span++) queue.add(span);
  // 512 left with the first batch; 4,096 wait, and there is no room for the others.
  expect(queue.counters).toEqual({ exported: 0, dropped: 6_000 - 512 - 4_096, failed: 0, queued: 4_096 });
  expect(batches).toEqual([512]);
  answer();
  await turn();
  expect(queue.counters.exported).toBe(512);
  clock.advance(1_000);
  expect(batches).toEqual([512, 512]);
  const closed = queue.close();
  for (let batch = 0; batch < 10; batch++) {
    answer();
    await turn();
  }
  await closed;
  expect(queue.counters).toMatchObject({ exported: 4_608, queued: 0 });
  expect(clock.pending).toBe(0);
  queue.add(1);
  expect(queue.counters.dropped).toBe(6_000 - 512 - 4_096 + 1);
});

test('a few spans leave within a second; a fault is told once until it is mended', async () => {
  const clock = new ManualClock();
  const warned: string[] = [];
  let isDown = true;
  const send = async () => {
    if (isDown) throw new Error('refused');
  };
  const queue = new SpanQueue<number>(send, clock, (line) => warned.push(line));
  for (let second = 0; second < 3; second++) {
    queue.add(second);
    clock.advance(1_000);
    await turn();
  }
  expect(queue.counters).toMatchObject({ failed: 3, exported: 0 });
  expect(warned).toEqual(['otel: 1 spans were not taken: refused']);
  isDown = false;
  queue.add(3);
  clock.advance(1_000);
  await turn();
  expect(queue.counters).toMatchObject({ failed: 3, exported: 1 });
});

test('at the end a collector that refuses is not asked for each batch that waits', async () => {
  let asked = 0;
  const queue = new SpanQueue<number>(
    async () => {
      asked++;
      throw new Error('refused');
    },
    new ManualClock(),
    () => {},
  );
  for (let span = 0; span < 3_000; span++) queue.add(span);
  await turn();
  const before = asked;
  await queue.close();
  expect(asked - before).toBeLessThanOrEqual(1);
});
