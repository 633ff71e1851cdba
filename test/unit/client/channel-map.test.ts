/** Channels by the halves of their handles. */
import { expect, it } from 'vitest';
import { ChannelMap } from '../../../src/client/channel-map.ts';

const halves = (channelId: bigint): [number, number] => [Number(channelId >> 32n), Number(channelId & 0xffffffffn)];

it('finds each of many, in either way, and none else; and keeps their order', () => {
  const map = new ChannelMap<{ id: bigint }>();
  const ids = Array.from({ length: 5_000 }, (_, index) => {
    const small = BigInt(index);
    return [small, small << 32n, (small << 40n) | small, 0xffffffffffffffffn - small][index % 4]!;
  });
  const unique = [...new Set(ids)];
  for (const id of unique) map.add(id, { id });
  for (const id of unique) {
    expect(map.get(...halves(id))!.id).toBe(id);
    expect(map.find(id)!.id).toBe(id);
  }
  expect(map.values.map(({ id }) => id)).toEqual(unique);
  for (const id of [5_001n, 0xdeadbeef00000000n, 0xffff000000000000n]) expect(map.find(id)).toBeUndefined();
});

it('0 is a handle as any other', () => {
  const map = new ChannelMap<object>();
  expect(map.find(0n)).toBeUndefined();
  const value = {};
  map.add(0n, value);
  expect(map.get(0, 0)).toBe(value);
});

it('a channel is added once, and none is left after clear', () => {
  const map = new ChannelMap<object>();
  map.add(7n, {});
  expect(() => map.add(7n, {})).toThrow('a channel is added once');
  map.clear();
  expect(map.find(7n)).toBeUndefined();
  expect(map.values).toEqual([]);
  map.add(7n, {});
});
