/** Each channel is dealt to its shard's holder, and picked there as often as without a cluster. */
import { expect, test } from 'vitest';
import { SHARDS, shardOfChannel } from '../../../../protocol/shard.ts';
import { LoadChannels } from '../../../../src/load/channels.ts';
import { Deal } from '../../../../src/load/cluster/deal.ts';
import { Random } from '../../../../src/load/random.ts';

const CHANNELS = 200;
const SOCKETS = 3;
const NODES = 3;
const channels = LoadChannels.derive(1, CHANNELS, 1);
const shards = Array.from({ length: CHANNELS }, (_, channel) => shardOfChannel(BigInt(channels.handle(channel))));
const thirds = Array.from({ length: SHARDS }, (_, shard) => shard % NODES);

test.each([0, 1.1])(
  'exponent %d: a socket has channels of its own node alone, and each channel its share',
  (exponent) => {
    const deal = new Deal(channels, SOCKETS);
    expect(deal.take(thirds).length).toBe(shards.filter((shard) => shard % NODES !== 0).length);
    const picker = deal.picker(exponent, new Random(1, 'picks'));
    const counts = new Float64Array(CHANNELS);
    const picks = 60_000;
    for (let pick = 0; pick < picks; pick++) {
      const socket = picker.socket();
      const channel = picker.channel(socket);
      counts[channel]! += 1;
      if (deal.socketOf(channel) !== socket) expect(deal.socketOf(channel)).toBe(socket);
    }
    const weights = Array.from({ length: CHANNELS }, (_, channel) => (1 + channel) ** -exponent);
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [channel, weight] of weights.entries()) {
      const wanted = (picks * weight) / whole;
      expect(Math.abs(counts[channel]! - wanted)).toBeLessThan(6 * Math.sqrt(wanted));
      const node = shards[channel]! % NODES;
      expect(deal.socketOf(channel)).toBe(node * SOCKETS + (channel % SOCKETS));
    }
  },
);

test('a new map names the channels that have another node; a shard that nobody holds stays where it was', () => {
  const deal = new Deal(channels, SOCKETS);
  deal.take(thirds);
  expect(deal.take(thirds)).toEqual([]);
  const before = shards.map((_, channel) => deal.socketOf(channel));
  // Node 2 is gone: even shards of its go to node 0, of the others nobody knows yet.
  const after = thirds.map((node, shard) => (node !== 2 ? node : shard % 2 === 0 ? 0 : -1));
  const changed = deal.take(after);
  expect(changed.length).toBeGreaterThan(0);
  expect(changed).toEqual(shards.flatMap((shard, channel) => (shard % 3 === 2 && shard % 2 === 0 ? [channel] : [])));
  for (const [channel, socket] of before.entries())
    expect(deal.socketOf(channel)).toBe(changed.includes(channel) ? channel % SOCKETS : socket);
});
