/**
 * A lane whose groups go to a database, in one thread: nothing is acknowledged before the answer, one group fills while the
 * other is on its way, and a fence that is lost ends it.
 */
import { describe, expect, test } from 'vitest';
import { STATUS } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { type Fence, SHARDS, type StoredGroup } from '../../../src/store/claim-database.ts';
import { DatabaseLog, SEGMENT_GROUPS } from '../../../src/store/database-log.ts';
import { HeldFence } from '../../../src/store/held-fence.ts';
import { MemoryDatabase, type MemoryDatabaseOptions } from '../../../src/store/memory-database.ts';
import { MemoryTables } from '../../../src/store/memory-tables.ts';
import { claimOf, Rig, sourceOf } from '../../support/rig.ts';

const ALICE = sourceOf('127.0.0.1', 5001);
const LANE = 3;

/** Lets everything happen that needs no time. */
const settle = () => new Promise(setImmediate);

/** Appends wait until the test lets the oldest go. */
class Held {
  readonly waiting: (() => void)[] = [];
  readonly options: MemoryDatabaseOptions = {
    underWay: (call) => (call === 'append' ? new Promise((resolve) => this.waiting.push(resolve)) : undefined),
  };
  async end(): Promise<void> {
    this.waiting.shift()!();
    await settle();
  }
}

async function start(options: MemoryDatabaseOptions = {}) {
  const tables = new MemoryTables();
  const database = new MemoryDatabase(tables, options);
  const held = HeldFence.of(await database.enter('one'));
  const log = new DatabaseLog(database, held, LANE);
  const rig = new Rig({ log });
  for (const channelId of [1n, 2n]) rig.open({ channelId });
  const send = (channelId: bigint, amount: bigint) => {
    rig.datagram(claimOf({ channelId, amount }), ALICE);
    rig.receive.step(rig.now);
    while (rig.verify.step() > 0);
  };
  const acks = () => {
    rig.ackTurn();
    return rig.takeAcks().map(({ status, amount }) => [status, amount]);
  };
  return { tables, held, log, rig, send, acks, other: new MemoryDatabase(tables) };
}
async function stored(database: MemoryDatabase): Promise<StoredGroup[]> {
  const groups: StoredGroup[] = [];
  await database.readGroups('one', (group) => groups.push(group));
  return groups;
}

describe('a group', () => {
  test('is applied and acknowledged once the database has answered; the next fills meanwhile', async () => {
    const held = new Held();
    const { log, rig, send, acks, other } = await start(held.options);
    send(1n, 5n);
    expect([rig.commitTurn(), log.isSyncing, rig.commit.isIdle]).toEqual([1, true, false]);
    await settle();
    send(1n, 6n);
    send(2n, 7n);
    rig.commitTurn();
    await settle();
    expect([acks(), rig.table.read(0).committed, held.waiting.length]).toEqual([[], 0n, 1]);
    await held.end();
    expect(rig.commit.hasWork()).toBe(true);
    rig.commitTurn();
    await settle();
    expect([acks(), rig.table.read(0).committed]).toEqual([[[STATUS.COMMITTED, 5n]], 5n]);
    await held.end();
    rig.commitTurn();
    expect(acks()).toEqual([
      [STATUS.COMMITTED, 6n],
      [STATUS.COMMITTED, 7n],
    ]);
    expect([rig.commit.isIdle, log.bytesWritten, rig.counter('syncs')]).toEqual([true, 3 * 96, 2]);
    const groups = await stored(other);
    expect(groups.map(({ epoch, lane, group, records }) => [epoch, lane, group, records.length])).toEqual([
      [1, LANE, 1, 96],
      [1, LANE, 2, 192],
    ]);
    expect(groups[1]!.records.subarray(0, 93)).toEqual(claimOf({ channelId: 1n, amount: 6n }));
  });

  test('goes the same way while a fence is asked for and while the node ends', async () => {
    const held = new Held();
    const { rig, send, acks } = await start(held.options);
    send(1n, 5n);
    rig.commit.isEnding = true;
    rig.settings.set('groupWaitMs', 60_000);
    rig.commitTurn();
    await settle();
    rig.commit.isHolding = true;
    send(1n, 6n);
    rig.commitTurn();
    expect(rig.commit.isIdle).toBe(false);
    await held.end();
    rig.commitTurn();
    expect([rig.commit.isIdle, acks()]).toEqual([true, [[STATUS.COMMITTED, 5n]]]);
    // A group that was open when the fence was asked for goes beside the thread too.
    rig.commit.isHolding = false;
    rig.commit.isEnding = false;
    rig.commitTurn();
    rig.commit.isHolding = true;
    rig.commitTurn();
    await settle();
    await held.end();
    rig.commitTurn();
    expect([rig.commit.isIdle, acks()]).toEqual([true, [[STATUS.COMMITTED, 6n]]]);
  });

  test('whose answer was lost is acknowledged once, and stored once', async () => {
    const cuts: ('before' | 'after')[] = ['after', 'before'];
    const { rig, send, acks, other } = await start({ cut: (call) => (call === 'append' ? cuts.shift() : undefined) });
    send(1n, 5n);
    rig.commitTurn();
    await settle();
    rig.commitTurn();
    expect(acks()).toEqual([[STATUS.COMMITTED, 5n]]);
    expect(await stored(other)).toHaveLength(1);
  });

  test('without claims is not written', async () => {
    const { log, other } = await start();
    log.write(new JournalGroup(1));
    expect(log.bytesWritten).toBe(0);
    expect(() => log.syncLater(() => {})).toThrow('there is a group');
    expect(await stored(other)).toEqual([]);
  });
});

test('after a takeover nothing is acknowledged any more: what was under way before it may be stored, the next is refused', async () => {
  const held = new Held();
  const { rig, send, acks, other } = await start(held.options);
  send(1n, 5n);
  rig.commitTurn();
  await settle();
  const by = await other.enter('two');
  const to = new Map(Array.from({ length: SHARDS }, (_, shard) => [shard, 'two'] as const));
  const takeover = other.takeOver(by, { node: 'one', epoch: 1 }, to);
  await held.end();
  expect(await takeover).toBe(true);
  rig.commitTurn();
  expect(acks()).toEqual([[STATUS.COMMITTED, 5n]]);
  expect(await stored(other)).toHaveLength(1);
  send(1n, 6n);
  rig.commitTurn();
  await settle();
  for (const look of [1, 2]) expect(() => rig.commitTurn(), `look ${look}`).toThrow(/epoch/);
  expect(() => rig.commitTurn()).toThrow(expect.objectContaining({ code: 'STORE_FENCED' }));
  expect([acks(), rig.table.read(0).committed]).toEqual([[], 5n]);
});

describe('while shards are handed over', () => {
  test('a write is made again under the fence that the handover leaves', async () => {
    const { tables, held, rig, send, acks, other } = await start();
    await other.enter('two');
    let give = (): void => {};
    const given = new Promise<void>((resolve) => {
      give = resolve;
    });
    const giver = new MemoryDatabase(tables, { underWay: () => given });
    send(1n, 5n);
    // It is sent under the old fence, waits for the row behind the handover, and is refused there.
    const change = held.change((fence) => giver.handOver(fence, [8, 9], 'two'));
    rig.commitTurn();
    await settle();
    expect(acks()).toEqual([]);
    give();
    await change;
    expect(held.fence.holding).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 5));
    rig.commitTurn();
    expect(acks()).toEqual([[STATUS.COMMITTED, 5n]]);
  });

  test('a write that was sent before is made again; one that another node fenced is not', async () => {
    const fences: Fence[] = [];
    const held = HeldFence.of({ node: 'one', epoch: 1, holding: 0 });
    const refusal = new ClaimwireError('STORE_FENCED', 'fenced');
    let write: Promise<void> | undefined;
    await held.change(async (fence) => {
      // As if it had been on its way when the change began.
      write = new HeldFence(held.start).write(async (now) => void fences.push(now));
      return { ...fence, holding: 4 };
    });
    await write;
    expect(fences).toEqual([{ node: 'one', epoch: 1, holding: 4 }]);
    let tries = 0;
    await held.write(async () => {
      if (tries++ > 0) return;
      void held.change(async (fence) => ({ ...fence, holding: 5 }));
      throw refusal;
    });
    expect(tries).toBe(2);
    await expect(held.write(() => Promise.reject(refusal))).rejects.toBe(refusal);
    await expect(held.change(() => Promise.reject(refusal))).rejects.toBe(refusal);
    expect(held.fence.holding).toBe(5);
    await held.write(async () => {});
  });
});

test('a segment is below every group that is not applied', async () => {
  const { log } = await start();
  const group = new JournalGroup(1);
  group.append(claimOf({ channelId: 1n, amount: 5n }), 0);
  expect(log.segment).toBe(0);
  for (let number = 1; number < SEGMENT_GROUPS; number++) {
    log.write(group);
    await new Promise((resolve) => log.syncLater(resolve));
  }
  // The next is the first of segment 1: all of segment 0 are done.
  expect(log.segment).toBe(1);
  for (let number = 0; number < SEGMENT_GROUPS - 1; number++) {
    log.write(group);
    await new Promise((resolve) => log.syncLater(resolve));
  }
  log.write(group);
  expect(log.segment).toBe(1);
  const synced = new Promise((resolve) => log.syncLater(resolve));
  expect(log.segment).toBe(1);
  await synced;
  expect(log.segment).toBe(2);
});

test('closing gives up what is under way, which is not acknowledged', async () => {
  const held = new Held();
  const { log, rig, send, acks, other } = await start(held.options);
  send(1n, 5n);
  rig.commitTurn();
  await settle();
  log.close();
  await settle();
  expect(log.isSyncing).toBe(false);
  expect(() => rig.commitTurn()).toThrow(expect.objectContaining({ code: 'STORE_FAILED' }));
  expect(acks()).toEqual([]);
  await held.end();
  expect(await stored(other)).toHaveLength(1);
});
