/** With a busy poll the event loop of a lane goes round after a datagram, and sleeps again when its time is over. */
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ThreadParts } from '../../../src/threads/parts.ts';
import { type Turn, TurnLoop } from '../../../src/threads/turn-loop.ts';

function loopOf(busyPollUs: number) {
  const seen = { ms: 100, looks: 0, turns: 0 };
  const clock = {
    monotonic: () => {
      seen.looks++;
      return seen.ms;
    },
  };
  const parts = { context: { busyPollUs }, system: { clock }, stages: { start() {} }, now: () => 1_000 };
  const turn = {
    receive: { now: 0 },
    step: () => {
      seen.turns++;
      return false;
    },
  };
  return { seen, loop: new TurnLoop(parts as unknown as ThreadParts, turn as unknown as Turn) };
}

async function rounds(count: number): Promise<void> {
  for (let round = 0; round < count; round++) await setImmediate();
}

test('it looks for more until its time is over, and makes no turns for that', async () => {
  const { seen, loop } = loopOf(200);
  loop.schedule();
  await rounds(10);
  expect(seen.turns).toBe(1);
  expect(seen.looks).toBeGreaterThan(5);
  seen.ms += 0.1;
  loop.schedule();
  await rounds(2);
  seen.ms += 0.15;
  const before = seen.looks;
  await rounds(5);
  // The second datagram has moved the end.
  expect(seen.looks).toBeGreaterThan(before + 3);
  seen.ms += 0.1;
  await rounds(2);
  const ended = seen.looks;
  await rounds(5);
  expect([seen.looks, seen.turns]).toEqual([ended, 2]);
});

test('it sleeps at once without one, and when it ends', async () => {
  const { seen, loop } = loopOf(0);
  loop.schedule();
  await rounds(5);
  expect([seen.looks, seen.turns]).toEqual([0, 1]);
  const polling = loopOf(1_000);
  polling.loop.schedule();
  await rounds(3);
  polling.loop.end();
  await rounds(2);
  const ended = polling.seen.looks;
  await rounds(3);
  expect(polling.seen.looks).toBe(ended);
});
