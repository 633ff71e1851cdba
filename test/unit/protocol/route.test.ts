/** The map of shards as a peer may send it: what is taken, what is not, and its limits. */
import { expect, test } from 'vitest';
import { parseRoute, shardRuns } from '../../../protocol/route.ts';
import { SHARDS } from '../../../protocol/shard.ts';

const NODE = { name: 'a', places: ['udp://192.0.2.1:9393'] };
const SOUND = { version: '7', shards: [SHARDS, 0], nodes: [NODE] };

test('runs of holders are read back as they were written, also the worst', () => {
  const nodes = [NODE, { ...NODE, name: 'b' }];
  const holders = Int16Array.from({ length: SHARDS }, (_, shard) => (shard % 3) - 1);
  const runs = shardRuns(holders);
  expect(runs).toHaveLength(2 * SHARDS);
  expect(parseRoute({ ...SOUND, nodes, shards: runs })).toEqual({ version: 7n, holders, nodes });
  expect(shardRuns(new Int16Array(SHARDS))).toEqual([SHARDS, 0]);
});

test('unknown fields go no further', () => {
  expect(parseRoute({ ...SOUND, more: 1, nodes: [{ ...NODE, more: 1 }] })?.nodes).toEqual([NODE]);
});

test.each<[string, object]>([
  ['a version that is a number', { version: 7 }],
  ['a version with a leading zero', { version: '07' }],
  ['a version of 2^64', { version: '18446744073709551616' }],
  ['no nodes', { nodes: [] }],
  ['257 nodes', { nodes: Array.from({ length: 257 }, (_, index) => ({ name: `n${index}`, places: [] })) }],
  ['two nodes of one name', { nodes: [NODE, NODE] }],
  ['a node that is null', { nodes: [null] }],
  ['an empty name', { nodes: [{ ...NODE, name: '' }] }],
  ['a name of 65 characters', { nodes: [{ ...NODE, name: 'a'.repeat(65) }] }],
  ['a name with a line end', { nodes: [{ ...NODE, name: 'a\nb' }] }],
  ['nine places', { nodes: [{ ...NODE, places: Array(9).fill('udp://a:1') }] }],
  ['a place of 129 characters', { nodes: [{ ...NODE, places: ['u'.repeat(129)] }] }],
  ['a place with an escape', { nodes: [{ ...NODE, places: ['udp://a:1\u001b[2J'] }] }],
  ['places that are none', { nodes: [{ ...NODE, places: 'udp://a:1' }] }],
  ['1,023 shards', { shards: [SHARDS - 1, 0] }],
  ['1,025 shards', { shards: [SHARDS, 0, 1, 0] }],
  ['a run of 0', { shards: [0, 0, SHARDS, 0] }],
  ['a run of 2^40', { shards: [2 ** 40, 0] }],
  ['a run of a fraction', { shards: [0.5, 0] }],
  ['a holder that there is not', { shards: [SHARDS, 1] }],
  ['a holder of -2', { shards: [SHARDS, -2] }],
  ['a run without its holder', { shards: [SHARDS] }],
  ['shards that are a map', { shards: {} }],
  ['2,049 runs', { shards: Array(2_050).fill(1) }],
])('%s is not taken', (_, fields) => {
  expect(parseRoute({ ...SOUND, ...fields })).toBeUndefined();
});
