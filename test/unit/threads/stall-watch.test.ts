/** Whether claims get on, told from the rings' cursors alone, by a clock of the test's. */
import { expect, test } from 'vitest';
import { StallWatch } from '../../../src/threads/stall-watch.ts';

const MS_MAX = 100;
const LOOK_MS = 100;
const BOUNDS = { waitMsMax: MS_MAX, lookMs: LOOK_MS };

test('a ring in which claims wait and none is committed stalls after the bound, and recovers with the first commit', () => {
  const ring = { depth: 3, committed: 7 };
  const watch = new StallWatch([ring], BOUNDS);
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
  const watch = new StallWatch([empty, busy], BOUNDS);
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
  const watch = new StallWatch(rings, BOUNDS);
  watch.look(0);
  rings[0]!.committed++;
  watch.look(MS_MAX);
  expect(watch.report).toContain('ring 1');
  expect(watch.report).not.toContain('ring 0');
});

/** Readiness as a balancer sees it: how often it changed, over looks in time of a ring in which each sync takes `syncMs`. */
function changes(watch: StallWatch, ring: { depth: number; committed: number }, syncMs: number, forMs: number): number {
  let changed = 0;
  for (let now = 0; now < forMs; now += 250) {
    ring.committed = Math.floor(now / syncMs);
    if (watch.look(now)) changed++;
  }
  return changed;
}

test('one late look says nothing: this thread, or the whole machine, stood still meanwhile', () => {
  const ring = { depth: 0, committed: 7 };
  const watch = new StallWatch([ring], { waitMsMax: 700, lookMs: 250, slowMsMax: 5_000 });
  watch.look(0);
  // The machine goes on, with a claim that has just come.
  ring.depth = 1;
  expect(watch.look(60_000)).toBe(false);
  expect(watch.look(60_250)).toBe(false);
  expect(watch.look(60_500)).toBe(true);
});

test('a disk that is slow, each of its syncs longer than the bound, is told of once and not by turns', () => {
  const ring = { depth: 3, committed: 0 };
  const watch = new StallWatch([ring], { waitMsMax: 700, lookMs: 250, slowMsMax: 5_000 });
  // Not ready, and ready again.
  expect(changes(watch, ring, 1_250, 600_000)).toBe(2);
  expect(watch.isStalled).toBe(false);
});

test('a slow disk that hangs is told of after twice as long as it took, at most as long as said; a minute later as ever', () => {
  const ring = { depth: 3, committed: 0 };
  const watch = new StallWatch([ring], { waitMsMax: 700, lookMs: 250, slowMsMax: 5_000 });
  let now = 0;
  const toldAfter = () => {
    ring.committed++;
    watch.look(now);
    const from = now;
    while (!watch.isStalled && now - from < 10_000) {
      now += 250;
      watch.look(now);
    }
    return now - from;
  };
  expect(toldAfter()).toBe(750);
  expect(toldAfter()).toBe(1_500);
  expect(toldAfter()).toBe(3_000);
  expect(toldAfter()).toBe(5_000);
  expect(watch.report).toContain('claims wait for 5000 ms and more');
  for (const until = now + 61_000; now < until; now += 250) {
    ring.committed++;
    watch.look(now);
  }
  expect(toldAfter()).toBe(750);
});
