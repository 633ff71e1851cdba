/** Side tables of the ledger's side, where shards come and go. Test's thread. */
import { expect, test } from 'vitest';
import { ShardTables } from '../../../src/ledger/shard-tables.ts';
import type { SideChange } from '../../../src/registry/side-tables.ts';
import { settled } from '../../support/chain-rig.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';

const entry = (shard: number | undefined): SideChange => ({
  table: 'redemptions',
  key: Uint8Array.of(shard ?? 255),
  value: Uint8Array.of(1),
  shard,
});

test('a drained shard is written no more until it is served, and its drain waits for what is under way', async () => {
  const inner = new MemorySideTables();
  const commit = inner.commit.bind(inner);
  inner.commit = async (changes) => {
    await settled();
    await commit(changes);
  };
  const tables = new ShardTables(inner);
  const order: string[] = [];
  const under = tables.commit([entry(7)]).then(() => order.push('committed'));
  const drain = tables.drain([7]).then(() => order.push('drained'));
  await expect(tables.commit([entry(8), entry(7)])).rejects.toMatchObject({ code: 'MOVED' });
  await tables.commit([entry(8), entry(undefined)]);
  await Promise.all([under, drain]);
  expect(order).toEqual(['committed', 'drained']);
  expect([...tables.entries('redemptions')]).toHaveLength(3);
  tables.serve([7]);
  inner.failures = 1;
  const failed = tables.commit([entry(7)]);
  const again = tables.drain([7]);
  await expect(failed).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
  await again;
});
