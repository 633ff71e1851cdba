/** A node's part in its cluster, over the database's twin and a clock that the test moves. */
import { expect, test } from 'vitest';
import { ClaimwireError } from '../../../src/errors.ts';
import { World } from '../../support/cluster-world.ts';

async function cluster({ nodes, payers }: { nodes: number; payers: number }): Promise<World> {
  // Few large batches: how many there are is the test of placement.
  const world = new World(nodes, { batchShards: 256 });
  for (let number = 1; number <= nodes; number++) world.node(`node-${number}`).start();
  await world.run(3_500);
  await world.addPayers(payers);
  await world.run(200);
  world.resetWaits();
  return world;
}

function shardsOf(world: World): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { node } of world.tables.shards) counts[node ?? '-'] = (counts[node ?? '-'] ?? 0) + 1;
  return counts;
}

/** The longest that a payer was not acknowledged. */
function longestMs(world: World): number {
  return Math.max(...world.payers.map((payer) => Math.max(payer.longestMs, world.now - payer.since)));
}

test('nodes that join get their part, batch by batch, and no claim waits for 300 ms', async () => {
  const world = await cluster({ nodes: 2, payers: 8 });
  expect(shardsOf(world)).toEqual({ 'node-1': 512, 'node-2': 512 });
  world.node('node-3').start();
  await world.run(2_500);
  expect(shardsOf(world)).toEqual({ 'node-1': 342, 'node-2': 341, 'node-3': 341 });
  // Batches that follow one another are looked for more often: at the first pace it is 125 ms.
  expect(longestMs(world)).toBeLessThan(110);
  const { lastLoadMs, beatAgeMs, ...figures } = world.node('node-3').member!.figures;
  expect(figures).toMatchObject({ shardsServed: 341, shardsReceived: 341, shardsWanted: 341, members: 3, silent: 0 });
  expect(figures).toMatchObject({ beatsFailed: 0, held: { 'node-1': 342, 'node-2': 341, 'node-3': 341 } });
  expect(beatAgeMs).toBeLessThan(300);
  expect(lastLoadMs).toBeGreaterThan(0);
  expect(world.tables.faults).toEqual([]);
});

test('a killed node is taken over once, by all others together, and its channels are served within 2 s', async () => {
  const world = await cluster({ nodes: 3, payers: 8 });
  world.node('node-2').kill();
  const survivor = world.node('node-1').member!;
  const told = new Set<number>();
  for (let ms = 0; ms < 2_500; ms += 20) {
    await world.run(20);
    told.add(survivor.figures.silent);
  }
  // Silent for a moment, then taken over; the others' part grows.
  expect([[...told], survivor.figures.silent]).toEqual([[0, 1], 0]);
  expect([survivor.figures.shardsWanted, world.node('node-3').member!.figures.shardsWanted]).toEqual([512, 512]);
  expect(longestMs(world)).toBeGreaterThan(1_000);
  expect(longestMs(world)).toBeLessThan(1_600);
  expect(shardsOf(world)).toEqual({ 'node-1': 512, 'node-3': 512 });
  expect(world.log.filter((line) => line.includes('took over node-2'))).toHaveLength(1);
  expect(world.tables.shards.filter(({ source }) => source !== undefined)).toEqual([]);
  expect(world.tables.groupsOf('node-2')).toEqual([]);
});

test('a node that stood still wakes up fenced: nothing that it writes is taken, and it ends and enters anew', async () => {
  const world = await cluster({ nodes: 3, payers: 8 });
  world.node('node-2').pause();
  await world.run(2_000);
  expect(longestMs(world)).toBeLessThan(1_600);
  expect(shardsOf(world)['node-2']).toBeUndefined();
  world.node('node-2').wake();
  await world.run(2_500);
  expect(world.log.some((line) => line.includes('node-2 ends'))).toBe(true);
  expect(world.node('node-2').isServing).toBe(true);
  expect(shardsOf(world)['node-2']).toBe(341);
  expect(world.tables.faults).toEqual([]);
});

test('a node that ends at each of its starts is taken over all the same', async () => {
  const world = await cluster({ nodes: 3, payers: 8 });
  const node = world.node('node-2');
  node.kill();
  for (let starts = 0; starts < 6; starts++) {
    node.start();
    await world.run(60);
    node.kill();
    await world.run(340);
  }
  expect(shardsOf(world)).toEqual({ 'node-1': 512, 'node-3': 512 });
  expect(world.payers.every(({ since }) => world.now - since < 100)).toBe(true);
  expect(world.tables.faults).toEqual([]);
});

test('a database that nobody reaches for a while is no reason to take anybody over', async () => {
  const world = await cluster({ nodes: 3, payers: 4 });
  for (const node of world.nodes.values()) node.cutOff();
  await world.run(3_000);
  for (const node of world.nodes.values()) node.rejoin();
  await world.run(2_000);
  expect(world.log.filter((line) => line.includes('took over'))).toEqual([]);
  expect(world.node('node-1').member!.figures.watchRestarts).toBeGreaterThan(0);
  expect(world.payers.every(({ since }) => world.now - since < 100)).toBe(true);
});

test('a node that leaves gives all it has to the others, and is no member then; it joins again', async () => {
  const world = await cluster({ nodes: 3, payers: 8 });
  const { member } = world.node('node-1');
  member!.leave();
  await world.run(1_600);
  expect(member!.hasLeft).toBe(true);
  expect(shardsOf(world)).toEqual({ 'node-2': 512, 'node-3': 512 });
  expect(longestMs(world)).toBeLessThan(300);
  member!.join();
  await world.run(2_000);
  expect(shardsOf(world)['node-1']).toBe(341);
  member!.leave();
  await world.run(1_600);
  const stopped = member!.stop();
  await world.run(100);
  await stopped;
  expect(world.tables.members().map(({ node }) => node)).toEqual(['node-2', 'node-3']);
});

test('the only node keeps its shards when it leaves: nobody is there to take them', async () => {
  const world = await cluster({ nodes: 1, payers: 2 });
  const { member } = world.node('node-1');
  member!.leave();
  await world.run(300);
  expect(member!.hasLeft).toBe(true);
  expect(shardsOf(world)).toEqual({ 'node-1': 1_024 });
  expect(world.payers.every(({ since }) => world.now - since < 100)).toBe(true);
});

test('shards are moved to a member that lives, and stay there until nodes are balanced to the last one', async () => {
  const world = await cluster({ nodes: 2, payers: 4 });
  const { member } = world.node('node-1');
  const own = world.tables.shards.filter(({ node }) => node === 'node-1').map(({ shard }) => shard);
  expect(() => member!.move([own[0]!], 'node-9')).toThrow('expected another living member, got "node-9"');
  member!.move(own.slice(0, 20), 'node-2');
  await world.run(800);
  expect(shardsOf(world)).toEqual({ 'node-1': 492, 'node-2': 532 });
  world.node('node-2').member!.rebalance();
  await world.run(800);
  expect(shardsOf(world)).toEqual({ 'node-1': 512, 'node-2': 512 });
});

test('a shard that is moved as soon as a new member has its part stays where it was moved to', async () => {
  // A giver that waits for long between batches does not see by its next turn that it has given its last one.
  const world = new World(2, { batchShards: 256, moveEveryMs: 600 });
  for (const name of ['node-1', 'node-2']) world.node(name).start();
  for (let step = 0; step < 5_000 && shardsOf(world)['node-2'] !== 512; step++) await world.run(1);
  const received = world.tables.shards.filter(({ node }) => node === 'node-2').map(({ shard }) => shard);
  world.node('node-2').member!.move([received[0]!], 'node-1');
  await world.run(1_500);
  expect(shardsOf(world)).toEqual({ 'node-1': 513, 'node-2': 511 });
});

test('moves that are asked for one after the other are all made; too many at once are refused', async () => {
  const world = await cluster({ nodes: 2, payers: 4 });
  const { member } = world.node('node-1');
  const own = world.tables.shards.filter(({ node }) => node === 'node-1').map(({ shard }) => shard);
  for (const shard of own.slice(0, 3)) member!.move([shard], 'node-2');
  await world.run(1_200);
  expect(shardsOf(world)).toEqual({ 'node-1': 509, 'node-2': 515 });
  for (let count = 0; count < 1_024; count++) member!.move([own[0]!], 'node-2');
  expect(() => member!.move([own[0]!], 'node-2')).toThrow('expected at most 1024 moves to wait');
});

test('what a full table cannot take is tried again, once a second, while everything else goes on', async () => {
  const world = await cluster({ nodes: 3, payers: 8 });
  const { shards } = world.node('node-1');
  const load = shards!.loadRows.bind(shards);
  let isFull = true;
  let tries = 0;
  shards!.loadRows = (rows) => {
    tries++;
    if (isFull) throw new ClaimwireError('TABLE_FULL', 'channel table: expected room, got none');
    load(rows);
  };
  world.node('node-2').kill();
  await world.run(5_000);
  expect(tries).toBeGreaterThan(1);
  expect(tries).toBeLessThan(8);
  isFull = false;
  await world.run(1_500);
  expect(world.payers.every(({ since }) => world.now - since < 300)).toBe(true);
  expect(world.tables.faults).toEqual([]);
});
