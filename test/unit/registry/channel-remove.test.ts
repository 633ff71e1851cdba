/**
 * Removing channels: the store over a real registry and table, with a fence that the test holds in its hand. Starts again
 * from what is on disk at every point where a process may be killed.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import type { ChannelOpening } from '../../../src/channel/changes.ts';
import { type Channel, decodeRow, encodeRow, ROW, ROW_BYTES, rowFault } from '../../../src/channel/row.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { loadChannels } from '../../../src/folder/data-folder.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { openingOf, signedClaim } from '../../support/wire.ts';

const work = mkdtempSync(join(tmpdir(), 'claimwire-remove-'));
let folders = 0;
afterAll(() => rmSync(work, { recursive: true, force: true }));

interface Rig {
  directory: string;
  registry: Registry;
  table: ChannelTable;
  store: ChannelStore;
  fences: number;
  /** Runs while a fence is waited for. */
  duringFence: () => void;
}

/** A store over what `directory` holds; `replay` is what a start does between loading and setting rows free. */
function open(directory: string, channelsMax: number, replay: (table: ChannelTable) => void = () => {}): Rig {
  mkdirSync(dirname(directory), { recursive: true });
  const registry = Registry.open(directory);
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax };
  const table = new ChannelTable(Arena.create(shape));
  const store = new ChannelStore(table, registry, async () => {
    rig.fences += 1;
    rig.duringFence();
  });
  const rig: Rig = { directory, registry, table, store, fences: 0, duringFence: () => {} };
  loadChannels(registry, store);
  replay(table);
  store.freeRemoved();
  return rig;
}

const fresh = (channelsMax = 16) => open(join(work, String(folders++), 'registry'), channelsMax);

async function again(rig: Rig, replay?: (table: ChannelTable) => void): Promise<Rig> {
  await rig.registry.close();
  return open(rig.directory, rig.table.capacity, replay);
}

const throwAway = (id: bigint): ChannelOpening => ({ ...openingOf(id), throwAway: true });

/** What a committer does with a durable claim. */
function commit(table: ChannelTable, id: bigint, amount: bigint): void {
  const claim = signedClaim(id, amount);
  const row = table.find(Number(id >> 32n), Number(id & 0xffff_ffffn));
  expect(row).toBeGreaterThanOrEqual(0);
  table.commit(row, new DataView(claim.buffer), 0);
}

const states = ({ store }: Rig) => store.list(0, 100).map(({ channelId, state }) => [channelId, state]);

describe('what may be removed', () => {
  test('an unused or a throw-away channel; one with an amount only by force', async () => {
    const { store, table } = fresh();
    await store.open([openingOf(1n), openingOf(2n), throwAway(3n), openingOf(4n)]);
    for (const id of [2n, 3n]) commit(table, id, 70n);
    expect(store.get(3n)).toMatchObject({ throwAway: true, committed: 70n });
    const result = await store.remove([1n, 2n, 3n, 9n], false);
    expect(result.removed).toBe(2);
    expect(result.refused.map(({ index, code }) => [index, code])).toEqual([
      [1, 'CHANNEL_UNREDEEMED'],
      [3, 'CHANNEL_UNKNOWN'],
    ]);
    expect(result.refused[0]!.message).toContain('got 70 drops');
    expect([1n, 2n, 3n, 4n].map((id) => store.get(id)?.state)).toEqual([undefined, 'open', undefined, 'open']);
    expect(await store.remove([2n, 2n], true)).toMatchObject({ removed: 1 });
    expect((await store.remove([2n], true)).refused[0]!.code).toBe('CHANNEL_UNKNOWN');
    await expect(store.close(1n)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    await expect(store.update(1n, { capacity: 5n })).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
    expect(store.count).toBe(1);
  });

  test('the first amount that a group commits during the removal refuses it, and the channel goes on', async () => {
    const rig = fresh();
    const { store, table } = rig;
    await store.open([openingOf(1n), openingOf(2n)]);
    await store.close(2n);
    rig.duringFence = () => [1n, 2n].forEach((id) => void commit(table, id, 5n));
    const { removed, refused } = await store.remove([1n, 2n], false);
    expect(removed).toBe(0);
    expect(refused.map(({ code }) => code)).toEqual(['CHANNEL_UNREDEEMED', 'CHANNEL_UNREDEEMED']);
    expect(store.get(1n)).toMatchObject({ state: 'open', committed: 5n });
    expect(store.get(2n)).toMatchObject({ state: 'closed', committed: 5n });
  });

  test('no claim is accepted from before the fence on, and a registry that fails leaves all as it was', async () => {
    const rig = fresh();
    const { store } = rig;
    await store.open([throwAway(1n), throwAway(2n)]);
    await store.close(2n);
    rig.duringFence = () => expect(store.get(1n)!.state).toBe('closed');
    const replace = rig.registry.replace.bind(rig.registry);
    rig.registry.replace = async () => {
      throw new Error('disk full');
    };
    await expect(store.remove([1n, 2n], false)).rejects.toThrow('disk full');
    expect(states(rig)).toEqual([
      [1n, 'open'],
      [2n, 'closed'],
    ]);
    rig.registry.replace = replace;
    expect((await store.remove([1n, 2n], false)).removed).toBe(2);
    expect(rig.fences).toBe(3);
  });

  test('a thousand go with one fence and one commit', async () => {
    const rig = fresh(1_000);
    const ids = Array.from({ length: 1_000 }, (_, index) => BigInt(index + 1));
    await rig.store.open(ids.map(throwAway));
    for (const id of ids) commit(rig.table, id, id);
    rig.fences = 0;
    let commits = 0;
    const replace = rig.registry.replace.bind(rig.registry);
    rig.registry.replace = (...given) => {
      commits += 1;
      return replace(...given);
    };
    expect(await rig.store.remove(ids, false)).toEqual({ removed: 1_000, refused: [] });
    expect({ fences: rig.fences, commits }).toEqual({ fences: 1, commits: 1 });
    expect(rig.store.count).toBe(0);
    // And back again as fast, with what they had.
    commits = 0;
    expect(await rig.store.open(ids.map(throwAway))).toMatchObject({ opened: 1_000, refused: [] });
    expect(commits).toBe(1);
    expect(rig.store.get(77n)).toMatchObject({ state: 'open', committed: 77n, throwAway: true });
    expect(rig.table.rows).toBe(1_000);
  });
});

describe('opening again, before the next start', () => {
  test('takes the same key and profile and the amount there was, and refuses others', async () => {
    const { store, table } = fresh();
    await store.open([throwAway(1n), openingOf(2n)]);
    commit(table, 1n, 300n);
    await store.remove([1n], false);
    const other = { ...openingOf(1n), publicKey: new Uint8Array(33).fill(2, 0, 1).fill(1, 32) };
    const otherLedger = { ...openingOf(1n), ledgerChannelId: openingOf(8n).ledgerChannelId };
    const result = await store.open([
      other,
      otherLedger,
      openingOf(1n, { profile: 'link' }),
      openingOf(1n, { capacity: 299n }),
    ]);
    expect(result.refused.map(({ code }) => code)).toEqual([
      'CHANNEL_EXISTS',
      'CHANNEL_EXISTS',
      'CHANNEL_EXISTS',
      'CAPACITY_BELOW_COMMITTED',
    ]);
    const terms = openingOf(1n, { capacity: 300n, expiresAt: 2_000_000_000 });
    expect(await store.open([terms, terms])).toEqual({ opened: 1, unchanged: 1, refused: [] });
    expect(store.get(1n)).toMatchObject({ state: 'open', committed: 300n, capacity: 300n, expiresAt: 2_000_000_000 });
    expect(store.get(1n)).not.toHaveProperty('throwAway');
    expect(store.count).toBe(2);
    // It is a real channel now.
    expect((await store.remove([1n], false)).refused[0]!.code).toBe('CHANNEL_UNREDEEMED');
  });

  test('a ledger channel that another handle took meanwhile is not opened twice', async () => {
    const { store } = fresh();
    await store.open([openingOf(1n)]);
    await store.remove([1n], false);
    const elsewhere = { ...openingOf(7n), ledgerChannelId: openingOf(1n).ledgerChannelId };
    expect((await store.open([elsewhere])).opened).toBe(1);
    const { opened, refused } = await store.open([openingOf(1n)]);
    expect(opened).toBe(0);
    expect(refused[0]!.message).toContain('open as channel 7');
    await store.remove([7n], false);
    expect((await store.open([openingOf(1n)])).opened).toBe(1);
  });

  test('a mark is part of what a channel is opened with', async () => {
    const { store } = fresh();
    await store.open([openingOf(1n), throwAway(2n)]);
    const { unchanged, refused } = await store.open([throwAway(1n), openingOf(2n), throwAway(2n)]);
    expect(unchanged).toBe(1);
    expect(refused.map(({ index, code }) => [index, code])).toEqual([
      [0, 'CHANNEL_EXISTS'],
      [1, 'CHANNEL_EXISTS'],
    ]);
  });
});

describe('a start afterwards', () => {
  test('killed before the commit, a channel is there; after it, gone, and a replay of its claims is no fault', async () => {
    const rig = fresh();
    await rig.store.open([throwAway(1n), throwAway(2n)]);
    rig.registry.replace = () => new Promise(() => {});
    void rig.store.remove([1n], false);
    const before = await again(rig, (table) => [1n, 2n].forEach((id) => void commit(table, id, 40n)));
    expect(before.store.get(1n)).toMatchObject({ state: 'open', committed: 40n, throwAway: true });
    await before.store.checkpoint();
    await before.store.remove([1n], false);
    // Nobody has made a checkpoint since: the journal still has both channels' claims.
    const after = await again(before, (table) => [1n, 2n].forEach((id) => void commit(table, id, 50n)));
    expect(after.store.get(1n)).toBeUndefined();
    expect(after.store.get(2n)).toMatchObject({ state: 'open', committed: 50n });
    expect(after.store.count).toBe(1);
    // Forgotten: it begins at nothing, in the row that came free.
    await after.store.checkpoint();
    expect((await after.store.open([openingOf(1n, { capacity: 5n })])).opened).toBe(1);
    expect(after.store.get(1n)).toEqual({
      ...openingOf(1n),
      capacity: 5n,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      state: 'open',
    });
    expect(after.registry.count).toBe(2);
    await after.registry.close();
  });

  test('rows come free, and a full table takes as many new channels with new keys, over many starts', async () => {
    let rig = fresh(8);
    for (let round = 0; round < 5; round++) {
      const ids = Array.from({ length: 8 }, (_, index) => BigInt(100 * round + index + 1));
      const rows = new Uint8Array(9 * ROW_BYTES);
      [...ids, 999n].forEach((id, index) => {
        const publicKey = new Uint8Array(33)
          .fill(round + 1)
          .fill(2, 0, 1)
          .fill(index, 1, 2);
        const channel = { ...throwAway(id), publicKey, ...NOTHING };
        encodeRow(channel, rows, index * ROW_BYTES);
      });
      const { opened, refused } = await rig.store.openRows(rows);
      expect(opened).toBe(8);
      expect(refused.map(({ code }) => code)).toEqual(['TABLE_FULL']);
      for (const id of ids) commit(rig.table, id, 9n);
      expect(rig.store.get(ids[3]!)!.publicKey[1]).toBe(3);
      expect(rig.table.keys).toBeLessThanOrEqual(8);
      await rig.store.checkpoint();
      expect((await rig.store.remove(ids, false)).removed).toBe(8);
      expect((await rig.store.open([openingOf(555n)])).refused[0]!.code).toBe('TABLE_FULL');
      rig = await again(rig, (table) => {
        for (const id of ids) commit(table, id, 10n);
      });
      expect(rig.store.count).toBe(0);
    }
    expect(rig.registry.count).toBe(8);
    await rig.registry.close();
  });

  test('a replay finds the channel that lives, not an older one removed under the same handle', async () => {
    let rig = fresh(4);
    await rig.store.open([throwAway(1n), throwAway(2n)]);
    await rig.store.remove([1n, 2n], false);
    rig = await again(rig);
    // Row 0 goes to channel 2, whose older row 1 still says removed.
    await rig.store.open([openingOf(2n)]);
    expect(states(rig)).toEqual([
      [2n, 'open'],
      [2n, 'removed'],
    ]);
    rig = await again(rig, (table) => commit(table, 2n, 60n));
    expect(rig.store.get(2n)).toMatchObject({ state: 'open', committed: 60n });
    await rig.registry.close();
  });
});

const NOTHING = {
  committed: 0n,
  sequence: 0,
  timestampBits: 0n,
  signature: new Uint8Array(64),
  state: 'open' as const,
};

describe('rows', () => {
  const rowOf = (change: Partial<Channel>): Uint8Array => {
    const row = new Uint8Array(ROW_BYTES);
    encodeRow({ ...openingOf(1n), ...NOTHING, ...change }, row);
    return row;
  };

  test('say what version 1 can say in version 1, as ever; the rest in version 2', () => {
    for (const change of [{}, { state: 'closed' as const }, { committed: 5n }]) {
      expect(rowOf(change)[ROW.version]).toBe(1);
      expect(rowFault(rowOf(change))).toBeUndefined();
    }
    for (const change of [
      { state: 'removed' as const },
      { throwAway: true },
      { state: 'closed' as const, throwAway: true },
    ]) {
      expect(rowOf(change)[ROW.version]).toBe(2);
      expect(rowFault(rowOf(change))).toBeUndefined();
      expect(decodeRow(rowOf(change))).toMatchObject(change);
    }
  });

  test('say of a channel with leaves, in version 3, what can be redeemed', () => {
    const own = { committed: 70n, sequence: 7, timestampBits: 8n };
    const place = { lane: 0, segment: 1, offset: 0, leaf: 0 };
    const rooted = { ...own, leaf: { amount: 90n, sequence: 9, timestampBits: 9n, place } };
    const row = rowOf({ committed: 90n, sequence: 9, timestampBits: 9n, rooted });
    expect([row[ROW.version], rowFault(row)]).toEqual([3, undefined]);
    expect(decodeRow(row)).toMatchObject({ ...own, rooted: own });
    expect(rowOf(decodeRow(row))).toEqual(row);
  });

  test.each([
    [1, 2],
    [1, 0x80],
    [2, 3],
    [2, 0x83],
    [3, 3],
    [4, 0],
  ])('version %i with state %i is no row', (version, state) => {
    const row = rowOf({});
    row[ROW.version] = version;
    row[ROW.state] = state;
    new DataView(row.buffer).setUint32(ROW.crc, crc32(row.subarray(0, ROW.crc)), true);
    expect(rowFault(row)).toMatch(/expected (a known state|row version)/);
  });
});
