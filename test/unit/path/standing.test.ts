/** Who goes first while a ring fills: known pairs before strangers, who have a part of it and budgets of failures. */
import { beforeEach, expect, test } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import { BUDGET_FAILURES, FAILURES_MAX, KNOWN_SECONDS } from '../../../src/path/standing.ts';
import { sourceHead } from '../../../src/transport/source.ts';
import { TRANSPORT_TCP } from '../../../src/transport/transport.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('192.0.2.1', 5_001);
const ALICE_ELSEWHERE = sourceOf('192.0.2.1', 5_002);
const BOB = sourceOf('198.51.100.1', 5_001);
const MALLORY = sourceOf('203.0.113.1', 6_666);
const SLOTS = 64;
const PART = SLOTS / 2;
/** From here on it matters who somebody is. */
const WATCHED = PART / 2;
const OPENED = 200n;

let rig: Rig;
let amount: bigint;
beforeEach(() => {
  // A seed of the same draws: whether two pairs share a place does not change from run to run.
  rig = new Rig({ ringSlots: SLOTS, strangers: 0.5, random: (count) => Buffer.alloc(count, 7) });
  for (let id = 1n; id <= OPENED / 4n; id++) rig.open({ channelId: id });
  amount = 0n;
});

const claim = (channelId: bigint, isValid = true) => claimOf({ channelId, amount: ++amount }, isValid);
/** A claim of the source that is verified at once. */
function pay(source: Uint32Array, channelId: bigint): void {
  rig.datagram(claim(channelId), source);
  rig.turn();
  expect(rig.takeAcks().map(({ status }) => status)).toEqual([STATUS.COMMITTED]);
}
/** Claims that wait in the ring, of channels of their own from the 20th on. */
function fill(count: number, source = MALLORY): void {
  for (let index = 0; index < count; index++) rig.datagram(claim(20n + BigInt(index % 30), false), source);
}
/** Whether a claim of the pair is taken in now. */
function enters(source: Uint32Array, channelId: bigint): boolean {
  const before = rig.ring.next;
  rig.datagram(claim(channelId), source);
  return rig.ring.next !== before;
}

test('strangers have half of the ring, and who was verified lately has all of it', () => {
  pay(ALICE, 1n);
  fill(SLOTS);
  expect(rig.ring.room).toBe(SLOTS - PART);
  expect(rig.counter('strangers.heldBack')).toBe(SLOTS - PART);
  expect(rig.counter('refused.overloaded')).toBe(SLOTS - PART);
  expect(enters(BOB, 2n)).toBe(false);
  // What is known is a pair: neither the channel from elsewhere nor another channel of the source.
  expect([enters(MALLORY, 1n), enters(ALICE_ELSEWHERE, 1n), enters(ALICE, 2n)]).toEqual([false, false, false]);
  for (let room = SLOTS - PART; room > 0; room--) expect(enters(ALICE, 1n)).toBe(true);
  expect(enters(ALICE, 1n)).toBe(false);
  rig.turn();
  expect(rig.counter('committed')).toBe(1 + SLOTS - PART);
});

test('however much known pairs send, strangers have their part', () => {
  pay(ALICE, 1n);
  for (let count = 0; count < WATCHED + 8; count++) expect(enters(ALICE, 1n)).toBe(true);
  for (let count = 0; count < PART - WATCHED; count++) expect(enters(BOB, 2n)).toBe(true);
  expect([enters(BOB, 2n), enters(ALICE, 1n)]).toEqual([false, true]);
});

test('connections are no strangers: they wait for their turns instead', () => {
  const connection = sourceOf('203.0.113.1', 6_666);
  connection[0] = sourceHead(TRANSPORT_TCP, 6_666);
  fill(SLOTS - 4, connection);
  expect(rig.ring.room).toBe(4);
  // Nor do they use up what datagrams have.
  expect(enters(BOB, 2n)).toBe(true);
  expect(rig.counter('strangers.heldBack')).toBe(0);
});

test('an empty ring takes in everybody, and strangers are known by their first verified claim', () => {
  for (let round = 0; round < 3; round++) {
    for (let id = 1n; id <= 15n; id++) expect(enters(BOB, id)).toBe(true);
    rig.turn();
  }
  expect(rig.counter('strangers.heldBack')).toBe(0);
  fill(SLOTS);
  expect([enters(BOB, 3n), enters(BOB, 16n)]).toEqual([true, false]);
});

test('a pair is forgotten after a minute without a verified claim', () => {
  pay(ALICE, 1n);
  rig.now += (KNOWN_SECONDS - 1) * 1_000;
  fill(SLOTS);
  expect(enters(ALICE, 1n)).toBe(true);
  rig.turn();
  rig.now += (KNOWN_SECONDS + 1) * 1_000;
  fill(SLOTS);
  expect(enters(ALICE, 1n)).toBe(false);
});

test('a pair that fails oftener than it pays is a stranger, and comes back by paying', () => {
  pay(MALLORY, 1n);
  for (let failed = 0; failed < FAILURES_MAX; failed++) {
    rig.datagram(claim(1n, false), MALLORY);
    rig.turn();
  }
  fill(SLOTS, BOB);
  expect(enters(MALLORY, 1n)).toBe(false);
  rig.turn();
  rig.takeAcks();
  rig.now += 1_000;
  pay(MALLORY, 1n);
  fill(SLOTS, BOB);
  expect(enters(MALLORY, 1n)).toBe(true);
});

test('wrong signatures from elsewhere do a known pair no harm', () => {
  pay(ALICE, 1n);
  for (let failed = 0; failed < 2 * BUDGET_FAILURES; failed++) {
    rig.datagram(claim(1n, false), MALLORY);
    rig.turn();
  }
  fill(SLOTS);
  expect(enters(ALICE, 1n)).toBe(true);
});

/** Fails as often in this second as strangers may, on channels in turn. */
function useUp(source: (index: number) => Uint32Array, channel: (index: number) => bigint): void {
  for (let index = 0; index < BUDGET_FAILURES; index++) {
    rig.datagram(claim(channel(index), false), source(index));
    rig.turn();
  }
}

test('a network whose strangers failed too often waits for the next second, once the ring fills; others do not', () => {
  useUp(
    (index) => sourceOf(`203.0.113.${index % 250}`, index),
    (index) => 20n + BigInt(index % 30),
  );
  expect(enters(MALLORY, 1n)).toBe(true);
  fill(WATCHED, BOB);
  expect([enters(MALLORY, 1n), enters(sourceOf('203.0.114.1', 1), 1n)]).toEqual([false, true]);
  expect(rig.counter('strangers.overBudget')).toBe(1);
  rig.now += 1_000;
  expect(enters(MALLORY, 1n)).toBe(true);
});

test('IPv6 sources share a budget by /48', () => {
  useUp(
    (index) => sourceOf(`2001:db8:7:${index}::1`, index),
    (index) => 20n + BigInt(index % 30),
  );
  fill(WATCHED, BOB);
  expect([enters(sourceOf('2001:db8:7:ffff::1', 1), 1n), enters(sourceOf('2001:db8:8::1', 1), 1n)]).toEqual([
    false,
    true,
  ]);
});

test('a channel on which too many failed waits as well, whoever claims, but for known pairs', () => {
  pay(ALICE, 1n);
  useUp(
    (index) => sourceOf(`10.${index}.7.1`, 9),
    () => 1n,
  );
  fill(WATCHED, BOB);
  expect([enters(sourceOf('172.16.0.1', 1), 1n), enters(sourceOf('172.16.0.1', 1), 2n), enters(ALICE, 1n)]).toEqual([
    false,
    true,
    true,
  ]);
});

test('with the whole ring for strangers nobody is looked at', () => {
  rig = new Rig({ ringSlots: SLOTS, strangers: 1 });
  for (let id = 1n; id <= 50n; id++) rig.open({ channelId: id });
  fill(SLOTS + 1);
  expect([rig.ring.room, rig.counter('strangers.heldBack'), rig.counter('refused.overloaded')]).toEqual([0, 0, 1]);
});
