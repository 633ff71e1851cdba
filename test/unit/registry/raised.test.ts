/** By how much a committed amount was raised without a claim: counted once, also across a kill. Test's thread. */
import { expect, test } from 'vitest';
import { raise, raisedDrops } from '../../../src/registry/raised.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';

test('raises add up, and one that was recorded but not made is counted once', async () => {
  const tables = new MemorySideTables();
  expect(raisedDrops(tables, 7n)).toBe(0n);
  await tables.commit([raise(tables, 7n, 0n, 100n)]);
  expect(raisedDrops(tables, 7n)).toBe(100n);
  // Claims brought it to 150 drops, then the ledger paid 200.
  await tables.commit([raise(tables, 7n, 150n, 200n)]);
  expect(raisedDrops(tables, 7n)).toBe(150n);
  // The process ended before that raise was made; a claim of 170 drops came; the ledger has paid 300 by now.
  await tables.commit([raise(tables, 7n, 170n, 300n)]);
  expect(raisedDrops(tables, 7n)).toBe(230n);
  await tables.commit([raise(tables, 7n, 170n, 300n)]);
  expect(raisedDrops(tables, 7n)).toBe(230n);
  expect(raisedDrops(tables, 8n)).toBe(0n);
});
