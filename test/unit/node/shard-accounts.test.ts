/** Accounts that come and go with their shards: two nodes over one database's twin, which hand shards to each other. */
import { expect, test } from 'vitest';
import { shardOfChannel } from '../../../protocol/shard.ts';
import { AmountWatch } from '../../../src/meter/amount-watch.ts';
import { ROW_CHARGES } from '../../../src/meter/charge-record.ts';
import { type ChargeLimits, Charges } from '../../../src/meter/charges.ts';
import { ShardAccounts } from '../../../src/node/shard-accounts.ts';
import { RaisedAmounts } from '../../../src/registry/raised.ts';
import { SHARDS } from '../../../src/store/claim-database.ts';
import { DatabaseSides } from '../../../src/store/database-sides.ts';
import { HeldFence } from '../../../src/store/held-fence.ts';
import { MemoryDatabase, type MemoryDatabaseOptions } from '../../../src/store/memory-database.ts';
import { MemoryTables } from '../../../src/store/memory-tables.ts';
import { FakeSource, ledgerIdOf } from '../meter/fake-source.ts';

const ALL = Array.from({ length: SHARDS }, (_, shard) => shard);
const MOVED = { code: 'MOVED' };
const at = (channelId: bigint) => [shardOfChannel(channelId)];

interface NodeParts {
  database: MemoryDatabase;
  fence: HeldFence;
  source: FakeSource;
  charges: Charges;
  raised: RaisedAmounts;
  accounts: ShardAccounts;
}

class Node {
  readonly database: MemoryDatabase;
  readonly fence: HeldFence;
  readonly source: FakeSource;
  readonly charges: Charges;
  readonly raised: RaisedAmounts;
  readonly accounts: ShardAccounts;

  private constructor({ database, fence, source, charges, raised, accounts }: NodeParts) {
    this.database = database;
    this.fence = fence;
    this.source = source;
    this.charges = charges;
    this.raised = raised;
    this.accounts = accounts;
  }

  static async enter(
    tables: MemoryTables,
    name: string,
    options: MemoryDatabaseOptions = {},
    limits: Partial<ChargeLimits> = {},
  ): Promise<Node> {
    const database = new MemoryDatabase(tables, options);
    const fence = HeldFence.of(await database.enter(name));
    const held = (await database.state()).shards.filter(({ node }) => node === name).map(({ shard }) => shard);
    const sides = await DatabaseSides.load(database, fence, held);
    const raised = new RaisedAmounts(sides);
    const source = new FakeSource();
    const charges = new Charges(source, sides, new AmountWatch(source), limits, raised);
    const accounts = new ShardAccounts({ sides, charges, raised });
    return new Node({ database, fence, source, charges, raised, accounts });
  }

  async give(channelId: bigint, to: Node): Promise<void> {
    const shards = at(channelId);
    await this.accounts.drain(shards);
    await this.fence.change((fence) => this.database.handOver(fence, shards, to.fence.start.node));
    this.accounts.drop(shards);
    await to.database.readShardSides(shards, (side) => to.accounts.load(side));
    to.accounts.serve(shards);
  }
}

async function pair(options: MemoryDatabaseOptions = {}, limits: Partial<ChargeLimits> = {}): Promise<[Node, Node]> {
  const tables = new MemoryTables();
  const nodes: [Node, Node] = [
    await Node.enter(tables, 'one', options, limits),
    await Node.enter(tables, 'two', {}, limits),
  ];
  for (const { source } of nodes) source.commit([1n, 100n], [2n, 100n]);
  return nodes;
}

test('what was spent and raised, and the keys, go to and fro with a shard', async () => {
  const [one, two] = await pair();
  await one.raised.record({ ledgerChannelId: ledgerIdOf(1n), channelId: 1n }, { committed: 0n, spent: 0n, to: 30n });
  expect(await one.charges.charge(1n, 40n, { key: 'k' })).toMatchObject({ spent: 40n });
  expect(two.charges.spent(1n)).toBe(0n);
  await one.give(1n, two);
  expect(two.raised.of(ledgerIdOf(1n))).toBe(30n);
  expect(one.raised.isEmpty).toBe(true);
  expect(await two.charges.charge(1n, 40n, { key: 'k' })).toMatchObject({ spent: 40n, repeated: true });
  await expect(two.charges.charge(1n, 31n, { wait: false })).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
  expect(await two.charges.charge(1n, 30n, { key: 'l' })).toMatchObject({ spent: 70n });
  await expect(one.charges.charge(1n, 1n)).rejects.toMatchObject(MOVED);
  await two.give(1n, one);
  for (const [key, drops] of [
    ['k', 40n],
    ['l', 30n],
  ] as const)
    expect(await one.charges.charge(1n, drops, { key })).toMatchObject({ spent: 70n, repeated: true });
  await expect(one.charges.charge(1n, 1n, { wait: false })).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
});

test('a drain refuses what waits and what comes, and waits for the commit under way; other shards go on', async () => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const [one] = await pair({ underWay: (call) => (call === 'commitSides' ? opened : undefined) });
  const made = one.charges.charge(1n, 10n, { key: 'k' });
  const refused: unknown[] = [];
  const note = (error: { code: string }) => refused.push(error.code);
  one.charges.charge(1n, 1_000n).catch(note);
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  let isDrained = false;
  const drain = one.accounts.drain(at(1n)).then(() => {
    isDrained = true;
  });
  one.charges.charge(1n, 1n).catch(note);
  const other = one.charges.charge(2n, 5n, { key: 'k' });
  await new Promise(setImmediate);
  expect(isDrained).toBe(false);
  open();
  await drain;
  expect(await made).toMatchObject({ spent: 10n });
  await expect.poll(() => refused).toEqual(['MOVED', 'MOVED']);
  expect(await other).toMatchObject({ spent: 5n });
  // The shard stays, since its receiver has gone.
  one.accounts.serve(at(1n));
  expect(await one.charges.charge(1n, 10n, { key: 'k' })).toMatchObject({ spent: 10n, repeated: true });
  expect(await one.charges.charge(1n, 1n)).toMatchObject({ spent: 11n });
});

test('all logs together keep so many charges; the longest one forgets first, and none whose shard is drained', async () => {
  const kept = 4 * ROW_CHARGES;
  const [one, two] = await pair({}, { kept });
  for (const { source } of [one, two]) source.commit([1n, 10_000n], [2n, 10_000n]);
  const chargeMany = (channelId: bigint, from: number, count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, index) => one.charges.charge(channelId, 1n, { key: `${from + index}` })),
    );
  await chargeMany(2n, 0, 1.5 * ROW_CHARGES);
  for (let number = 0; number < 8 * ROW_CHARGES; number += ROW_CHARGES) await chargeMany(1n, number, ROW_CHARGES);
  const last = { key: `${8 * ROW_CHARGES - 1}` };
  expect(await one.charges.charge(2n, 1n, { key: '0' })).toMatchObject({ repeated: true });
  expect(await one.charges.charge(1n, 1n, last)).toMatchObject({ repeated: true });
  expect(await one.charges.charge(1n, 1n, { key: '0' })).toMatchObject({ repeated: false });
  let rows = 0;
  await one.database.readShardSides(ALL, ({ table }) => {
    if (table === 'charge-log') rows++;
  });
  expect(rows).toBeLessThanOrEqual(6);
  // The longest log is the drained one, and another node's already.
  await one.accounts.drain(at(1n));
  await one.fence.change((fence) => one.database.handOver(fence, at(1n), 'two'));
  await chargeMany(2n, 1_000, 2 * ROW_CHARGES);
  one.accounts.drop(at(1n));
  await two.database.readShardSides(at(1n), (side) => two.accounts.load(side));
  two.accounts.serve(at(1n));
  expect(await two.charges.charge(1n, 1n, last)).toMatchObject({ repeated: true });
});
