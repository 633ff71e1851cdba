/** What is written is read: groups, channels and side entries. */

import { expect, test } from 'vitest';
import { SHARDS, shardOfChannel } from '../../../protocol/shard.ts';
import { packedRows } from '../../../src/channel/row.ts';
import { RECORD_BYTES } from '../../../src/journal/record.ts';
import type { SideChange } from '../../../src/registry/side-tables.ts';
import type { ClaimDatabase } from '../../../src/store/claim-database.ts';
import { openRow } from '../open-channel.ts';
import { ALL, allTo, bytes, channelsOf, groupsOf, INVALID, type Open, places, records, sidesOf } from './rig.ts';

export function groups(open: Open): void {
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

export function channels(open: Open): void {
  test('a channel is read with every bit that was written', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const most = 2n ** 64n - 1n;
    const full = openRow(most, {
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
    const high = openRow(2n ** 63n, { capacity: 2n ** 63n, committed: 2n ** 63n - 1n });
    await database.replaceChannels(fence, packedRows([full, openRow(0n), high]));
    expect(await channelsOf(database)).toEqual([openRow(0n), high, full]);
    expect(await channelsOf(database, [shardOfChannel(most)])).toEqual([full]);
    expect(await channelsOf(database, [])).toEqual([]);
    expect(await database.countChannels([shardOfChannel(0n), shardOfChannel(most)])).toBe(2);
    expect(await database.countChannels([])).toBe(0);
  });

  test('a row replaces the one before it, and a removed channel is not read', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const rows = packedRows([openRow(1n), openRow(2n), openRow(3n)]);
    const written = database.replaceChannels(fence, rows);
    rows.fill(0); // The database has copied them.
    await written;
    const paid = openRow(1n, { committed: 5n, sequence: 2, signature: new Uint8Array(64).fill(7) });
    await database.replaceChannels(fence, packedRows([paid, openRow(2n, { state: 'removed' })]));
    expect(await channelsOf(database)).toEqual([paid, openRow(3n)]);
    expect(await database.countChannels(ALL)).toBe(2);
    await database.replaceChannels(fence, packedRows([openRow(2n, { capacity: 9n })]));
    expect((await channelsOf(database)).map(({ capacity }) => capacity)).toEqual([1_000n, 9n, 1_000n]);
  });

  test('of a channel that comes twice in a call the last row counts', async () => {
    const database = await open();
    const fence = await database.enter('a');
    await database.replaceChannels(fence, packedRows([openRow(1n), openRow(2n), openRow(1n, { committed: 3n })]));
    expect((await channelsOf(database)).map(({ committed }) => committed)).toEqual([3n, 0n]);
  });

  test('more channels than a block has are read once each', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const list = Array.from({ length: 4_500 }, (_, index) => openRow(BigInt(index)));
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

export function sides(open: Open): void {
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

export function shardSides(open: Open): void {
  const put = (shard: number, key: number, value?: number): SideChange => ({
    table: 'spent',
    key: bytes(key),
    value: value === undefined ? undefined : bytes(value),
    shard,
  });
  const sidesOfShards = async (database: ClaimDatabase, shards: readonly number[]): Promise<string[]> => {
    const found: string[] = [];
    const total = await database.readShardSides(shards, ({ shard, table, key, value }) =>
      found.push(`${shard} ${table} ${key[0]} ${value[0]}`),
    );
    expect(total).toBe(found.length);
    return found.sort();
  };

  test('side entries of a shard go to its next holder, by hand and by takeover, and stay out of the nodes’ own', async () => {
    const [one, two] = [await open(), await open()];
    let a = await one.enter('a');
    const b = await two.enter('b');
    await one.commitSides(a, [
      put(1, 1, 10),
      put(2, 1, 20),
      put(2, 2, 21),
      { table: 'own', key: bytes(1), value: bytes(1) },
    ]);
    expect(await sidesOf(one, 'a')).toEqual(['own 01 01']);
    a = await one.handOver(a, [2], 'b');
    expect(await sidesOfShards(two, [2, 3])).toEqual(['2 spent 1 20', '2 spent 2 21']);
    await two.commitSides(b, [put(2, 1, 22), put(2, 2)]);
    expect(await two.takeOver(b, a, allTo('b'))).toBe(true);
    await two.commitSides(b, [put(1, 1, 11)]);
    expect(await sidesOfShards(two, ALL)).toEqual(['1 spent 1 11', '2 spent 1 22']);
    expect(await sidesOf(two, 'b')).toEqual([]);
  });

  test('a node writes no side entry of a shard that it does not hold, whatever its fence says', async () => {
    const [one, two] = [await open(), await open()];
    let a = await one.enter('a');
    const b = await two.enter('b');
    await one.commitSides(a, [put(1, 1, 10), put(2, 1, 20)]);
    a = await one.handOver(a, [2], 'b');
    // Made up before the shard was given away, and made again under the fence of afterwards.
    for (const changes of [[put(2, 1, 99)], [put(1, 1, 99), put(2, 1)]])
      await expect(one.commitSides(a, changes)).rejects.toMatchObject({ code: 'MOVED' });
    await expect(two.commitSides(b, [put(1, 1, 99)])).rejects.toMatchObject({ code: 'MOVED' });
    await expect(one.commitSides(a, [put(SHARDS, 1, 99)])).rejects.toMatchObject(INVALID);
    expect(await sidesOfShards(one, ALL)).toEqual(['1 spent 1 10', '2 spent 1 20']);
  });

  test('many side entries of many shards are all read', async () => {
    const database = await open();
    const fence = await database.enter('a');
    const changes = Array.from({ length: 5_000 }, (_, index) => ({
      table: index % 2 === 0 ? 'even' : 'odd',
      key: bytes(index >> 8, index & 0xff),
      value: bytes(index & 0xff),
      shard: index % 40,
    }));
    await database.commitSides(fence, changes);
    expect(await sidesOfShards(database, ALL.slice(0, 40))).toHaveLength(5_000);
    expect(await sidesOfShards(database, [3])).toHaveLength(125);
  });
}
