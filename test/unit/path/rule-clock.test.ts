/** The time the rules go by never falls: in one thread, between threads, and while the machine's clock is behind. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RuleClock } from '../../../src/path/rule-clock.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ControlWords } from '../../../src/ring/control-words.ts';

let logged = '';
beforeEach(() => {
  logged = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    logged += text;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

const SECOND = 1_000;
const WALL = 1_900_000_000;

function words(): ControlWords {
  const arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 16 });
  return new ControlWords(arena);
}

test('a second seen by one thread is the least that another goes by, past 2^31 and up to 2^32', () => {
  const shared = words();
  for (const seconds of [WALL, 2 ** 31 + 5, 2 ** 32 - 1]) {
    expect(shared.advanceClock(seconds)).toBe(seconds);
    expect(shared.advanceClock(seconds - 3_600)).toBe(seconds);
    expect(shared.advanceClock(seconds)).toBe(seconds);
  }
});

test('a clock that is set back goes on by the monotonic one, and is followed again when it has caught up', () => {
  const shared = words();
  const clock = new RuleClock(shared);
  clock.advance(WALL * SECOND, 500);
  clock.advance((WALL + 10) * SECOND, 10_500);
  // Back by an hour, while 20 s pass.
  for (let passed = 0; passed <= 20; passed++)
    clock.advance((WALL - 3_600 + passed) * SECOND, 10_500 + passed * SECOND);
  expect(shared.advanceClock(0)).toBe(WALL + 30);
  clock.advance((WALL + 100) * SECOND, 31_500);
  expect(shared.advanceClock(0)).toBe(WALL + 100);
  expect(logged.match(/clock: set back by 3610 s/g)).toHaveLength(1);
});

test('a thread that was ahead of the main thread by a moment is not taken back', () => {
  const shared = words();
  const clock = new RuleClock(shared);
  clock.advance(WALL * SECOND, 0);
  shared.advanceClock(WALL + 2);
  clock.advance((WALL - 60) * SECOND, 250);
  expect(shared.advanceClock(0)).toBe(WALL + 2);
  clock.advance((WALL - 59) * SECOND, 1_250);
  expect(shared.advanceClock(0)).toBe(WALL + 3);
});
