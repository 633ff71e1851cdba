/** A node's part in its cluster, over the database's twin and a clock that the test moves. */
import { expect, test } from 'vitest';
import { World } from '../../support/cluster-world.ts';

const SERVED_MS = 2_000;

async function cluster(seed: number, nodes: number, payers: number): Promise<World> {
  const world = new World(seed);
  for (let number = 1; number <= nodes; number++) world.node(`node-${number}`).start();
  await world.run(1_000);
  await world.addPayers(payers);
  return world;
}

function shardsOf(world: World): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { node } of world.tables.shards) counts[node ?? '-'] = (counts[node ?? '-'] ?? 0) + 1;
  return counts;
}

test('nodes that join get their part, and no claim waits long meanwhile', async () => {
  const world = await cluster(1, 1, 12);
  world.node('node-2').start();
  world.node('node-3').start();
  world.resetWaits();
  await world.run(15_000);
  expect(shardsOf(world)).toEqual({ 'node-1': 342, 'node-2': 341, 'node-3': 341 });
  expect(Math.max(...world.payers.map(({ longestMs }) => longestMs))).toBeLessThan(300);
  expect(world.tables.faults).toEqual([]);
});
