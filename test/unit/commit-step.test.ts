/**
 * The committer's part, one situation at a time: duplicates in flight, overload, its second look at the rules, order,
 * the sequence rule of `link`, and a disk that fails.
 */
import { describe, expect, test } from 'vitest';
import { STATUS } from '../../protocol/layout.ts';
import { ClaimwireError } from '../../src/errors.ts';
import { SLOT_VERDICT, VERDICT_VALID } from '../../src/ring/slot.ts';
import { claimOf, Rig, sourceOf } from '../support/rig.ts';

const ALICE = sourceOf('127.0.0.1', 5001);
const BOB = sourceOf('127.0.0.2', 5002);
const brief = (rig: Rig) => rig.takeAcks().map(({ to, status, amount }) => [to.slice(-4), status, amount]);

describe('a claim that is in flight already', () => {
  test('waits for its twin, then is ALREADY', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, timestamp: 1 }), ALICE);
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, timestamp: 2 }), BOB);
    expect(rig.counter('deferred')).toBe(1);
    expect(rig.receive.isHolding).toBe(true);
    expect(rig.receive.step(rig.now)).toBe(1);
    expect(rig.receive.hasWork()).toBe(false);
    expect(brief(rig)).toEqual([]);
    rig.turn();
    expect(brief(rig)).toEqual([
      ['5001', STATUS.COMMITTED, 5n],
      ['5002', STATUS.ALREADY, 5n],
    ]);
    expect(rig.counter('verified')).toBe(1);
    expect(rig.receive.isHolding).toBe(false);
  });

  test('is judged itself when its twin was refused', () => {
    let judged = 0;
    // The first look says no: what a `link` claim sees whose twin carried another timestamp.
    const rig = new Rig({ judge: () => judged++ > 0 });
    rig.open({ channelId: 1n, profile: 'link' });
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, timestamp: 1 }), BOB);
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, timestamp: 2 }), ALICE);
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, timestamp: 3 }), BOB);
    rig.turn();
    expect(brief(rig)).toEqual([
      ['5002', STATUS.BAD_SIGNATURE, 5n],
      ['5001', STATUS.COMMITTED, 5n],
      ['5002', STATUS.ALREADY, 5n],
    ]);
    expect(rig.table.read(0).timestampBits).toBe(new DataView(Float64Array.of(2).buffer).getBigUint64(0, true));
  });

  test('is held back in bounded number', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    for (let count = 0; count < 1_500; count++) rig.datagram(claimOf({ channelId: 1n, amount: 5n }), BOB);
    expect(rig.counter('deferred')).toBe(1_024);
    expect(rig.counter('dropped.deferredFull')).toBe(475);
    rig.turn();
    expect(rig.takeAcks()).toHaveLength(1_025);
    expect(rig.settled()).toBe(1_500);
  });

  test('passes through the whole queue again and again when every twin is refused', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    for (let count = 0; count < 1_200; count++) rig.datagram(claimOf({ channelId: 1n, amount: 5n }, false), BOB);
    rig.turn();
    expect(rig.counter('refused.badSignature')).toBe(1_025);
    expect(rig.settled()).toBe(1_200);
    expect(rig.receive.isHolding).toBe(false);
  });
});

test('a full ring answers OVERLOADED without a look, and takes claims again once it has drained', () => {
  const rig = new Rig({ ringSlots: 8 });
  rig.open({ channelId: 1n });
  for (let amount = 1n; amount <= 12n; amount++) rig.datagram(claimOf({ channelId: 1n, amount }), ALICE);
  rig.datagram(claimOf({ channelId: 77n, amount: 0n }), ALICE);
  expect(rig.counter('refused.overloaded')).toBe(5);
  rig.turn();
  const acks = brief(rig);
  expect(acks.filter(([, status]) => status === STATUS.OVERLOADED)).toEqual(
    new Array(5).fill(['5001', STATUS.OVERLOADED, 0n]),
  );
  expect(acks.filter(([, status]) => status === STATUS.COMMITTED)).toEqual([['5001', STATUS.COMMITTED, 8n]]);
  rig.datagram(claimOf({ channelId: 1n, amount: 12n }), ALICE);
  rig.turn();
  expect(brief(rig)).toEqual([['5001', STATUS.COMMITTED, 12n]]);
});

describe('what changed since the door decides', () => {
  const inFlight = (options: Parameters<Rig['open']>[0], amount = 500n) => {
    const rig = new Rig();
    const row = rig.open({ capacity: 1_000n, ...options });
    rig.datagram(claimOf({ channelId: 1n, amount }), ALICE);
    rig.receive.step(rig.now);
    rig.verify.step();
    return { rig, row };
  };

  test('closed', () => {
    const { rig, row } = inFlight({ channelId: 1n });
    rig.table.change(row, { open: false });
    rig.turn();
    expect(brief(rig)).toEqual([['5001', STATUS.CHANNEL_CLOSED, 500n]]);
    expect(rig.table.read(row).committed).toBe(0n);
    expect(rig.journaled()).toEqual([]);
  });

  test('expired', () => {
    const { rig, row } = inFlight({ channelId: 1n, expiresAt: 1_700_000_010 });
    rig.now += 9_999;
    rig.turn();
    expect(brief(rig)).toEqual([['5001', STATUS.COMMITTED, 500n]]);
    rig.datagram(claimOf({ channelId: 1n, amount: 600n }), ALICE);
    rig.receive.step(rig.now);
    rig.now += 1;
    rig.turn();
    expect(brief(rig)).toEqual([['5001', STATUS.CHANNEL_CLOSED, 600n]]);
    expect(rig.table.read(row).committed).toBe(500n);
  });

  test('capacity lowered', () => {
    const { rig, row } = inFlight({ channelId: 1n });
    rig.table.change(row, { capacity: 499n });
    rig.turn();
    expect(brief(rig)).toEqual([['5001', STATUS.OVER_CAPACITY, 499n]]);
  });

  test('a higher amount committed', () => {
    const { rig, row } = inFlight({ channelId: 1n });
    const other = claimOf({ channelId: 1n, amount: 500n });
    rig.table.commit(row, other, new DataView(other.buffer), 0);
    rig.turn();
    expect(brief(rig)).toEqual([['5001', STATUS.ALREADY, 500n]]);
  });
});

test('nothing is settled out of order: a pending slot holds back everything behind it', () => {
  const rig = new Rig();
  rig.open({ channelId: 1n, profile: 'link' });
  for (let amount = 1n; amount <= 6n; amount++)
    rig.datagram(claimOf({ channelId: 1n, amount, sequence: Number(amount) }), ALICE);
  rig.receive.step(rig.now);
  const judge = (sequence: number) =>
    Atomics.store(rig.arena.ints, (rig.ring.slot(sequence) + SLOT_VERDICT) >>> 2, VERDICT_VALID);
  for (const sequence of [1, 2, 5]) judge(sequence);
  expect(rig.commit.hasWork()).toBe(false);
  expect(rig.commitTurn()).toBe(0);
  judge(0);
  expect(rig.commit.hasWork()).toBe(true);
  expect(rig.commitTurn()).toBe(3);
  rig.ackTurn();
  expect(brief(rig)).toEqual([['5001', STATUS.COMMITTED, 3n]]);
  judge(4);
  expect(rig.commitTurn()).toBe(0);
  judge(3);
  expect(rig.commitTurn()).toBe(3);
  expect(rig.table.read(0)).toMatchObject({ committed: 6n, sequence: 6 });
});

describe('link sequences', () => {
  test('must rise within a group and across groups; gaps are counted', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n, profile: 'link' });
    const send = (amount: bigint, sequence: number) =>
      rig.datagram(claimOf({ channelId: 1n, amount, sequence }), sourceOf('127.0.0.1', Number(amount)));
    send(10n, 0xffff_0000); // The first may have any.
    send(20n, 0xffff_0001);
    send(30n, 0xffff_0001);
    send(25n, 0xffff_0005);
    rig.turn();
    const acks = rig.takeAcks().map(({ status, amount }) => [status, amount]);
    expect(acks).toEqual([
      [STATUS.BAD_SEQUENCE, 30n],
      [STATUS.COMMITTED, 25n],
      [STATUS.COMMITTED, 25n],
      [STATUS.COMMITTED, 25n],
    ]);
    expect(rig.counter('linkGaps')).toBe(3);
    send(40n, 0xffff_0005);
    send(50n, 0xffff_ffff);
    rig.turn();
    expect(rig.takeAcks().map(({ status }) => status)).toEqual([STATUS.BAD_SEQUENCE, STATUS.COMMITTED]);
    expect(rig.counter('linkGaps')).toBe(3 + 0xffff_ffff - 0xffff_0005 - 1);
    expect(rig.table.read(0)).toMatchObject({ committed: 50n, sequence: 0xffff_ffff });
  });

  test('decide nothing for xrpl: a replay with the largest sequence locks nobody out', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    for (const [amount, sequence] of [
      [1n, 0xffff_ffff],
      [2n, 0],
      [3n, 0],
    ] as const) {
      rig.datagram(claimOf({ channelId: 1n, amount, sequence }), ALICE);
      rig.turn();
    }
    expect(rig.table.read(0).committed).toBe(3n);
    expect(rig.counter('linkGaps')).toBe(0);
  });
});

test.each(['write', 'sync'] as const)(
  'when the journal’s %s fails nothing is acknowledged and nothing moves',
  (broken) => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    rig.open({ channelId: 2n });
    rig.datagram(claimOf({ channelId: 1n, amount: 5n }), ALICE);
    rig.turn();
    rig.takeAcks();
    const before = rig.table.read(0);
    rig.files.before = (operation) => {
      if (operation === broken) throw new Error('no space');
    };
    rig.datagram(claimOf({ channelId: 1n, amount: 6n }), ALICE);
    rig.datagram(claimOf({ channelId: 2n, amount: 6n }), ALICE);
    expect(() => rig.turn()).toThrow(ClaimwireError);
    expect(rig.table.read(0)).toEqual(before);
    expect(rig.table.read(1).committed).toBe(0n);
    rig.files.before = () => {};
    // The thread ends at the first error; even if it went on, nothing would be acknowledged.
    try {
      rig.turn();
    } catch {}
    rig.ackTurn();
    expect(rig.takeAcks()).toEqual([]);
    expect(rig.counter('committed')).toBe(1);
    // To the door the amount is still open, never ALREADY.
    rig.datagram(claimOf({ channelId: 1n, amount: 6n, sequence: 9 }), BOB);
    expect(rig.counter('already')).toBe(0);
  },
);

test('nothing is visible between the write and the end of the sync', () => {
  const rig = new Rig();
  const row = rig.open({ channelId: 1n });
  let syncs = 0;
  rig.files.before = (operation) => {
    if (operation !== 'sync') return;
    syncs++;
    expect(rig.table.read(row).committed).toBe(0n);
    expect(rig.ackRing.written).toBe(0);
    // A copy that arrives just now must not be told ALREADY.
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, sequence: 2 }), BOB);
    expect(rig.takeAcks()).toEqual([]);
  };
  rig.datagram(claimOf({ channelId: 1n, amount: 5n }), ALICE);
  rig.receive.step(rig.now);
  rig.verify.step();
  rig.commitTurn();
  expect(syncs).toBe(1);
  rig.files.before = () => {};
  rig.turn();
  expect(brief(rig)).toEqual([
    ['5001', STATUS.COMMITTED, 5n],
    ['5002', STATUS.ALREADY, 5n],
  ]);
});
