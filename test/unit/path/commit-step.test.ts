/**
 * The committer's part, one situation at a time: duplicates in flight, overload, its second look at the rules, order,
 * the sequence rule of `link`, and a disk that fails.
 */
import { describe, expect, test } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { SLOT_VERDICT, VERDICT_VALID } from '../../../src/ring/slot.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('127.0.0.1', 5001);
const BOB = sourceOf('127.0.0.2', 5002);
const brief = (rig: Rig) => rig.takeAcks().map(({ to, status, amount }) => [to.slice(-4), status, amount]);

describe('a claim that is in flight already', () => {
  test('waits for its original, then is ALREADY', () => {
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

  test('is judged itself when its original was refused', () => {
    let judged = 0;
    // The first look says no: what a `link` claim sees whose original carried another timestamp.
    const rig = new Rig({ judge: () => judged++ > 0 });
    rig.open({ channelId: 1n, profile: 'link' });
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, timestamp: 1 }), BOB);
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, timestamp: 2 }), ALICE);
    rig.datagram(claimOf({ channelId: 1n, amount: 5n, timestamp: 3 }), BOB);
    rig.turn();
    expect(brief(rig)).toEqual([
      ['5002', STATUS.BAD_SIGNATURE, 5n],
      ['5001', STATUS.COMMITTED, 5n],
      ['5002', STATUS.COMMITTED, 5n],
    ]);
    expect(rig.table.read(0).timestampBits).toBe(new DataView(Float64Array.of(2).buffer).getBigUint64(0, true));
  });

  test('is held back in bounded number; beyond it the answer is OVERLOADED, to the source of the copy', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    rig.datagram(claimOf({ channelId: 1n, amount: 5n }), ALICE);
    for (let count = 0; count < 1_499; count++) rig.datagram(claimOf({ channelId: 1n, amount: 5n }), BOB);
    expect(rig.counter('deferred')).toBe(1_024);
    expect(rig.counter('deferredFull')).toBe(475);
    expect(rig.counter('refused.overloaded')).toBe(475);
    rig.turn();
    const acks = rig.takeAcks();
    expect(acks).toHaveLength(1_500);
    const overloaded = acks.filter(({ status }) => status === STATUS.OVERLOADED);
    expect(new Set(overloaded.map(({ to, amount }) => `${to} ${amount}`))).toEqual(new Set(['127.0.0.2:5002 0']));
    expect(rig.settled()).toBe(1_500);
  });

  test('waits only once: copies whose original was refused are considered together, not one after the other', () => {
    const rig = new Rig();
    rig.open({ channelId: 1n });
    for (let count = 0; count < 1_200; count++) rig.datagram(claimOf({ channelId: 1n, amount: 5n }, false), BOB);
    rig.turn();
    expect(rig.counter('deferred')).toBe(1_024);
    expect(rig.settled()).toBe(1_200);
    expect(rig.counter('refused.badSignature') + rig.counter('refused.overloaded')).toBe(1_200);
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

describe('what changed since receipt decides', () => {
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
    rig.table.commit(row, new DataView(other.buffer), 0);
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
    // To the receive step the amount is still open, never ALREADY.
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

describe('the disk decides where syncs go', () => {
  /** A group of so many claims goes to the disk; returns whether beside the thread. */
  function isBeside(rig: Rig, claims: number, waiting = 0): boolean {
    const first = rig.table.read(0).committed;
    const send = (count: number, from: bigint) => {
      for (let claim = 1n; claim <= BigInt(count); claim++)
        rig.datagram(claimOf({ channelId: 1n, amount: from + claim }), ALICE);
      rig.receive.step(rig.now);
    };
    send(claims, first);
    while (rig.verify.step() > 0);
    send(waiting, first + BigInt(claims));
    rig.commitTurn();
    const { length } = rig.files.syncing;
    if (length > 0) rig.files.endSync();
    rig.commitTurn();
    while (rig.verify.step() > 0);
    for (let turn = 0; turn < 2; turn++) {
      rig.commitTurn();
      if (rig.files.syncing.length > 0) rig.files.endSync();
    }
    rig.commitTurn();
    expect(rig.table.read(0).committed).toBe(first + BigInt(claims + waiting));
    return length > 0;
  }
  function slowRig(syncMs: number): Rig {
    const rig = new Rig({ isOverlapping: 'when slow', ringSlots: 1_024 });
    rig.open({ channelId: 1n });
    rig.syncMs = syncMs;
    return rig;
  }
  const FEW = 512;
  const MANY = 513;

  test('inline while it is fast, beside the thread when slow, measured every 65 groups', () => {
    const rig = slowRig(0.4);
    const groups = (count: number) => Array.from({ length: count }, () => isBeside(rig, MANY));
    expect(groups(3)).toEqual([false, false, false]);
    rig.syncMs = 0.6;
    expect(groups(1)).toEqual([false]);
    expect(groups(64)).toEqual(new Array(64).fill(true));
    expect(groups(2)).toEqual([false, true]);
    rig.syncMs = 0.1;
    expect(groups(65)).toEqual([...new Array(63).fill(true), false, false]);
    expect(rig.counter('syncs')).toBe(135);
  });

  test('groups of few claims are synced inline on a slow disk too, once four came in a row and no claim waits behind them', () => {
    const rig = slowRig(5);
    const few = (count: number) => Array.from({ length: count }, () => isBeside(rig, 1));
    expect(few(4)).toEqual([false, ...new Array(3).fill(true)]);
    expect([isBeside(rig, FEW), isBeside(rig, MANY)]).toEqual([false, true]);
    expect(few(6)).toEqual([...new Array(4).fill(true), false, false]);
    expect(isBeside(rig, 1, 1)).toBe(true);
    // The claim that waited was a group of few as well.
    expect(few(5)).toEqual([...new Array(3).fill(true), false, false]);
  });

  test('after a sync of 10 ms the thread goes on receiving, however few claims there are', () => {
    const rig = slowRig(10);
    expect(isBeside(rig, 1)).toBe(false);
    rig.syncMs = 5;
    const groups = Array.from({ length: 66 }, () => isBeside(rig, 1));
    expect(groups).toEqual([...new Array(64).fill(true), false, false]);
  });
});

describe('a sync that goes on beside the thread', () => {
  /** A rig whose first group is at the disk: 5 drops of channel 1, from ALICE. */
  function atTheDisk(channel: Parameters<Rig['open']>[0] = { channelId: 1n }): Rig {
    const rig = new Rig({ isOverlapping: true });
    rig.open(channel);
    arrive(rig, claimOf({ channelId: 1n, amount: 5n, sequence: 5 }), ALICE);
    return rig;
  }
  /** One claim through the receive step, the verifier and a commit step. */
  function arrive(rig: Rig, claim: Uint8Array, from: Uint32Array): void {
    rig.datagram(claim, from);
    rig.receive.step(rig.now);
    while (rig.verify.step() > 0);
    rig.commitTurn();
    rig.ackTurn();
  }
  function endSync(rig: Rig): void {
    rig.files.endSync();
    rig.commitTurn();
    rig.ackTurn();
  }

  test('shows nothing of its group before it has ended', () => {
    const rig = atTheDisk();
    expect(rig.table.read(0).committed).toBe(0n);
    expect([rig.takeAcks(), rig.ring.depth, rig.commit.isIdle, rig.commit.hasWork()]).toEqual([[], 1, false, false]);
    endSync(rig);
    expect(brief(rig)).toEqual([['5001', STATUS.COMMITTED, 5n]]);
    expect([rig.table.read(0).committed, rig.ring.depth, rig.commit.isIdle]).toEqual([5n, 0, true]);
    expect([rig.counter('syncs'), rig.counter('groupCommits')]).toEqual([1, 1]);
  });

  test('lets the next group fill, and only one at a time go to the disk', () => {
    const rig = atTheDisk();
    arrive(rig, claimOf({ channelId: 1n, amount: 6n }), ALICE);
    arrive(rig, claimOf({ channelId: 1n, amount: 7n }), BOB);
    expect([rig.files.syncing.length, rig.journaled().length, rig.ring.depth]).toEqual([1, 1, 3]);
    endSync(rig);
    expect(brief(rig)).toEqual([['5001', STATUS.COMMITTED, 5n]]);
    expect([rig.files.syncing.length, rig.table.read(0).committed, rig.ring.depth]).toEqual([1, 5n, 2]);
    endSync(rig);
    expect(brief(rig).sort()).toEqual([
      ['5001', STATUS.COMMITTED, 7n],
      ['5002', STATUS.COMMITTED, 7n],
    ]);
    expect([rig.table.read(0).committed, rig.counter('committed'), rig.journaled().length]).toEqual([7n, 3, 2]);
  });

  test('acknowledges with its group a claim that this one covers', () => {
    const rig = atTheDisk();
    arrive(rig, claimOf({ channelId: 1n, amount: 4n }), BOB);
    expect(rig.takeAcks()).toEqual([]);
    endSync(rig);
    expect(brief(rig).sort()).toEqual([
      ['5001', STATUS.COMMITTED, 5n],
      ['5002', STATUS.COMMITTED, 5n],
    ]);
    expect([rig.counter('committed'), rig.journaled().length, rig.ring.depth]).toEqual([2, 1, 0]);
  });

  test('holds a link channel to the sequence of the claim at the disk', () => {
    const rig = atTheDisk({ channelId: 1n, profile: 'link' });
    arrive(rig, claimOf({ channelId: 1n, amount: 6n, sequence: 5 }), BOB);
    expect(brief(rig)).toEqual([['5002', STATUS.BAD_SEQUENCE, 6n]]);
    arrive(rig, claimOf({ channelId: 1n, amount: 7n, sequence: 8 }), BOB);
    expect(rig.counter('linkGaps')).toBe(2);
    endSync(rig);
    endSync(rig);
    expect([rig.table.read(0).committed, rig.table.read(0).sequence]).toEqual([7n, 8]);
  });

  test('while holding takes nothing in, and ends what is under way', () => {
    const rig = atTheDisk();
    arrive(rig, claimOf({ channelId: 1n, amount: 6n }), ALICE);
    rig.commit.isHolding = true;
    arrive(rig, claimOf({ channelId: 1n, amount: 7n }), ALICE);
    endSync(rig);
    // The second group was open: it is written and synced inline, so that the fence need not wait for another thread.
    expect([rig.commit.isIdle, rig.files.syncing.length, rig.table.read(0).committed]).toEqual([true, 0, 6n]);
    rig.commit.isHolding = false;
    arrive(rig, claimOf({ channelId: 1n, amount: 8n }), ALICE);
    endSync(rig);
    expect(rig.table.read(0).committed).toBe(8n);
  });

  test('that fails acknowledges nothing, and neither does anything after it', () => {
    const rig = atTheDisk();
    arrive(rig, claimOf({ channelId: 1n, amount: 6n }), BOB);
    rig.files.before = () => {
      throw new Error('the disk is gone');
    };
    expect(() => endSync(rig)).toThrow(ClaimwireError);
    rig.files.before = () => {};
    expect(() => rig.commitTurn()).toThrow(ClaimwireError);
    rig.ackTurn();
    expect([rig.takeAcks(), rig.table.read(0).committed, rig.counter('committed')]).toEqual([[], 0n, 0]);
  });

  test('keeps every promise under random traffic, whenever it ends', () => {
    let state = 7;
    const below = (bound: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % bound;
    };
    const rig = new Rig({ isOverlapping: true });
    for (let id = 1n; id <= 5n; id++) rig.open({ channelId: id });
    const best = new Map<bigint, bigint>();
    let received = 0;
    const check = () => {
      for (const { status, channelId, amount } of rig.takeAcks())
        if (status === STATUS.COMMITTED)
          expect(rig.table.read(Number(channelId) - 1).committed).toBeGreaterThanOrEqual(amount);
    };
    for (let round = 0; round < 3_000; round++) {
      for (let count = below(4); count > 0; count--) {
        const channelId = BigInt(1 + below(5));
        const amount = (best.get(channelId) ?? 0n) + BigInt(below(6)) - 2n;
        if (amount < 1n) continue;
        const isValid = below(5) > 0;
        rig.datagram(claimOf({ channelId, amount, sequence: received }, isValid), below(2) ? ALICE : BOB);
        received++;
        if (isValid && amount > (best.get(channelId) ?? 0n)) best.set(channelId, amount);
      }
      rig.receive.step(rig.now);
      while (rig.verify.step() > 0);
      rig.commitTurn();
      if (rig.files.syncing.length > 0 && below(3) === 0) endSync(rig);
      check();
    }
    while (rig.receive.isHolding || !rig.commit.isIdle) {
      rig.receive.step(rig.now);
      while (rig.verify.step() > 0);
      rig.commitTurn();
      if (rig.files.syncing.length > 0) endSync(rig);
    }
    check();
    for (const [channelId, amount] of best) expect(rig.table.read(Number(channelId) - 1).committed).toBe(amount);
    expect([rig.settled(), rig.ring.depth]).toEqual([received, 0]);
    expect(rig.counter('syncs')).toBe(rig.counter('groupCommits'));
  });
});

test('with durability os a group is acknowledged once written, never synced', () => {
  const rig = new Rig({ durability: 'os' });
  rig.open({ channelId: 1n });
  rig.files.before = (operation) => {
    if (operation === 'sync') throw new Error('nobody may sync');
  };
  for (const amount of [5n, 6n]) {
    rig.datagram(claimOf({ channelId: 1n, amount }), ALICE);
    rig.turn();
  }
  expect(brief(rig).map(([, status, amount]) => [status, amount])).toEqual([
    [STATUS.COMMITTED, 5n],
    [STATUS.COMMITTED, 6n],
  ]);
  rig.files.before = () => {};
  expect([rig.counter('syncs'), rig.counter('groupCommits'), rig.journaled().length]).toEqual([0, 2, 2]);
});
