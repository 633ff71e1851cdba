/** A newer map: sockets for nodes that are new, another deal, and what waits at channels that moved is sent again. */
import { expect, test } from 'vitest';
import { SHARDS, shardOfChannel } from '../../../../protocol/shard.ts';
import type { HostPort } from '../../../../src/host-port.ts';
import { LoadChannels } from '../../../../src/load/channels.ts';
import type { Deal } from '../../../../src/load/cluster/deal.ts';
import { ClusterLink } from '../../../../src/load/cluster/link-cluster.ts';
import { Steering } from '../../../../src/load/cluster/steering.ts';
import type { Picker } from '../../../../src/load/skew.ts';

const channels = LoadChannels.derive(1, 20, 1);
const shardOf = (channel: number) => shardOfChannel(BigInt(channels.handle(channel)));
const at = (port: number): HostPort => ({ host: '127.0.0.1', port });
const map = (ports: number[], holderOf: (shard: number) => number) => ({
  nodes: ports.map(at),
  holders: Int16Array.from({ length: SHARDS }, (_, shard) => holderOf(shard)),
});

test('maps are taken one after the other, and only channels that have another node are sent again', async () => {
  const opened: number[] = [];
  const open = async ({ port }: HostPort) => {
    await new Promise(setImmediate);
    opened.push(port);
    return {} as never;
  };
  const link = await ClusterLink.open(open, 2, [at(1), at(2)]);
  const redealt: (readonly number[])[] = [];
  let deal!: Deal;
  const follow = (given: Deal) => {
    deal = given;
    return { redealt: (changed: readonly number[]) => redealt.push(changed) } as never;
  };
  const source = { picker: undefined as Picker | undefined };
  const settings = { seed: 1, sockets: 2, zipf: 0 };
  const parts = { generator: { follow }, link, source: source as never, channels, settings };
  const steering = await Steering.begin(
    parts,
    map([1, 2], (shard) => shard % 2),
  );
  const first = source.picker!;
  expect(Array.from({ length: 50 }, () => first.socket()).every((socket) => socket < 4)).toBe(true);

  steering.take(map([1, 2], (shard) => shard % 2));
  // In this map the first node is gone and its shards are another's, which is new; its number in the map is the old one's.
  steering.take(map([2, 3], (shard) => 1 - (shard % 2)));
  steering.take(map([2], () => -1));
  await steering.end();
  expect(opened).toEqual([1, 2, 3]);
  const all = Array.from({ length: 20 }, (_, channel) => channel);
  expect(redealt.slice(1)).toEqual([all.filter((channel) => shardOf(channel) % 2 === 0)]);
  for (const channel of all) expect(Math.floor(deal.socketOf(channel) / 2)).toBe(shardOf(channel) % 2 === 0 ? 2 : 1);
  expect(source.picker).not.toBe(first);
  expect(Array.from({ length: 50 }, () => source.picker!.socket()).every((socket) => socket >= 2)).toBe(true);
});
