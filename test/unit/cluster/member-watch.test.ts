/** Whether others live, by the watcher's own clock. */
import { expect, test } from 'vitest';
import { MemberWatch } from '../../../src/cluster/member-watch.ts';

const GAP_MS = 500;

function member(beats: number, epoch = 1) {
  return { node: 'b', epoch, beats, places: [], leaving: false };
}

test('beats that stand still are counted from when they were first seen so to the last question', () => {
  const watch = new MemberWatch(GAP_MS);
  watch.observe([member(7)], 0, 20);
  watch.observe([member(7)], 100, 130);
  expect(watch.stillMs('b')).toBe(80);
  watch.observe([member(8)], 200, 220);
  expect(watch.stillMs('b')).toBe(0);
  expect(watch.stillMs('nobody')).toBe(0);
});

test('a member is known to live once its beats have risen in its epoch', () => {
  const watch = new MemberWatch(GAP_MS);
  watch.observe([member(7)], 0, 0);
  expect(watch.hasRisen('b')).toBe(false);
  watch.observe([member(8)], 100, 100);
  expect(watch.hasRisen('b')).toBe(true);
  watch.observe([member(9, 2)], 200, 200);
  expect(watch.hasRisen('b')).toBe(false);
});

test('who has not looked for long, or waited long for the answer, begins anew and judges nobody', () => {
  const watch = new MemberWatch(GAP_MS);
  for (let now = 0; now <= 900; now += 100) watch.observe([member(7)], now, now);
  expect(watch.stillMs('b')).toBe(900);
  // It stood still for longer than the gap.
  watch.observe([member(7)], 1_500, 1_500);
  expect([watch.stillMs('b'), watch.restarts]).toEqual([0, 1]);
  watch.observe([member(7)], 1_600, 1_600);
  expect(watch.stillMs('b')).toBe(100);
  // It stood still between the question and the answer.
  watch.observe([member(7)], 1_700, 2_300);
  expect([watch.stillMs('b'), watch.restarts]).toEqual([0, 2]);
});

const starting = (beats: number, epoch: number) => ({ ...member(beats, epoch), leaving: true });

test('a member that dies again and again before it serves is no more waited for after three starts', () => {
  const watch = new MemberWatch(GAP_MS);
  let [now, beats] = [0, 7];
  const run = (forMs: number, epoch: number, isBeating: boolean, isServing = false) => {
    for (const end = now + forMs; now < end; now += 100) {
      if (isBeating) beats++;
      // Until its first beat it is shown as it was before.
      watch.observe([{ ...member(beats, epoch), leaving: isBeating && !isServing }], now, now);
    }
  };
  // It has served, and is started again: it gets its time, and so do two more starts. With a beat or without makes no difference.
  run(500, 1, true, true);
  run(500, 2, false);
  run(500, 3, true);
  expect(watch.stillMs('b')).toBe(0);
  run(500, 4, false);
  expect(watch.stillMs('b')).toBe(400);
  run(500, 5, true);
  expect(watch.stillMs('b')).toBe(900);
  run(500, 6, true);
  expect(watch.stillMs('b')).toBe(1_400);
  // One that serves is waited for again.
  run(200, 6, true, true);
  expect(watch.stillMs('b')).toBe(0);
});

test('one start that takes long is waited for as long as it beats', () => {
  const watch = new MemberWatch(GAP_MS);
  for (let now = 0; now < 60_000; now += 250) watch.observe([starting(now, 1)], now, now);
  expect(watch.stillMs('b')).toBe(0);
});
