/** By how much a committed amount was raised without a claim: counted once, also across a kill. Test's thread. */
import { expect, test } from 'vitest';
import { RaisedAmounts } from '../../../src/registry/raised.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';
import { openingOf } from '../../support/wire.ts';

const { ledgerChannelId } = openingOf(7n);

test('raises add up, and one that was recorded but not made is counted once', async () => {
  const tables = new MemorySideTables();
  const raised = new RaisedAmounts(tables);
  expect(raised.of(ledgerChannelId)).toBe(0n);
  await raised.record(ledgerChannelId, 0n, 100n);
  expect(raised.of(ledgerChannelId)).toBe(100n);
  // Claims brought it to 150 drops, then the ledger paid 200.
  await raised.record(ledgerChannelId, 150n, 200n);
  expect(raised.of(ledgerChannelId)).toBe(150n);
  // The process ended before that raise was made; a claim of 170 drops came; the ledger has paid 300 by now.
  const next = new RaisedAmounts(tables.kill());
  expect(next.of(ledgerChannelId)).toBe(150n);
  await next.record(ledgerChannelId, 170n, 300n);
  expect(next.of(ledgerChannelId)).toBe(230n);
  await next.record(ledgerChannelId, 170n, 300n);
  await next.record(ledgerChannelId, 300n, 300n);
  expect(next.of(ledgerChannelId)).toBe(230n);
  expect(next.of(openingOf(8n).ledgerChannelId)).toBe(0n);
});
