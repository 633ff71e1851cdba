/** Whether claims get on, told from the rings' cursors alone, by a clock of the test's. */
import { expect, test } from 'vitest';
import { StallWatch } from '../../../src/threads/stall-watch.ts';

const MS_MAX = 100;

test('a ring in which claims wait and none is committed stalls after the bound, and recovers with the first commit', () => {
  const ring = { depth: 3, committed: 7 };
  const watch = new StallWatch([ring], MS_MAX);
  expect(watch.look(0)).toBe(false);
  expect(watch.look(MS_MAX - 1)).toBe(false);
  expect(watch.look(MS_MAX)).toBe(true);
  expect(watch.isStalled).toBe(true);
  expect(watch.report).toContain('3 in ring 0');
  ring.committed++;
  expect(watch.look(MS_MAX + 1)).toBe(true);
  expect(watch.isStalled).toBe(false);
});

test('an empty ring never stalls, and neither does one that gets on', () => {
  const empty = { depth: 0, committed: 0 };
  const busy = { depth: 5, committed: 0 };
  const watch = new StallWatch([empty, busy], MS_MAX);
  for (let now = 0; now < 10 * MS_MAX; now += MS_MAX) {
    watch.look(now);
    busy.committed++;
  }
  expect(watch.isStalled).toBe(false);
});

test('one ring of several is enough', () => {
  const rings = [
    { depth: 1, committed: 0 },
    { depth: 1, committed: 0 },
  ];
  const watch = new StallWatch(rings, MS_MAX);
  watch.look(0);
  rings[0]!.committed++;
  watch.look(MS_MAX);
  expect(watch.report).toContain('ring 1');
  expect(watch.report).not.toContain('ring 0');
});
