/**
 * A node's store over the database's twin: what a start finds after a kill, after a takeover and after a stop, when groups are
 * dropped, what folders are refused, and how the main thread learns that the database is silent or the node was taken over.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ChannelTable } from '../../../src/channel/table.ts';
import { openFolder } from '../../../src/folder/data-folder.ts';
import { openNodeFolder } from '../../../src/folder/node-folder.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { type ClaimDatabase, SHARDS } from '../../../src/store/claim-database.ts';
import { DatabaseLog } from '../../../src/store/database-log.ts';
import { DatabaseStore } from '../../../src/store/database-store.ts';
import { HeldFence } from '../../../src/store/held-fence.ts';
import { MemoryDatabase, type MemoryDatabaseOptions } from '../../../src/store/memory-database.ts';
import { MemoryTables } from '../../../src/store/memory-tables.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { claimOf } from '../../support/rig.ts';
import { openingOf } from '../../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-store-'));
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));
let folders = 0;
const fresh = () => join(ROOT, String(folders++));

const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const ADDRESS = { url: 'postgres://host/name', passwordFile: undefined, mayBeUnreplicated: false, waitMs: 0 };

interface Opened {
  store: DatabaseStore;
  channels: ChannelStore;
  /** Amounts that were raised without a claim. */
  raises: [from: bigint, to: bigint][];
  clock: ManualClock;
  failures: Error[];
  /** Stores a group of one claim in a lane, as its thread does. */
  commit(lane: number, channelId: bigint, amount: bigint): Promise<void>;
  logs: Awaited<ReturnType<DatabaseStore['recover']>>;
}

/** What a node does at its start. */
async function start(
  tables: MemoryTables,
  data: string,
  options: MemoryDatabaseOptions = {},
  nodeName?: string,
  isAlone = false,
): Promise<Opened> {
  const clock = new ManualClock();
  const failures: Error[] = [];
  const open = async (): Promise<ClaimDatabase> => new MemoryDatabase(tables, options);
  const store = await DatabaseStore.open({
    data,
    address: ADDRESS,
    nodeName,
    isAlone,
    system: { ...nodeSystem, clock },
    logger: quiet,
    onFailure: (error) => failures.push(error),
    open,
  });
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };
  const table = new ChannelTable(Arena.create(shape));
  const raises: [from: bigint, to: bigint][] = [];
  const channels = new ChannelStore(
    table,
    store.rows,
    () => Promise.resolve(),
    async (_, from, to) => void raises.push([from, to]),
  );
  const logs = await store.recover(channels, table, 2);
  await channels.checkpoint();
  await logs.begin();
  channels.freeRemoved();
  const lanes = logs.starts.map(
    ({ database }, lane) => new DatabaseLog(new MemoryDatabase(tables, options), new HeldFence(database!.fence), lane),
  );
  const commit = async (lane: number, channelId: bigint, amount: bigint) => {
    const group = new JournalGroup(1);
    const claim = claimOf({ channelId, amount });
    group.append(claim, 0);
    lanes[lane]!.write(group);
    const error = await new Promise((resolve) => lanes[lane]!.syncLater(resolve));
    if (error !== undefined) throw error;
    table.commit(table.find(Number(channelId >> 32n), Number(channelId)), new DataView(claim.buffer), 0);
  };
  return { store, channels, raises, clock, failures, commit, logs };
}
const committed = ({ channels }: Opened) => [1n, 2n].map((id) => channels.get(id)?.committed);
async function groupsOf(tables: MemoryTables, node: string): Promise<number> {
  return new MemoryDatabase(tables).readGroups(node, () => {});
}

describe('a start', () => {
  test('after a kill has every claim that was stored, writes it down, and drops the groups', async () => {
    const tables = new MemoryTables();
    const data = fresh();
    const first = await start(tables, data, {}, 'one');
    expect(first.store.name).toBe('one');
    await first.channels.open([openingOf(1n), openingOf(2n)]);
    await first.commit(0, 1n, 5n);
    await first.commit(1, 1n, 9n);
    await first.commit(1, 2n, 3n);
    // Killed: nothing is written any more, and the lock is gone with the process.
    await first.store.close();
    const second = await start(tables, data);
    expect([committed(second), second.store.count, await groupsOf(tables, 'one')]).toEqual([[9n, 3n], 2, 0]);
    await second.store.close();
    // The rows have the claims now.
    const third = await start(tables, data);
    expect([committed(third), third.store.fence.fence.epoch]).toEqual([[9n, 3n], 3]);
    await expect(first.commit(0, 1n, 10n)).rejects.toMatchObject({ code: 'STORE_FENCED' });
    await third.store.close();
  });

  test('after a removal finds neither the channel nor fault with its claims', async () => {
    const tables = new MemoryTables();
    const data = fresh();
    const first = await start(tables, data);
    await first.channels.open([openingOf(1n), openingOf(2n)]);
    await first.commit(0, 1n, 5n);
    await first.channels.remove([1n], true);
    await first.store.close();
    const second = await start(tables, data);
    expect([committed(second), second.store.count]).toEqual([[undefined, 0n], 1]);
    await second.store.close();
  });

  test('of a removed channel’s old holder pays nobody else with its claims: the handle stays its own while they are there', async () => {
    const tables = new MemoryTables();
    const data = fresh();
    const first = await start(tables, data, {}, 'one');
    await first.channels.open([openingOf(1n)]);
    await first.commit(0, 1n, 50n);
    await first.channels.remove([1n], true);
    const all = Array.from({ length: SHARDS }, (_, shard) => shard);
    const second = await start(tables, fresh(), {}, 'two');
    await first.store.fence.change((fence) => first.store.database.handOver(fence, all, 'two'));
    const other = { ...openingOf(1n), ledgerChannelId: openingOf(2n).ledgerChannelId };
    expect((await second.channels.open([other])).refused).toMatchObject([{ code: 'CHANNEL_EXISTS' }]);
    expect((await second.channels.open([{ ...openingOf(1n), capacity: 49n }])).refused).toMatchObject([
      { code: 'CAPACITY_BELOW_COMMITTED' },
    ]);
    // As itself it comes back with what it had.
    expect((await second.channels.open([openingOf(1n)])).opened).toBe(1);
    expect(second.channels.get(1n)).toMatchObject({ committed: 50n, state: 'open' });
    expect(second.raises).toEqual([]);
    await second.channels.remove([1n], true);
    // Once the old holder has dropped its groups, the next start gives the handle to anybody.
    await first.logs.end([0, 0]);
    await second.store.close();
    const third = await start(tables, fresh(), {}, 'two');
    expect((await third.channels.open([other])).opened).toBe(1);
    expect(third.channels.get(1n)).toMatchObject({ committed: 0n, ledgerChannelId: other.ledgerChannelId });
    await Promise.all([first.store.close(), third.store.close()]);
  });

  test('with shards of a dead node reads that node’s groups too, and folds them', async () => {
    const tables = new MemoryTables();
    const dead = await start(tables, fresh(), {}, 'dead');
    await dead.channels.open([openingOf(1n)]);
    await dead.commit(0, 1n, 7n);
    const database = new MemoryDatabase(tables);
    const by = await database.enter('one');
    const to = new Map(Array.from({ length: SHARDS }, (_, shard) => [shard, 'one'] as const));
    await database.takeOver(by, dead.store.fence.fence, to);
    const joining = await start(tables, fresh(), {}, 'two');
    expect([joining.store.shared!.held.length, joining.store.count]).toEqual([0, 1]);
    await joining.store.close();
    const survivor = await start(tables, fresh(), {}, 'one');
    expect(committed(survivor)).toEqual([7n, undefined]);
    expect((await database.state()).shards.some(({ source }) => source !== undefined)).toBe(false);
    // The dead one's groups are its own to drop: it has nothing left to serve.
    await dead.store.close();
    const back = await start(tables, fresh(), {}, 'dead');
    expect([committed(back), await groupsOf(tables, 'dead')]).toEqual([[undefined, undefined], 0]);
    await Promise.all([back.store.close(), survivor.store.close()]);
  });
});

test('a node of no cluster serves every shard, so it is refused where another node holds some, and is no member then', async () => {
  const tables = new MemoryTables();
  const one = await start(tables, fresh(), {}, 'one', true);
  const folder = fresh();
  const refused = start(tables, folder, {}, 'two', true);
  await expect(refused).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  await expect(refused).rejects.toThrow('expected no other node in the database, got one, which holds 1024 of');
  expect(tables.members().map(({ node }) => node)).toEqual(['one']);
  await one.store.close();
  await (await start(tables, folder, {}, 'two')).store.close();
  await (await start(tables, fresh(), {}, 'one', true)).store.close();
});

test('groups go once the rows have their claims: below the oldest that is not applied, and all of them at the end', async () => {
  const tables = new MemoryTables();
  const node = await start(tables, fresh(), {}, 'one');
  await node.channels.open([openingOf(1n)]);
  for (let amount = 1n; amount <= 260n; amount++) await node.commit(0, 1n, amount);
  expect([node.logs.hasGrown([1, 0]), node.logs.hasGrown([15, 0]), node.logs.hasGrown([0, 16])]).toEqual([
    false,
    false,
    true,
  ]);
  await node.logs.prepare([1, 0]);
  await node.channels.checkpoint();
  await node.logs.release([1, 0]);
  expect(await groupsOf(tables, 'one')).toBe(260 - 255);
  expect(node.logs.hasGrown([16, 0])).toBe(false);
  await node.logs.end([1, 0]);
  expect(await groupsOf(tables, 'one')).toBe(0);
  await node.store.close();
});

describe('the data folder', () => {
  test('keeps the name, is locked, and has nothing else', async () => {
    const data = fresh();
    const { name, lock } = await openNodeFolder(data, undefined, nodeSystem);
    expect(name).toMatch(/^node-[0-9a-f]{8}$/);
    expect(readFileSync(join(data, 'node-name'), 'utf8')).toBe(`${name}\n`);
    await expect(openNodeFolder(data, undefined, nodeSystem)).rejects.toMatchObject({ code: 'DATA_LOCKED' });
    lock.release();
    const again = await openNodeFolder(data, name, nodeSystem);
    expect(again.name).toBe(name);
    again.lock.release();
  });

  test('of another node, of no name or with channels of its own is refused, and stays unlocked', async () => {
    const data = fresh();
    const refused = async (folder: string, name?: string) =>
      openNodeFolder(folder, name, nodeSystem).then(
        () => 'opened',
        (error: Error) => error.message,
      );
    expect(await refused(data, 'No')).toContain('a-z, 0-9 and hyphen, got No');
    expect(existsSync(join(data, 'node-name'))).toBe(false);
    (await openNodeFolder(data, 'one', nodeSystem)).lock.release();
    expect(await refused(data, 'two')).toContain('the node name two, got one');
    await expect(openFolder(data, nodeSystem, quiet)).rejects.toThrow('give --store');
    writeFileSync(join(data, 'node-name'), 'Not a name\n');
    expect(await refused(data)).toContain('got Not a name');
    for (const name of ['registry', 'journal', 'side']) {
      const other = fresh();
      mkdirSync(join(other, name), { recursive: true });
      expect(await refused(other)).toContain(`no ${name}, whose channels would not be found`);
    }
    (await openNodeFolder(fresh(), 'one', nodeSystem)).lock.release();
  });

  test('is unlocked where the database refuses', async () => {
    const data = fresh();
    const tables = new MemoryTables();
    tables.isReplicated = false;
    await expect(start(tables, data)).rejects.toMatchObject({ code: 'STORE_UNREPLICATED' });
    tables.isReplicated = true;
    await (await start(tables, data)).store.close();
  });
});

describe('a node of a cluster', () => {
  /** Opens it; what it reads at its start is not there before `release` is called. */
  async function opening(isAlone: boolean) {
    const tables = new MemoryTables();
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const open = async (): Promise<ClaimDatabase> => {
      const database = new MemoryDatabase(tables);
      const read = database.readSides.bind(database);
      database.readSides = async (...args) => {
        await held;
        return read(...args);
      };
      return database;
    };
    const clock = new ManualClock();
    const system = { ...nodeSystem, clock };
    const given = { data: fresh(), address: ADDRESS, nodeName: 'one', isAlone, system, logger: quiet, open };
    const opened = DatabaseStore.open({ ...given, onFailure: () => {} });
    const beats = async (): Promise<number> => {
      for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
      return tables.members().find(({ node }) => node === 'one')?.beats ?? 0;
    };
    return { opened, clock, beats, release };
  }

  test('beats from when it has entered, also while it reads what it has, and no more once it is closed', async () => {
    const { opened, clock, beats, release } = await opening(false);
    expect(await beats()).toBe(1);
    clock.advance(250);
    expect(await beats()).toBe(2);
    release();
    const store = await opened;
    clock.advance(250);
    expect(await beats()).toBe(3);
    await store.close();
    clock.advance(1_000);
    expect([await beats(), store.heart!.figures.beatsFailed]).toEqual([3, 0]);
  });

  test('that is alone in the database beats never', async () => {
    const alone = await opening(true);
    expect(await alone.beats()).toBe(0);
    alone.release();
    const store = await alone.opened;
    expect([store.heart, store.shared]).toEqual([undefined, undefined]);
    await store.close();
  });
});

describe('the watch', () => {
  const settle = () => new Promise(setImmediate);

  test('says when the database is silent, and when it answers again', async () => {
    const tables = new MemoryTables();
    const node = await start(tables, fresh());
    const pulse = node.store.watchDatabase.pulse.bind(node.store.watchDatabase);
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    node.store.watchDatabase.pulse = () => answered.then(pulse);
    for (let second = 0; second < 2; second++) node.clock.advance(1_000);
    expect(node.store.isAnswering).toBe(true);
    node.clock.advance(1_000);
    expect(node.store.isAnswering).toBe(false);
    answer();
    await settle();
    await settle();
    expect([node.store.isAnswering, node.failures]).toEqual([true, []]);
    await node.store.close();
  });

  test('tells an idle node that it was taken over, once', async () => {
    const tables = new MemoryTables();
    const data = fresh();
    const node = await start(tables, data, {}, 'one');
    node.clock.advance(1_000);
    await settle();
    expect(node.failures).toEqual([]);
    await new MemoryDatabase(tables).enter('one');
    for (let second = 0; second < 3; second++) {
      node.clock.advance(1_000);
      await settle();
    }
    expect(node.failures.map((error) => (error as { code?: string }).code)).toEqual(['STORE_FENCED']);
    await node.store.close();
  });

  test('says nothing of connections that the node itself has given up', async () => {
    const node = await start(new MemoryTables(), fresh());
    node.clock.advance(1_000);
    node.store.abandon();
    await settle();
    expect(node.failures).toEqual([]);
    await expect(node.channels.open([openingOf(2n)])).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await node.store.close();
  });
});
