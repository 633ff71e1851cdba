/**
 * The database's twin: what its contract does not say, because a test steers it here - writes that are under way, answers that
 * are lost, handles that are closed.
 */
import { describe, expect, test } from 'vitest';
import { packedRows } from '../../../src/channel/row.ts';
import { SHARDS, type StoredGroup } from '../../../src/store/claim-database.ts';
import { MemoryDatabase, type WriteCall } from '../../../src/store/memory-database.ts';
import { MemoryTables } from '../../../src/store/memory-tables.ts';
import { claimDatabaseContract } from '../../support/claim-database/contract.ts';
import type { DatabaseRig } from '../../support/claim-database/rig.ts';

const ALL = Array.from({ length: SHARDS }, (_, shard) => shard);
const RECORDS = new Uint8Array(96).fill(7);

/** Whether a promise is still pending after everything else that can happen has happened. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await new Promise(setImmediate);
  return (await Promise.race([promise.catch(() => {}), Promise.resolve(pending)])) === pending;
}
function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
async function groupsOf(database: MemoryDatabase, node: string): Promise<number[]> {
  const groups: StoredGroup[] = [];
  await database.readGroups(node, (group) => groups.push(group));
  return groups.map(({ group }) => group);
}
const holders = (to: string) => new Map(ALL.map((shard) => [shard, to]));

describe('a takeover', () => {
  test('waits for the write under way, refuses every later one, and hands the shards over with their source', async () => {
    const tables = new MemoryTables();
    const { opened, open } = gate();
    const old = new MemoryDatabase(tables, { underWay: (call) => (call === 'append' ? opened : undefined) });
    const survivor = new MemoryDatabase(tables);
    const fence = await old.enter('one');
    const by = await survivor.enter('two');
    const underWay = old.append(fence, 0, 1, RECORDS);
    await new Promise(setImmediate);
    const takeover = survivor.takeOver(by, fence, holders('two'));
    const late = old.append(fence, 1, 1, RECORDS);
    expect(await isPending(takeover)).toBe(true);
    open();
    await underWay;
    expect(await takeover).toBe(true);
    await expect(late).rejects.toMatchObject({ code: 'STORE_FENCED' });
    expect(await groupsOf(survivor, 'one')).toEqual([1]);
    const { shards, members } = await survivor.state();
    expect(shards.every(({ node, source }) => node === 'two' && source === 'one')).toBe(true);
    expect(members.map(({ node }) => node)).toEqual(['two']);
    expect(await survivor.takeOver(by, fence, holders('two'))).toBe(false);
  });

  test('of two nodes by each other ends: one wins, the other is fenced', async () => {
    const tables = new MemoryTables();
    const database = new MemoryDatabase(tables);
    const [one, two] = [await database.enter('one'), await database.enter('two')];
    const both = await Promise.allSettled([
      database.takeOver(one, two, new Map()),
      database.takeOver(two, one, holders('two')),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});

test('a write under way takes effect though its caller is gone: a killed node may have stored what it never acknowledged', async () => {
  const tables = new MemoryTables();
  const { opened, open } = gate();
  const killed = new MemoryDatabase(tables, { underWay: (call) => (call === 'append' ? opened : undefined) });
  const append = killed.append(await killed.enter('one'), 0, 1, RECORDS);
  await new Promise(setImmediate);
  await killed.close();
  await expect(append).rejects.toMatchObject({ code: 'STORE_FAILED' });
  await expect(killed.pulse()).rejects.toMatchObject({ code: 'STORE_FAILED' });
  const next = new MemoryDatabase(tables);
  const entering = next.enter('one');
  expect(await isPending(entering)).toBe(true);
  open();
  expect(await entering).toEqual({ node: 'one', epoch: 2, holding: 0 });
  expect(await groupsOf(next, 'one')).toEqual([1]);
});

describe('an answer that is lost', () => {
  const cutting = (tables: MemoryTables, cuts: ('before' | 'after')[], call: WriteCall) =>
    new MemoryDatabase(tables, { cut: (name) => (name === call ? cuts.shift() : undefined) });

  test('is asked for again until it is there; the write is there once', async () => {
    const tables = new MemoryTables();
    const database = cutting(tables, ['before', 'after', 'after'], 'append');
    const fence = await database.enter('one');
    await database.append(fence, 0, 1, RECORDS);
    expect(await groupsOf(database, 'one')).toEqual([1]);
  });

  test('and a takeover between: the group is stored, its writer is refused', async () => {
    const tables = new MemoryTables();
    const survivor = new MemoryDatabase(tables);
    let takeover: Promise<boolean> | undefined;
    const database = new MemoryDatabase(tables, {
      cut: (call) => {
        if (call !== 'append' || takeover !== undefined) return undefined;
        takeover = survivor.takeOver(by, fence, holders('two'));
        return 'after';
      },
    });
    const fence = await database.enter('one');
    const by = await survivor.enter('two');
    await expect(database.append(fence, 0, 1, RECORDS)).rejects.toMatchObject({ code: 'STORE_FENCED' });
    expect(await takeover).toBe(true);
    expect(await groupsOf(survivor, 'one')).toEqual([1]);
  });

  test('of a takeover is known again: who took over is told so', async () => {
    const tables = new MemoryTables();
    const database = cutting(tables, ['after'], 'takeOver');
    const [one, two] = [await database.enter('one'), await database.enter('two')];
    expect(await database.takeOver(two, one, holders('two'))).toBe(true);
  });

  test('of a handover ends with the fence that it gave', async () => {
    const tables = new MemoryTables();
    const database = cutting(tables, ['after'], 'handOver');
    const fence = await database.enter('one');
    await database.enter('two');
    const next = await database.handOver(fence, [3, 5], 'two');
    expect(next).toEqual({ ...fence, holding: 2 });
    await database.append(next, 0, 1, RECORDS);
    await expect(database.append(fence, 0, 2, RECORDS)).rejects.toMatchObject({ code: 'STORE_FENCED' });
    expect((await database.state()).shards.filter(({ node }) => node === 'two').map(({ shard }) => shard)).toEqual([
      3, 5,
    ]);
  });
});

test('without a synchronous standby every write is refused', async () => {
  const tables = new MemoryTables();
  const database = new MemoryDatabase(tables);
  const fence = await database.enter('one');
  tables.isReplicated = false;
  await expect(database.append(fence, 0, 1, RECORDS)).rejects.toMatchObject({ code: 'STORE_UNREPLICATED' });
});

test('records that change under way are a bug, and rows that are not sound', async () => {
  const records = RECORDS.slice();
  const database = new MemoryDatabase(new MemoryTables(), {
    underWay: (call) => void (call === 'append' && records.fill(8)),
  });
  const fence = await database.enter('one');
  await expect(database.append(fence, 0, 1, records)).rejects.toThrow('left alone');
  await expect(database.replaceChannels(fence, new Uint8Array(176))).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});

test('channels, groups and side entries are read back, without what was removed', async () => {
  const database = new MemoryDatabase(new MemoryTables());
  const fence = await database.enter('one');
  const channel = (channelId: bigint, state: 'open' | 'removed') => ({
    channelId,
    ledgerChannelId: new Uint8Array(32).fill(Number(channelId)),
    publicKey: new Uint8Array(33).fill(2),
    capacity: 9n,
    committed: 1n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    profile: 'xrpl' as const,
    state,
    expiresAt: 0,
  });
  await database.replaceChannels(fence, packedRows([channel(1n, 'open'), channel(2n, 'removed'), channel(3n, 'open')]));
  let bytes = 0;
  expect(await database.readChannels(ALL, (rows) => (bytes += rows.length))).toBe(2);
  expect([bytes, await database.countChannels(ALL)]).toEqual([352, 2]);
  await database.append(fence, 0, 1, RECORDS);
  await database.append(fence, 0, 2, RECORDS);
  await database.dropGroups(fence, [2]);
  expect(await groupsOf(database, 'one')).toEqual([2]);
  const put = (key: number, value: number | undefined) => ({
    table: 't',
    key: Uint8Array.of(key),
    value: value === undefined ? undefined : Uint8Array.of(value),
  });
  await database.commitSides(fence, [put(9, 1), put(3, 2), put(4, 3)]);
  await database.commitSides(fence, [put(4, undefined)]);
  const entries: number[][] = [];
  await database.readSides('one', (_, key, value) => entries.push([key[0]!, value[0]!]));
  expect(entries).toEqual([
    [3, 2],
    [9, 1],
  ]);
});

claimDatabaseContract('the contract', async (): Promise<DatabaseRig> => {
  const tables = new MemoryTables();
  /** While writes are held, what resolves once one is, and what they wait for. */
  let held: { begun: () => void; until: Promise<void> } | undefined;
  const underWay = () => {
    held?.begun();
    return held?.until;
  };
  return {
    open: () => new MemoryDatabase(tables, { underWay }),
    hold: () => {
      const begun = gate();
      const until = gate();
      held = { begun: begun.open, until: until.opened };
      return {
        waiting: () => begun.opened,
        release: () => {
          held = undefined;
          until.open();
        },
      };
    },
    close: async () => {},
  };
});
