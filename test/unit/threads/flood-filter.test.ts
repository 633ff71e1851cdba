/** When a socket gets a filter, how its level goes up and down, and when it goes away: a socket of the test's, steered time. */
import { beforeEach, expect, test } from 'vitest';
import { counterIndex } from '../../../src/ring/counters.ts';
import { type FilterSocket, FloodFilter } from '../../../src/threads/flood-filter.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { Rig } from '../../support/rig.ts';

class FakeSocket implements FilterSocket {
  drops = 0;
  full = 0;
  readonly receiveBufferBytes = 2_304 * 100;
  /** Instructions of each program that was given. */
  readonly programs: number[] = [];
  /** The longest program that the system takes. */
  instructionsMax = 4_096;
  filter(program: Uint32Array): boolean {
    this.programs.push(program.length / 2);
    return program.length / 2 <= this.instructionsMax;
  }
}

const LEVELS = 8;

let clock: ManualClock;
let rig: Rig;
let socket: FakeSocket;
let flood: FloodFilter;
beforeEach(() => {
  clock = new ManualClock();
  rig = new Rig({ strangers: 0.5, random: (count) => Buffer.alloc(count, 7) });
  socket = new FakeSocket();
  flood = new FloodFilter({
    socket,
    standing: rig.standing,
    counters: rig.counters,
    random: (count) => Buffer.alloc(count, 3),
    monotonic: () => clock.monotonic(),
    nowSeconds: () => Math.floor(clock.wall() / 1_000),
    every: (ms, call) => clock.every(ms, call),
  });
});

const count = (name: Parameters<typeof counterIndex>[0], claims: number) =>
  rig.counters.add(counterIndex(name), claims);
/** A turn of 5 ms that read 40 datagrams, of which so much was worth nothing. */
function turn({ useless = 0.9, full = 1, dropped = 0 } = {}): void {
  count('datagrams', 40);
  count('received', 600);
  count('refused.badSignature', Math.floor(600 * useless));
  socket.full = full;
  socket.drops += dropped;
  flood.afterTurn();
  clock.advance(5);
}
const turns = (times: number, like?: Parameters<typeof turn>[0]) => {
  for (let time = 0; time < times; time++) turn(like);
};

test('a buffer that fills with what is worth nothing gets a filter; with what payers send, none', () => {
  turns(50, { useless: 0.1, dropped: 100 });
  expect([flood.isAttached, rig.counter('dropped.socketBuffer')]).toEqual([false, 5_000]);
  turns(50, { full: 0.4 });
  expect(flood.isAttached).toBe(false);
  turns(2);
  expect([flood.isAttached, socket.programs.length]).toEqual([true, 1]);
});

test('drops before the filter and under it are counted apart, each once', () => {
  turns(2, { dropped: 7 });
  turns(3, { full: 0, dropped: 10 });
  expect([rig.counter('dropped.socketBuffer'), rig.counter('dropped.floodFilter')]).toEqual([14, 30]);
});

test('the level rises while the buffer stays full, after half a buffer each, and no further than there are levels', () => {
  turns(2);
  expect(flood.level).toBe(0);
  turns(3);
  expect(flood.level).toBe(1);
  turns(100);
  expect(flood.level).toBe(LEVELS - 1);
});

test('a buffer that empties, or that payers fill, raises nothing', () => {
  turns(2);
  for (let full = 0.98; full > 0.32; full -= 0.02) turn({ full });
  expect(flood.level).toBe(0);
  // The first look still sees what was worth nothing.
  turns(4, { useless: 0.1 });
  const { level } = flood;
  turns(40, { useless: 0.1 });
  expect(flood.level).toBe(level);
});

test('the level falls after a while without a full buffer, and where that was one too many it is back at once', () => {
  turns(12);
  const { level } = flood;
  const calm = { full: 0.1, dropped: 100 };
  const fall = () => {
    let waited = 0;
    for (const before = flood.level; flood.level === before; waited += 5) turn(calm);
    return waited;
  };
  const waits = [];
  for (let time = 0; time < 4; time++) {
    waits.push(fall());
    turn();
    expect(flood.level).toBe(level);
  }
  for (let time = 1; time < waits.length; time++) expect(waits[time]! / waits[time - 1]!).toBeGreaterThan(1.5);
  expect(waits[0]).toBeLessThan(400);
});

test('after a flood the level falls at once, and two seconds later the filter is taken away, though no turn comes', () => {
  turns(100);
  expect(flood.level).toBe(LEVELS - 1);
  socket.full = 0;
  clock.advance(400);
  expect(flood.level).toBe(0);
  clock.advance(2_000);
  expect([flood.isAttached, clock.pending, socket.programs.at(-1)]).toEqual([false, 0, 0]);
  turns(2);
  expect(flood.isAttached).toBe(true);
});

test('where the system takes small programs only, it gets those; where it takes none, nothing changes', () => {
  for (let port = 0; port < 3_000; port++)
    rig.standing!.sources.verified(Uint32Array.of(port << 16, 0, 0, 0xffff_0000, port * 7), 0, clock.wall() / 1_000);
  socket.instructionsMax = 1_000;
  turns(2);
  expect(flood.isAttached).toBe(true);
  expect(socket.programs.map((instructions) => instructions > 1_000)).toEqual([true, false]);
  clock.advance(50);
  expect(socket.programs.at(-1)).toBeLessThan(1_000);
  flood.close();
  socket.instructionsMax = -1;
  turns(100, { dropped: 1 });
  expect([flood.isAttached, clock.pending]).toEqual([false, 0]);
  expect(rig.counter('dropped.socketBuffer')).toBe(100);
});

test('a closed socket is looked at no more', () => {
  turns(2);
  flood.close();
  const before = socket.programs.length;
  clock.advance(5_000);
  expect([socket.programs.length, clock.pending]).toEqual([before, 0]);
});
