/** The shard of a channel: the halves agree with the formula in BigInt, and channels spread evenly. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SHARDS, shardOf, shardOfChannel } from '../../../protocol/shard.ts';
import { random as seeded } from '../../support/random.ts';

const U64 = 0xffff_ffff_ffff_ffffn;

/** splitmix64's finaliser as it is published, and the slow twin of `shardOf`. */
function slowShard(channelId: bigint): number {
  let z = channelId;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & U64;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & U64;
  z = z ^ (z >> 31n);
  return Number(z >> 54n);
}

describe('shardOf', () => {
  it('agrees with the published formula for 100,000 random handles and the edges', () => {
    const random = seeded(15);
    const edges = [0n, 1n, 0xffffn, 0x1_0000n, 0xffff_ffffn, 0x1_0000_0000n, 1n << 63n, U64 - 1n, U64];
    for (let bit = 0n; bit < 64n; bit++) edges.push(1n << bit, U64 ^ (1n << bit));
    for (const handle of edges) expect(shardOfChannel(handle), String(handle)).toBe(slowShard(handle));
    let differing = 0;
    for (let i = 0; i < 100_000; i++) {
      const high = random.u32();
      const low = random.u32();
      if (shardOf(high, low) !== slowShard((BigInt(high) << 32n) | BigInt(low))) differing++;
    }
    expect(differing).toBe(0);
  });

  it('spreads handles counted from 1 evenly: no shard of 1,024 has under half or over twice its part', () => {
    const counts = new Uint32Array(SHARDS);
    for (let low = 1; low <= 102_400; low++) counts[shardOf(0, low)]!++;
    expect(Math.min(...counts)).toBeGreaterThan(50);
    expect(Math.max(...counts)).toBeLessThan(200);
  });

  it('agrees with the vectors', () => {
    const url = new URL('../../../protocol/vectors/shards.json', import.meta.url);
    const { vectors } = JSON.parse(readFileSync(url, 'utf8')) as { vectors: { channelId: string; shard: number }[] };
    expect(vectors.length).toBeGreaterThan(10);
    for (const { channelId, shard } of vectors) {
      expect(slowShard(BigInt(channelId)), channelId).toBe(shard);
      expect(shardOfChannel(BigInt(channelId)), channelId).toBe(shard);
    }
  });
});
