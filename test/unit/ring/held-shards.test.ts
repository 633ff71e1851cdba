/** Which shards are held: none is missing before a cluster says so, and bits and version are those of one change. */
import { expect, test } from 'vitest';
import { SHARDS, shardOf } from '../../../protocol/shard.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { HeldShards } from '../../../src/ring/held-shards.ts';

const SIZES = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 32 };

test('a new arena holds every shard', () => {
  const shards = new HeldShards(Arena.create(SIZES));
  for (let low = 0; low < 10_000; low++) if (shards.isElsewhere(0, low)) throw new Error(`handle ${low}`);
  expect([shards.versionHigh, shards.versionLow]).toEqual([0, 0]);
});

test('exactly the shards that were set are held, and the version comes along in halves', () => {
  const arena = Arena.create(SIZES);
  const held = [0, 31, 32, 511, 1_023];
  new HeldShards(arena).hold(held, 2 ** 40 + 7);
  const reader = new HeldShards(arena);
  const seen = new Set<number>();
  for (let low = 0; low < 20_000; low++) if (!reader.isElsewhere(0, low)) seen.add(shardOf(0, low));
  expect([...seen].sort((a, b) => a - b)).toEqual(held);
  expect([reader.versionHigh, reader.versionLow]).toEqual([2 ** 8, 7]);
  new HeldShards(arena).hold(Array(SHARDS).keys(), 8);
  expect(reader.isElsewhere(0, 1)).toBe(false);
});
