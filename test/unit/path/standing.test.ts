/**
 * Who goes first while a ring fills: known pairs before strangers, who have a part of it and budgets of failures. The part is as
 * `--strangers` says while signatures fail, and most of the ring before.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import { BUDGET_FAILURES, FAILURES_MAX, KNOWN_SECONDS } from '../../../src/path/standing.ts';
import { ATTACK_FAILURES, ATTACK_SECONDS } from '../../../src/path/stranger-room.ts';
import { VERDICT_VALID } from '../../../src/ring/slot.ts';
import { sourceHead } from '../../../src/transport/source.ts';
import { TRANSPORT_TCP } from '../../../src/transport/transport.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('192.0.2.1', 5_001);
const ALICE_ELSEWHERE = sourceOf('192.0.2.1', 5_002);
const BOB = sourceOf('198.51.100.1', 5_001);
const MALLORY = sourceOf('203.0.113.1', 6_666);
const FORGER = sourceOf('198.18.0.1', 6_666);
const SLOTS = 64;
const PART = SLOTS / 2;
/** From here on it matters who somebody is. */
const WATCHED = PART / 2;
/** What strangers have while no signature fails. */
const QUIET_PART = (SLOTS * 7) / 8;
const OPENED = 50n;

let rig: Rig;
let amount: bigint;
beforeEach(() => open(0.5));

function open(strangers: number): void {
  // A seed of the same draws: whether two pairs share a place does not change from run to run.
  rig = new Rig({ ringSlots: SLOTS, strangers, random: (count) => Buffer.alloc(count, 7) });
  for (let id = 1n; id <= OPENED; id++) rig.open({ channelId: id });
  amount = 0n;
}

const claim = (channelId: bigint, isValid = true) => claimOf({ channelId, amount: ++amount }, isValid);
/** A claim of the source that is verified at once. */
function pay(source: Uint32Array, channelId: bigint): void {
  rig.datagram(claim(channelId), source);
  rig.turn();
  expect(rig.takeAcks().map(({ status }) => status)).toEqual([STATUS.COMMITTED]);
}
/** So many signatures are found to be wrong in this second. */
function fail(count: number, source = FORGER): void {
  for (let index = 0; index < count; index++) rig.datagram(claim(OPENED, false), source);
  rig.turn();
  rig.takeAcks();
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

describe('while no signature fails', () => {
  test('strangers fill the ring but for an eighth, which is for who was verified lately', () => {
    pay(ALICE, 1n);
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - QUIET_PART);
    expect([enters(BOB, 2n), enters(ALICE, 1n)]).toEqual([false, true]);
  });

  test('they have half of that however much known pairs send', () => {
    pay(ALICE, 1n);
    for (let count = 0; count < QUIET_PART / 2; count++) expect(enters(ALICE, 1n)).toBe(true);
    for (let count = 0; count < QUIET_PART / 2; count++) expect(enters(BOB, 2n)).toBe(true);
    expect([enters(BOB, 2n), enters(ALICE, 1n)]).toEqual([false, true]);
  });

  test('a few that do are no attack, second after second', () => {
    for (let second = 0; second < 5; second++) {
      fail(ATTACK_FAILURES - 1);
      rig.now += 1_000;
    }
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - QUIET_PART);
  });

  test('an attack that begins finds so much room until it is judged, and then what is meant for it', () => {
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - QUIET_PART);
    rig.turn();
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - PART);
  });

  test('is again a minute after the last attack', () => {
    fail(ATTACK_FAILURES);
    rig.now += (ATTACK_SECONDS - 1) * 1_000;
    fail(ATTACK_FAILURES);
    rig.now += ATTACK_SECONDS * 1_000;
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - PART);
    rig.turn();
    // Those were an attack as well.
    rig.now += (ATTACK_SECONDS + 1) * 1_000;
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - QUIET_PART);
  });

  test('signatures on the slow path count as what they cost', () => {
    const [head] = [sourceOf('203.0.113.1', 6_666)];
    const row = rig.table.find(0, 1);
    const seconds = Math.floor(rig.now / 1_000);
    for (let count = 0; count < ATTACK_FAILURES / 4; count++)
      rig.standing!.slow(head, 0, row, rig.table.hot(row), VERDICT_VALID, seconds);
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - PART);
  });

  test.each([
    [1 / 8, 8],
    [7 / 8, 56],
    [15 / 16, 60],
  ])('a part of %f that the operator gave holds under an attack, and takes no room before it', (part, slots) => {
    open(part);
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - Math.max(slots, QUIET_PART));
    rig.turn();
    fill(SLOTS);
    expect(rig.ring.room).toBe(SLOTS - slots);
  });
});

describe('under an attack', () => {
  beforeEach(() => fail(ATTACK_FAILURES));

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
});

test('with the whole ring for strangers nobody is looked at', () => {
  open(1);
  fill(SLOTS + 1);
  expect([rig.ring.room, rig.counter('strangers.heldBack'), rig.counter('refused.overloaded')]).toEqual([0, 0, 1]);
});
