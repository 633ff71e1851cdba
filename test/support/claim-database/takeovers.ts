/** Shards that change hands: taken over, or handed over. */

import { expect, test } from 'vitest';
import { decodeRow, packedRows, ROW_BYTES } from '../../../src/channel/row.ts';
import type { Fence } from '../../../src/store/claim-database.ts';
import { openRow } from '../open-channel.ts';
import { ALL, allTo, FENCED, type Hold, holders, INVALID, type Open, places, records } from './rig.ts';

export function takeOvers(open: Open, hold: () => Promise<Hold> | Hold): void {
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
    const [gone, high] = [openRow(3n, { state: 'removed', committed: 7n }), 2n ** 64n - 1n];
    await database.replaceChannels(a, packedRows([gone, openRow(4n), openRow(high, { state: 'removed' })]));
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

export function handOvers(open: Open): void {
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
    await expect(one.replaceChannels(a, packedRows([openRow(1n)]))).rejects.toMatchObject(FENCED);
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
