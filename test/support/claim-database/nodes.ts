/** Nodes that come, beat, leave, and say what nobody means. */

import { expect, test } from 'vitest';
import { SHARDS } from '../../../protocol/shard.ts';
import { packedRows, ROW_BYTES } from '../../../src/channel/row.ts';
import { RECORD_BYTES } from '../../../src/journal/record.ts';
import type { Fence } from '../../../src/store/claim-database.ts';
import { openRow } from '../open-channel.ts';
import {
  ALL,
  bytes,
  channelsOf,
  FAILED,
  FENCED,
  groupsOf,
  holders,
  INVALID,
  type Open,
  records,
  sidesOf,
} from './rig.ts';

export function nodes(open: Open): void {
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
    await expect(one.replaceChannels(old, packedRows([openRow(1n)]))).rejects.toMatchObject(FENCED);
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

export function map(open: Open): void {
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

export function hostile(open: Open): void {
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
