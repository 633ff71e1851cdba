/** What every ClaimDatabase does, as cases for each of them: PostgreSQL on a server, and the twin in memory. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SHARDS, shardOfChannel } from '../../protocol/shard.ts';
import { type Channel, decodeRow, packedRows, ROW_BYTES } from '../../src/channel/row.ts';
import { RECORD_BYTES } from '../../src/journal/record.ts';
import type { SideChange } from '../../src/registry/side-tables.ts';
import type { ClaimDatabase, Fence, StoredGroup } from '../../src/store/claim-database.ts';

/** Writes that are held where they have their locks and have not taken effect. */
export interface Hold {
  /** Resolves once a write is held. */
  waiting(): Promise<void>;
  release(): Promise<void> | void;
}

/** One database, empty, and what a case does with it. */
export interface DatabaseRig {
  /** Another handle on the same database. */
  open(): ClaimDatabase | Promise<ClaimDatabase>;
  /** Holds the writes that begin from now on. */
  hold(): Promise<Hold> | Hold;
  close(): Promise<void>;
}

const ALL = Array.from({ length: SHARDS }, (_, shard) => shard);
const FENCED = { code: 'STORE_FENCED' };
const INVALID = { code: 'INPUT_INVALID' };
const FAILED = { code: 'STORE_FAILED' };

const records = (count: number, fill = 1): Uint8Array => new Uint8Array(count * RECORD_BYTES).fill(fill);
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** An open channel of which nothing is committed. */
export function channel(channelId: bigint, change: Partial<Channel> = {}): Channel {
  return {
    channelId,
    ledgerChannelId: new Uint8Array(32).fill(Number(channelId & 0xffn)),
    publicKey: new Uint8Array(33).fill(2),
    capacity: 1_000n,
    committed: 0n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    profile: 'xrpl',
    state: 'open',
    expiresAt: 0,
    ...change,
  };
}

async function channelsOf(database: ClaimDatabase, shards: readonly number[] = ALL): Promise<Channel[]> {
  const found: Channel[] = [];
  const total = await database.readChannels(shards, (rows) => {
    for (let start = 0; start < rows.length; start += ROW_BYTES)
      found.push(decodeRow(rows.subarray(start, start + ROW_BYTES)));
  });
  expect(total).toBe(found.length);
  return found.sort((left, right) => (left.channelId < right.channelId ? -1 : 1));
}

async function groupsOf(database: ClaimDatabase, node: string): Promise<StoredGroup[]> {
  const found: StoredGroup[] = [];
  const total = await database.readGroups(node, (group) => {
    found.push({ ...group, records: Uint8Array.from(group.records) });
  });
  expect(total).toBe(found.length);
  return found;
}

const places = async (database: ClaimDatabase, node: string) =>
  (await groupsOf(database, node)).map(({ epoch, lane, group }) => `${epoch}/${lane}/${group}`);

async function sidesOf(database: ClaimDatabase, node: string): Promise<string[]> {
  const found: string[] = [];
  const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
  const total = await database.readSides(node, (table, key, value) => found.push(`${table} ${hex(key)} ${hex(value)}`));
  expect(total).toBe(found.length);
  return found;
}

async function holders(database: ClaimDatabase): Promise<Record<string, number[]>> {
  const held: Record<string, number[]> = {};
  for (const { shard, node = '' } of (await database.state()).shards) {
    held[node] ??= [];
    held[node].push(shard);
  }
  return held;
}

/** Gives every shard to one node. */
const allTo = (node: string): Map<number, string> => new Map(ALL.map((shard) => [shard, node]));

export function claimDatabaseContract(name: string, start: () => Promise<DatabaseRig>): void {
  describe(name, () => {
    let rig: DatabaseRig;
    const opened: ClaimDatabase[] = [];
    const open = async (): Promise<ClaimDatabase> => {
      const database = await rig.open();
      opened.push(database);
      return database;
    };
    beforeEach(async () => {
      rig = await start();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((database) => database.close()));
      await rig.close();
    });
    nodes(open);
    groups(open);
    channels(open);
    sides(open);
    map(open);
    takeOvers(open, () => rig.hold());
    handOvers(open);
    hostile(open);
  });
}

type Open = () => Promise<ClaimDatabase>;

function nodes(open: Open): void {
  test('the first node gets every shard, a later one none, and each start has an epoch of its own', async () => {
    const [one, two] = [await open(), await open()];
    expect((await holders(one))['']).toHaveLength(SHARDS);
    const first = await one.enter('a');
    expect(first).toEqual({ node: 'a', epoch: 1, holding: 0 });
    expect(await two.enter('b')).toEqual({ node: 'b', epoch: 1, holding: 0 });
    expect(await holders(two)).toEqual({ a: ALL });
    expect(await two.enter('a')).toEqual({ node: 'a', epoch: 2, holding: 0 });
    const { shards, members } = await one.state();
    expect(shards.map(({ shard }) => shard)).toEqual(ALL);
    expect(shards.every(({ epoch, source }) => epoch === 1 && source === undefined)).toBe(true);
    expect(members.map(({ node, epoch }) => `${node} ${epoch}`)).toEqual(['a 2', 'b 1']);
  });

  test('nodes that enter at once get each shard once', async () => {
    const handles = await Promise.all([open(), open(), open()]);
    const fences = await Promise.all(handles.map((handle, index) => handle.enter(`n${index}`)));
    expect(fences.map(({ epoch }) => epoch)).toEqual([1, 1, 1]);
    expect(Object.values(await holders(handles[0]!)).map(({ length }) => length)).toEqual([SHARDS]);
  });

  test('who wrote under a name before writes no more once it is entered again', async () => {
    const [one, two] = [await open(), await open()];
    const old = await one.enter('a');
    await two.enter('a');
    await expect(one.append(old, 0, 1, records(1))).rejects.toMatchObject(FENCED);
    await expect(one.replaceChannels(old, packedRows([channel(1n)]))).rejects.toMatchObject(FENCED);
    await expect(one.replaceChannels(old, new Uint8Array())).rejects.toMatchObject(FENCED);
    await expect(one.commitSides(old, [{ table: 't', key: bytes(1), value: bytes(1) }])).rejects.toMatchObject(FENCED);
    await expect(one.dropGroups(old, [])).rejects.toMatchObject(FENCED);
    await expect(one.beat(old, [], false)).rejects.toMatchObject(FENCED);
    await expect(one.folded(old, [1])).rejects.toMatchObject(FENCED);
    await expect(one.leave(old)).rejects.toMatchObject(FENCED);
    await expect(one.handOver(old, [1], 'b')).rejects.toMatchObject(FENCED);
    await expect(one.takeOver(old, { node: 'b', epoch: 1 }, new Map())).rejects.toMatchObject(FENCED);
    expect(await groupsOf(one, 'a')).toEqual([]);
    expect(await channelsOf(one)).toEqual([]);
    expect(await sidesOf(one, 'a')).toEqual([]);
  });

  test('a closed handle refuses, and what it had under way too', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const underWay = database.append(fence, 0, 1, records(1));
    await Promise.all([expect(underWay).rejects.toMatchObject(FAILED), database.close()]);
    await expect(database.append(fence, 0, 2, records(1))).rejects.toMatchObject(FAILED);
    await expect(database.state()).rejects.toMatchObject(FAILED);
    await database.close();
  });
}

function groups(open: Open): void {
  test('groups are read as they were written, by epoch, lane and number', async () => {
    const database = await open();
    const before = await database.enter('a');
    await database.append(before, 1, 1, records(1, 9));
    const fence = await database.enter('a');
    for (const [lane, group] of [
      [2, 1],
      [0, 2],
      [0, 1],
      [0, 10],
    ] as const)
      await database.append(fence, lane, group, records(2, lane * 16 + group));
    const found = await groupsOf(database, 'a');
    expect(found.map(({ epoch, lane, group }) => `${epoch}/${lane}/${group}`)).toEqual([
      '1/1/1',
      '2/0/1',
      '2/0/2',
      '2/0/10',
      '2/2/1',
    ]);
    expect(found[0]).toEqual({ node: 'a', epoch: 1, lane: 1, group: 1, records: records(1, 9) });
    expect(found.at(-1)!.records).toEqual(records(2, 33));
    expect(await groupsOf(database, 'b')).toEqual([]);
  });

  test('a group may have 4,096 records of any bytes, and many groups are read', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const big = Uint8Array.from({ length: 4_096 * RECORD_BYTES }, (_, index) => (index * 7 + (index >> 8)) & 0xff);
    await database.append(fence, 0, 1, big);
    for (let group = 2; group <= 40; group++) await database.append(fence, 0, group, records(1, group));
    const found = await groupsOf(database, 'a');
    expect(found.map(({ group }) => group)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    expect(Buffer.compare(found[0]!.records, big)).toBe(0);
    expect(found.at(-1)!.records).toEqual(records(1, 40));
  });

  test('a node removes its groups of earlier epochs, and those of each lane below a bound', async () => {
    const database = await open();
    const before = await database.enter('a');
    await database.append(before, 3, 7, records(1));
    const other = await database.enter('b');
    await database.append(other, 0, 1, records(1));
    const fence = await database.enter('a');
    for (const lane of [0, 1]) for (const group of [1, 2, 3]) await database.append(fence, lane, group, records(1));
    await database.dropGroups(fence, [3]);
    expect(await places(database, 'a')).toEqual(['2/0/3', '2/1/1', '2/1/2', '2/1/3']);
    await database.dropGroups(fence, [0, 2, 5]);
    expect(await places(database, 'a')).toEqual(['2/0/3', '2/1/2', '2/1/3']);
    expect(await places(database, 'b')).toEqual(['1/0/1']);
  });
}

function channels(open: Open): void {
  test('a channel is read with every bit that was written', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const most = 2n ** 64n - 1n;
    const full = channel(most, {
      ledgerChannelId: new Uint8Array(32).map((_, index) => 255 - index),
      publicKey: new Uint8Array(33).map((_, index) => (index * 3) & 0xff),
      capacity: most,
      committed: most - 1n,
      sequence: 0xffff_ffff,
      timestampBits: 0x7ff8_0000_0000_0001n,
      signature: new Uint8Array(64).map((_, index) => 200 + index),
      profile: 'link',
      state: 'closed',
      expiresAt: 0xffff_ffff,
      throwAway: true,
    });
    const high = channel(2n ** 63n, { capacity: 2n ** 63n, committed: 2n ** 63n - 1n });
    await database.replaceChannels(fence, packedRows([full, channel(0n), high]));
    expect(await channelsOf(database)).toEqual([channel(0n), high, full]);
    expect(await channelsOf(database, [shardOfChannel(most)])).toEqual([full]);
    expect(await channelsOf(database, [])).toEqual([]);
    expect(await database.countChannels([shardOfChannel(0n), shardOfChannel(most)])).toBe(2);
    expect(await database.countChannels([])).toBe(0);
  });

  test('a row replaces the one before it, and a removed channel is not read', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const rows = packedRows([channel(1n), channel(2n), channel(3n)]);
    const written = database.replaceChannels(fence, rows);
    rows.fill(0); // The database has copied them.
    await written;
    const paid = channel(1n, { committed: 5n, sequence: 2, signature: new Uint8Array(64).fill(7) });
    await database.replaceChannels(fence, packedRows([paid, channel(2n, { state: 'removed' })]));
    expect(await channelsOf(database)).toEqual([paid, channel(3n)]);
    expect(await database.countChannels(ALL)).toBe(2);
    await database.replaceChannels(fence, packedRows([channel(2n, { capacity: 9n })]));
    expect((await channelsOf(database)).map(({ capacity }) => capacity)).toEqual([1_000n, 9n, 1_000n]);
  });

  test('of a channel that comes twice in a call the last row counts', async () => {
    const database = await open();
    const fence = await database.enter('a');
    await database.replaceChannels(fence, packedRows([channel(1n), channel(2n), channel(1n, { committed: 3n })]));
    expect((await channelsOf(database)).map(({ committed }) => committed)).toEqual([3n, 0n]);
  });

  test('more channels than a block has are read once each', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const list = Array.from({ length: 4_500 }, (_, index) => channel(BigInt(index)));
    await database.replaceChannels(fence, packedRows(list));
    expect((await channelsOf(database)).map(({ channelId }) => channelId)).toEqual(
      list.map(({ channelId }) => channelId),
    );
    expect(await database.countChannels(ALL)).toBe(list.length);
    const half = ALL.slice(0, SHARDS / 2);
    const inHalf = list.filter(({ channelId }) => shardOfChannel(channelId) < SHARDS / 2).length;
    expect(await channelsOf(database, half)).toHaveLength(inHalf);
  });
}

function sides(open: Open): void {
  const put = (table: string, key: Uint8Array, value?: Uint8Array): SideChange => ({ table, key, value });

  test('side entries are a node’s own, and read by table and by the bytes of their keys', async () => {
    const [one, two] = [await open(), await open()];
    const [a, b] = [await one.enter('a'), await two.enter('b')];
    await one.commitSides(a, [
      put('spent', bytes(0xff), bytes(1)),
      put('spent', bytes(0x7f, 1), bytes()),
      put('spent', bytes(0x7f), bytes(2, 3)),
      put('charge-log', bytes(5), new Uint8Array(65_536).fill(4)),
      put('charges', bytes(1), bytes(9)),
    ]);
    await two.commitSides(b, [put('spent', bytes(1), bytes(8))]);
    const large = Buffer.alloc(65_536, 4).toString('hex');
    const expected = [`charge-log 05 ${large}`, 'charges 01 09', 'spent 7f 0203', 'spent 7f01 ', 'spent ff 01'];
    expect(await sidesOf(two, 'a')).toEqual(expected);
    expect(await sidesOf(one, 'b')).toEqual(['spent 01 08']);
  });

  test('a commit replaces and removes, and of two changes of an entry the later one counts', async () => {
    const database = await open();
    const fence = await database.enter('a');
    await database.commitSides(fence, [put('t', bytes(1), bytes(1)), put('t', bytes(2), bytes(2))]);
    await database.commitSides(fence, [
      put('t', bytes(1)),
      put('t', bytes(2), bytes(3)),
      put('t', bytes(4), bytes(4)),
      put('t', bytes(4)),
      put('t', bytes(5)),
      put('t', bytes(5), bytes(5)),
      put('t', bytes(9)),
    ]);
    expect(await sidesOf(database, 'a')).toEqual(['t 02 03', 't 05 05']);
    await database.commitSides(fence, []);
    const many = Array.from({ length: 600 }, (_, index) => put('u', bytes(index >> 8, index & 0xff), bytes(1)));
    await database.commitSides(fence, many);
    expect(await sidesOf(database, 'a')).toHaveLength(602);
  });
}

function map(open: Open): void {
  test('a beat is counted, tells where the node is, and changes the version only by what it says', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const { version, members } = await database.pulse();
    expect(members).toEqual([{ node: 'a', epoch: 1, beats: 0, places: [], leaving: false }]);
    await database.beat(fence, ['udp://10.0.0.1:9000', 'tls://[::1]:9001'], false);
    const told = await database.pulse();
    expect(told.version).toBeGreaterThan(version);
    expect(told.members[0]).toMatchObject({ beats: 1, places: ['udp://10.0.0.1:9000', 'tls://[::1]:9001'] });
    await database.beat(fence, ['udp://10.0.0.1:9000', 'tls://[::1]:9001'], false);
    const again = await database.pulse();
    expect(again.version).toBe(told.version);
    expect(again.members[0]!.beats).toBe(2);
    await database.beat(fence, ['udp://10.0.0.1:9000', 'tls://[::1]:9001'], true);
    const left = await database.pulse();
    expect(left.version).toBeGreaterThan(again.version);
    expect(left.members[0]).toMatchObject({ beats: 3, leaving: true });
    expect(await database.state()).toMatchObject({ version: left.version, members: left.members });
  });

  test('a node leaves once it holds nothing, and a beat brings it back', async () => {
    const database = await open();
    const [a, b] = [await database.enter('a'), await database.enter('b')];
    await expect(database.leave(a)).rejects.toMatchObject(INVALID);
    const { version } = await database.pulse();
    await database.leave(b);
    const gone = await database.pulse();
    expect(gone.members.map(({ node }) => node)).toEqual(['a']);
    expect(gone.version).toBeGreaterThan(version);
    await expect(database.handOver(a, [1], 'b')).rejects.toMatchObject(INVALID);
    await database.beat(b, [], false);
    expect((await database.pulse()).members.map(({ node }) => node)).toEqual(['a', 'b']);
  });
}

function takeOvers(open: Open, hold: () => Promise<Hold> | Hold): void {
  test('a node taken over writes no more, is no member, and its shards name it as their source', async () => {
    const [one, two] = [await open(), await open()];
    const [a, b, c] = [await one.enter('a'), await two.enter('b'), await two.enter('c')];
    await one.append(a, 0, 1, records(1));
    const { version } = await two.pulse();
    const to = new Map(ALL.map((shard) => [shard, shard % 2 === 0 ? 'b' : 'c']));
    expect(await two.takeOver(b, a, to)).toBe(true);
    await expect(one.append(a, 0, 2, records(1))).rejects.toMatchObject(FENCED);
    await expect(one.beat(a, [], false)).rejects.toMatchObject(FENCED);
    const state = await two.state();
    expect(state.version).toBeGreaterThan(version);
    expect(state.members.map(({ node }) => node)).toEqual(['b', 'c']);
    expect(state.shards[4]).toEqual({ shard: 4, node: 'b', epoch: 2, source: 'a' });
    expect(state.shards[5]).toEqual({ shard: 5, node: 'c', epoch: 2, source: 'a' });
    expect(await places(two, 'a')).toEqual(['1/0/1']);
    // Whoever got shards writes as before.
    await two.append(c, 0, 1, records(1));
    expect(await two.enter('a')).toEqual({ node: 'a', epoch: 3, holding: a.holding });
  });

  test('of two that take a node over one is told that it did, and a node that came back is not taken over', async () => {
    const [one, two] = [await open(), await open()];
    const [a, b, c] = [await one.enter('a'), await one.enter('b'), await two.enter('c')];
    const taken = await Promise.all([one.takeOver(b, a, allTo('b')), two.takeOver(c, a, allTo('c'))]);
    expect(taken.toSorted()).toEqual([false, true]);
    expect(await holders(one)).toEqual({ [taken[0] ? 'b' : 'c']: ALL });
    const back = await one.enter('a');
    const { version } = await one.pulse();
    expect(await one.takeOver(b, { node: 'a', epoch: a.epoch }, new Map())).toBe(false);
    expect(await one.takeOver(b, { node: 'nobody', epoch: 1 }, new Map())).toBe(false);
    expect((await one.pulse()).version).toBe(version);
    await one.append(back, 0, 1, records(1));
  });

  test('nothing is taken over where a shard has no taker, or a taker is no other member', async () => {
    const database = await open();
    const [a, b, c] = [await database.enter('a'), await database.enter('b'), await database.enter('c')];
    await database.leave(c);
    const without = allTo('b');
    without.delete(7);
    for (const to of [without, allTo('c'), allTo('a'), allTo('nobody')])
      expect(await database.takeOver(b, a, to)).toBe(false);
    await database.append(a, 0, 1, records(1));
    expect(await holders(database)).toEqual({ a: ALL });
    expect((await database.pulse()).members.map(({ node }) => node)).toEqual(['a', 'b']);
  });

  test('groups that a source has stay until every shard of it is folded', async () => {
    const database = await open();
    const [a, b] = [await database.enter('a'), await database.enter('b')];
    await database.append(a, 0, 1, records(1));
    expect(await database.takeOver(b, a, allTo('b'))).toBe(true);
    const back = await database.enter('a');
    await database.append(back, 0, 1, records(1));
    await database.append(back, 0, 2, records(1));
    await database.dropGroups(back, [2]);
    expect(await places(database, 'a')).toEqual(['1/0/1', '3/0/2']);
    const { version } = await database.pulse();
    await database.folded(b, ALL.slice(1));
    const folding = await database.state();
    expect(folding.version).toBeGreaterThan(version);
    expect(folding.shards.filter(({ source }) => source !== undefined).map(({ shard }) => shard)).toEqual([0]);
    await database.dropGroups(back, []);
    expect(await places(database, 'a')).toEqual(['1/0/1', '3/0/2']);
    await database.folded(back, [0]); // It does not hold it.
    await database.dropGroups(back, []);
    expect(await places(database, 'a')).toEqual(['1/0/1', '3/0/2']);
    await database.folded(b, [0]);
    await database.dropGroups(back, []);
    expect(await places(database, 'a')).toEqual(['3/0/2']);
  });

  test('groups of a node that was taken over and does not come back go once all is folded, dropped by any other', async () => {
    const database = await open();
    const [a, b] = [await database.enter('a'), await database.enter('b')];
    await database.append(a, 0, 1, records(1));
    await database.append(b, 0, 1, records(1));
    await database.dropGroups(b, []);
    expect(await places(database, 'a')).toEqual(['1/0/1']);
    expect(await database.takeOver(b, a, allTo('b'))).toBe(true);
    await database.dropGroups(b, []);
    await database.folded(b, ALL.slice(1));
    await database.dropGroups(b, []);
    expect(await places(database, 'a')).toEqual(['1/0/1']);
    await database.folded(b, [0]);
    // Once it is a member again its groups are its own to drop: it may not have replayed what it stored since.
    const back = await database.enter('a');
    await database.dropGroups(b, []);
    expect(await places(database, 'a')).toEqual(['1/0/1']);
    expect(await database.takeOver(b, back, new Map())).toBe(true);
    await database.dropGroups(b, []);
    expect([await places(database, 'a'), await places(database, 'b')]).toEqual([[], ['1/0/1']]);
  });

  test('a removed channel is told of while groups of another node or epoch are there', async () => {
    const database = await open();
    const [a, b] = [await database.enter('a'), await database.enter('b')];
    const [gone, high] = [channel(3n, { state: 'removed', committed: 7n }), 2n ** 64n - 1n];
    await database.replaceChannels(a, packedRows([gone, channel(4n), channel(high, { state: 'removed' })]));
    const told = async (fence: Fence) => {
      const rows = await database.readRemoved(fence, [3n, 4n, 5n, high]);
      return Array.from({ length: rows.length / ROW_BYTES }, (_, row) =>
        decodeRow(rows.subarray(row * ROW_BYTES, (row + 1) * ROW_BYTES)),
      ).map(({ channelId, committed }) => [channelId, committed]);
    };
    expect(await told(a)).toEqual([]);
    await database.append(a, 0, 1, records(1));
    expect(await told(a)).toEqual([]);
    const both = [
      [high, 0n],
      [3n, 7n],
    ];
    expect((await told(b)).sort()).toEqual(both);
    const again = await database.enter('a');
    expect((await told(again)).sort()).toEqual(both);
    await database.dropGroups(again, []);
    expect([await told(again), await told(b)]).toEqual([[], []]);
  });

  test('a shard that was not folded keeps its source when its holder is taken over too', async () => {
    const database = await open();
    const [a, b, c] = [await database.enter('a'), await database.enter('b'), await database.enter('c')];
    expect(await database.takeOver(b, a, allTo('b'))).toBe(true);
    await database.folded(b, [3]);
    expect(await database.takeOver(c, b, allTo('c'))).toBe(true);
    const { shards } = await database.state();
    expect(shards[3]).toEqual({ shard: 3, node: 'c', epoch: 3, source: 'b' });
    expect(shards[4]).toEqual({ shard: 4, node: 'c', epoch: 3, source: 'a' });
  });

  test('a takeover waits for an append under way, whose group is stored', async () => {
    const [one, two] = [await open(), await open()];
    const [a, b] = [await one.enter('a'), await two.enter('b')];
    const held = await hold();
    const appended = one.append(a, 0, 1, records(1));
    await held.waiting();
    const taken = two.takeOver(b, a, allTo('b'));
    await held.release();
    await appended;
    expect(await taken).toBe(true);
    expect(await places(two, 'a')).toEqual(['1/0/1']);
    await expect(one.append(a, 0, 2, records(1))).rejects.toMatchObject(FENCED);
    expect(await places(two, 'a')).toEqual(['1/0/1']);
  });

  test('an append waits for a takeover under way, and is refused', async () => {
    const [one, two] = [await open(), await open()];
    const [a, b] = [await one.enter('a'), await two.enter('b')];
    const held = await hold();
    const taken = two.takeOver(b, a, allTo('b'));
    await held.waiting();
    const writes = [one.append(a, 0, 1, records(1))];
    const refused = Promise.all(writes.map((write) => expect(write).rejects.toMatchObject(FENCED)));
    await new Promise((resolve) => setTimeout(resolve, 30)); // So that it is likely to be waiting; if not, it is refused as well.
    await held.release();
    expect(await taken).toBe(true);
    await refused;
    expect(await places(two, 'a')).toEqual([]);
  });
}

function handOvers(open: Open): void {
  test('shards that are handed over are the other’s, and only the giver’s fence changes', async () => {
    const [one, two] = [await open(), await open()];
    const [a, b] = [await one.enter('a'), await two.enter('b')];
    const { version } = await one.pulse();
    const given = await one.handOver(a, [3, 9], 'b');
    expect(given.epoch).toBe(a.epoch);
    expect(given.holding).toBeGreaterThan(a.holding);
    const state = await two.state();
    expect(state.version).toBeGreaterThan(version);
    expect(state.shards[3]).toEqual({ shard: 3, node: 'b', epoch: 2, source: undefined });
    expect((await holders(two)).b).toEqual([3, 9]);
    await expect(one.append(a, 0, 1, records(1))).rejects.toMatchObject(FENCED);
    await expect(one.replaceChannels(a, packedRows([channel(1n)]))).rejects.toMatchObject(FENCED);
    await expect(one.handOver(a, [4, 5], 'b')).rejects.toMatchObject(FENCED);
    await one.beat(a, [], false); // A beat may be under way meanwhile.
    await one.append(given, 0, 1, records(1));
    await two.append(b, 0, 1, records(1));
    expect(await places(two, 'a')).toEqual(['1/0/1']);
    expect((await holders(two)).b).toEqual([3, 9]);
    // What it gave away counts in its next life too: an epoch alone tells nothing of it.
    expect(await two.enter('a')).toEqual({ ...given, epoch: 2 });
  });

  test('what is not the giver’s, or has a source, is not handed over, nor to who is no other member', async () => {
    const database = await open();
    const [a, b] = [await database.enter('a'), await database.enter('b')];
    const next = await database.handOver(a, [1], 'b');
    const { version } = await database.pulse();
    for (const [shards, to] of [
      [[1], 'b'],
      [[2, 1], 'b'],
      [[2], 'a'],
      [[2], 'nobody'],
    ] as const)
      await expect(database.handOver(next, shards, to)).rejects.toMatchObject(INVALID);
    expect((await database.pulse()).version).toBe(version);
    expect((await holders(database)).b).toEqual([1]);
    await database.append(next, 0, 1, records(1));
    expect(await database.takeOver(b, next, allTo('b'))).toBe(true);
    await database.enter('a');
    await expect(database.handOver(b, [2], 'a')).rejects.toMatchObject(INVALID);
    await database.folded(b, [2]);
    await database.handOver(b, [1, 2], 'a');
    expect((await holders(database)).a).toEqual([1, 2]);
  });
}

function hostile(open: Open): void {
  test('what no node means is refused before anything is written', async () => {
    const database = await open();
    const fence = await database.enter('a');
    for (const node of ['', 'A', 'a b', "a'--", 'ä', 'a\0', 'x'.repeat(65), undefined as never])
      await expect(database.enter(node)).rejects.toMatchObject(INVALID);
    for (const [lane, group] of [
      [Number.NaN, 1],
      [-1, 1],
      [0.5, 1],
      [1e9, 1],
      [0, Number.NaN],
      [0, 0],
      [0, 1.5],
      [0, 2 ** 60],
    ] as const)
      await expect(database.append(fence, lane, group, records(1))).rejects.toMatchObject(INVALID);
    for (const size of [0, 1, 95, 97, 65_537 * RECORD_BYTES])
      await expect(database.append(fence, 0, 1, new Uint8Array(size))).rejects.toMatchObject(INVALID);
    for (const rows of [new Uint8Array(1), new Uint8Array(ROW_BYTES)])
      await expect(database.replaceChannels(fence, rows)).rejects.toMatchObject(INVALID);
    for (const shards of [[-1], [SHARDS], [Number.NaN], [1.5]]) {
      await expect(database.countChannels(shards)).rejects.toMatchObject(INVALID);
      await expect(database.folded(fence, shards)).rejects.toMatchObject(INVALID);
    }
    for (const change of [
      { table: 'a b', key: bytes(1) },
      { table: 't'.repeat(33), key: bytes(1) },
      { table: 't', key: bytes() },
      { table: 't', key: new Uint8Array(129) },
      { table: 't', key: bytes(1), value: new Uint8Array(65_537) },
    ])
      await expect(
        database.commitSides(fence, [{ table: 't', key: bytes(1), value: bytes(1) }, change]),
      ).rejects.toMatchObject(INVALID);
    for (const list of [[''], ["udp://'"], ['\n'], ['x'.repeat(257)], Array.from({ length: 17 }, () => 'udp://h:1')])
      await expect(database.beat(fence, list, false)).rejects.toMatchObject(INVALID);
    await expect(database.dropGroups(fence, [Number.NaN])).rejects.toMatchObject(INVALID);
    expect(await groupsOf(database, 'a')).toEqual([]);
    expect(await sidesOf(database, 'a')).toEqual([]);
    expect((await database.pulse()).members.map(({ node, beats }) => `${node} ${beats}`)).toEqual(['a 0']);
  });

  test('a fence that the database cannot have given is none', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const wrong: Fence[] = [
      { ...fence, epoch: Number.NaN },
      { ...fence, epoch: 1.5 },
      { ...fence, holding: Number.NaN },
      { ...fence, holding: 1 },
      { ...fence, node: 'b' },
    ];
    for (const none of wrong) await expect(database.append(none, 0, 1, records(1))).rejects.toMatchObject(FENCED);
    await expect(database.append({ ...fence, node: "a'" }, 0, 1, records(1))).rejects.toMatchObject(INVALID);
    expect(await groupsOf(database, 'a')).toEqual([]);
  });
}
