/** Which node should hold which shard: balanced, and nothing moves that need not. */
import { expect, test } from 'vitest';
import { SHARDS, shardOfChannel } from '../../../protocol/shard.ts';
import { isBalanced, movesBetween, nextBatch, placement } from '../../../src/cluster/placement.ts';
import { random } from '../../support/random.ts';

const NOBODY: readonly undefined[] = Array.from({ length: SHARDS });
const names = (count: number) => Array.from({ length: count }, (_, index) => `node-${index + 1}`);

function counts(map: readonly (string | undefined)[], members: readonly string[]): number[] {
  return members.map((node) => map.filter((holder) => holder === node).length);
}

test('a fourth node gets its part: of 100,000 channels at most 1.2 / 4 move, and all of them to it', () => {
  const three = placement(NOBODY, names(3));
  const four = placement(three, names(4));
  const { u64 } = random(15);
  let moved = 0;
  let elsewhere = 0;
  for (let channel = 0; channel < 100_000; channel++) {
    const shard = shardOfChannel(u64());
    if (three[shard] === four[shard]) continue;
    moved++;
    if (four[shard] !== 'node-4') elsewhere++;
  }
  expect(elsewhere).toBe(0);
  expect(moved).toBeGreaterThan(0.2 * 100_000);
  expect(moved).toBeLessThanOrEqual((1.2 / 4) * 100_000);
});

test('nodes join and leave in any order: parts differ by one, and only what must move does', () => {
  const { below } = random(7);
  let members = ['node-1'];
  let map = placement(NOBODY, members);
  let next = 2;
  for (let step = 0; step < 60; step++) {
    const before = map;
    const isJoin = members.length < 2 || (members.length < 40 && below(2) === 0);
    const leaver = isJoin ? undefined : members[below(members.length)]!;
    members = isJoin ? [...members, `node-${next++}`] : members.filter((node) => node !== leaver);
    map = placement(before, members);

    const parts = counts(map, members);
    expect(Math.max(...parts) - Math.min(...parts)).toBeLessThanOrEqual(1);
    expect(Math.max(...parts)).toBeLessThanOrEqual(Math.ceil((1.1 * SHARDS) / members.length));
    expect(isBalanced(map, members)).toBe(true);
    const moves = movesBetween(before, map);
    if (isJoin) {
      expect(moves.every(({ to }) => to === members.at(-1))).toBe(true);
      expect(moves.length).toBeLessThanOrEqual((1.2 * SHARDS) / members.length);
    } else expect(moves.every(({ from }) => from === leaver)).toBe(true);
  }
});

test('the answer does not hang on the order of members, and an answer placed again stays', () => {
  const map = placement(NOBODY, names(5));
  expect(placement(NOBODY, names(5).reverse())).toEqual(map);
  expect(placement(map, names(5))).toEqual(map);
});

test('the shards of a node that goes are spread over all others', () => {
  const map = placement(NOBODY, names(4));
  const heirs = movesBetween(map, placement(map, names(3))).map(({ to }) => to);
  expect(counts(heirs, names(3)).every((count) => count >= 85)).toBe(true);
});

test('nothing moves by itself while each node has its part give or take a tenth', () => {
  const members = names(4);
  const map = placement(NOBODY, members);
  const shifted = map.with(map.indexOf('node-1'), 'node-2');
  expect(isBalanced(shifted, members)).toBe(true);
  expect(isBalanced(map, names(5))).toBe(false);
  expect(isBalanced(map, names(3))).toBe(false);
  expect(isBalanced(map.with(3, undefined as never), members)).toBe(false);
});

test('a giver moves so many at once, to one node', () => {
  const moves = movesBetween(['a', 'a', 'b', undefined, 'a', 'a'], ['b', 'c', 'c', 'c', 'b', 'b']);
  expect(moves).toHaveLength(5);
  expect(nextBatch(moves, 'a', 2)).toEqual({ shards: [0, 4], to: 'b' });
  expect(nextBatch(moves, 'b', 2)).toEqual({ shards: [2], to: 'c' });
  expect(nextBatch(moves, 'c', 2)).toBeUndefined();
});
