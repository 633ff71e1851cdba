/**
 * Whose turn it is: budgets of a turn, rounds among those that wait, those that pay before those that do not; and the
 * gate of control messages. No sockets and no clock.
 */
import { expect, test } from 'vitest';
import { ControlGate } from '../../../src/transport/tcp-control-gate.ts';
import { CLAIMS_PER_TURN_MAX, Turns } from '../../../src/transport/tcp-turns.ts';

interface Taker {
  name: string;
  isPaying: boolean;
  /** Claims it still has. */
  has: number;
}

const taker = (name: string, has: number, isPaying = false): Taker => ({ name, isPaying, has });

/** A ring in which nothing is under way. */
const ring = (room: number) => ({ room, slots: Number.MAX_SAFE_INTEGER, next: 0, committed: 0 });

/** One turn, in which everybody hands in what it may. Returns who was served, in order, and with how much. */
function turnOf(turns: Turns<Taker>, room: number): { name: string; claims: number }[] {
  const served: { name: string; claims: number }[] = [];
  turns.begin(ring(room));
  turns.serve((each, claimsMax) => {
    const claims = Math.min(each.has, claimsMax);
    each.has -= claims;
    turns.spend(claims);
    served.push({ name: each.name, claims });
    if (each.has > 0) turns.wait(each);
  });
  return served;
}
const sum = (served: { claims: number }[]) => served.reduce((total, { claims }) => total + claims, 0);

test('a turn has a budget however much room there is, and however little its claims take of it', () => {
  const turns = new Turns<Taker>();
  for (let index = 0; index < 50; index++) turns.wait(taker(String(index), 100_000));
  for (let turn = 0; turn < 20; turn++) expect(sum(turnOf(turns, Number.POSITIVE_INFINITY))).toBe(CLAIMS_PER_TURN_MAX);
});

test.each([2, 50, 1_000])('%i that wait: nobody has a second quantum before all had one', (count) => {
  const turns = new Turns<Taker>();
  for (let index = 0; index < count; index++) turns.wait(taker(String(index), 100_000));
  const served: string[] = [];
  while (served.length < 5 * count) served.push(...turnOf(turns, 8_192).map(({ name }) => name));
  for (let round = 0; round < 5; round++)
    expect(new Set(served.slice(round * count, (round + 1) * count)).size).toBe(count);
});

test.each([0, 2 ** 32 - 3_000])('an eighth of the ring is left to UDP, by what is under way (from %i)', (first) => {
  const turns = new Turns<Taker>();
  let next = first;
  let committed = first;
  const begin = () => {
    turns.begin({ room: 8_192 - ((next - committed) >>> 0), slots: 8_192, next, committed });
    return turns.left;
  };
  const take = (claims: number) => {
    turns.enter(claims);
    next = (next + claims) >>> 0;
  };
  // Connections alone: 7,168 of 8,192, however often they come.
  const taken: number[] = [];
  for (let turn = 0; turn < 6; turn++) {
    taken.push(begin());
    take(turns.left);
  }
  expect(taken).toEqual([2_048, 2_048, 2_048, 1_024, 0, 0]);
  // A turn's claims are settled together, when the last of them is.
  committed = (committed + 2_047) >>> 0;
  expect(begin()).toBe(0);
  committed = (committed + 1) >>> 0;
  expect(begin()).toBe(2_048);
  // UDP alone: whatever room it leaves is there for connections.
  committed = next;
  expect(begin()).toBe(2_048);
  next = (next + 8_000) >>> 0;
  expect(begin()).toBe(192);
});

test('without room nobody is served, and everybody keeps the place', () => {
  const turns = new Turns<Taker>();
  turns.wait(taker('one', 10));
  turns.wait(taker('two', 10));
  expect(turnOf(turns, 0)).toEqual([]);
  expect(turnOf(turns, 100).map(({ name }) => name)).toEqual(['one', 'two']);
});

test('who pays goes before a thousand that do not, and takes no more than half of a turn from them', () => {
  const turns = new Turns<Taker>();
  for (let index = 0; index < 1_000; index++) turns.wait(taker(`flood ${index}`, 100_000));
  turns.wait(taker('payer', 20, true));
  const first = turnOf(turns, 8_192);
  expect(first[0]).toEqual({ name: 'payer', claims: 20 });
  expect(sum(first)).toBe(CLAIMS_PER_TURN_MAX);
  turns.wait(taker('greedy payer', 100_000, true));
  for (let turn = 0; turn < 3; turn++) {
    const served = turnOf(turns, 8_192);
    const greedy = sum(served.filter(({ name }) => name === 'greedy payer'));
    // Its last quantum may begin within its half.
    expect(greedy).toBeGreaterThanOrEqual(CLAIMS_PER_TURN_MAX / 2);
    expect(greedy).toBeLessThan(CLAIMS_PER_TURN_MAX / 2 + 64);
    expect(sum(served)).toBe(CLAIMS_PER_TURN_MAX);
  }
});

test('who comes need not wait while there is budget and nobody waits', () => {
  const turns = new Turns<Taker>();
  expect(turns.isFree).toBe(true);
  turns.spend(CLAIMS_PER_TURN_MAX);
  expect(turns.isFree).toBe(false);
  turns.begin(ring(8_192));
  expect(turns.isFree).toBe(true);
  const waiting = taker('one', 1);
  turns.wait(waiting);
  expect(turns.isFree).toBe(false);
  turns.leave(waiting);
  expect(turns.isFree).toBe(true);
});

test('a visit that brings nothing costs something: a turn ends among a thousand of them', () => {
  const turns = new Turns<Taker>();
  for (let index = 0; index < 10_000; index++) turns.wait(taker(String(index), 0));
  expect(turnOf(turns, 8_192).length).toBe(CLAIMS_PER_TURN_MAX);
});

test('the gate: 64 control messages at once and 1,000 a second for all connections together', () => {
  const gate = new ControlGate<string>();
  const passed = (from: number, to: number) => {
    let count = 0;
    for (let now = from; now < to; now++) for (let message = 0; message < 100; message++) if (gate.pass(now)) count++;
    return count;
  };
  expect(passed(1_000, 1_001)).toBe(64);
  expect(passed(1_001, 2_001)).toBe(1_000);
  // A quiet hour saves no more than a burst.
  expect(passed(3_600_000, 3_600_001)).toBe(64);
});

test('the gate: those held go through in order, one message each, before anybody who comes', () => {
  const gate = new ControlGate<string>();
  while (gate.pass(1_000));
  for (let index = 0; index < 100; index++) gate.hold(`flood ${index}`);
  gate.hold('operator');
  const order: string[] = [];
  for (let now = 1_001; gate.held > 0 && now < 2_000; now++) {
    expect(gate.pass(now)).toBe(false);
    gate.release(now, (name) => {
      order.push(name);
      // There is always more where that came from.
      if (name !== 'operator') gate.hold(name);
    });
    if (order.includes('operator')) break;
  }
  expect(order.indexOf('operator')).toBe(100);
  expect(order.slice(0, 2)).toEqual(['flood 0', 'flood 1']);
  gate.hold('flood 3');
  gate.leave('flood 3');
  gate.clear();
  expect(gate.held).toBe(0);
});
