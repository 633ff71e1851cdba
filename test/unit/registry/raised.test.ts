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
  await raised.record({ ledgerChannelId, channelId: 1n }, { committed: 0n, spent: 0n, to: 100n });
  expect(raised.of(ledgerChannelId)).toBe(100n);
  // Claims brought it to 150 drops, then the ledger paid 200.
  await raised.record({ ledgerChannelId, channelId: 1n }, { committed: 150n, spent: 20n, to: 200n });
  expect(raised.of(ledgerChannelId)).toBe(150n);
  // The process ended before that raise was made; a claim of 170 drops came, which the ledger would pay nothing for; the
  // ledger has paid 300 by now.
  const next = new RaisedAmounts(tables.kill());
  expect(next.of(ledgerChannelId)).toBe(150n);
  await next.record({ ledgerChannelId, channelId: 1n }, { committed: 170n, spent: 20n, to: 300n });
  expect(next.of(ledgerChannelId)).toBe(250n);
  await next.record({ ledgerChannelId, channelId: 1n }, { committed: 170n, spent: 20n, to: 300n });
  await next.record({ ledgerChannelId, channelId: 1n }, { committed: 300n, spent: 20n, to: 300n });
  expect(next.of(ledgerChannelId)).toBe(250n);
  expect(next.of(openingOf(8n).ledgerChannelId)).toBe(0n);
});

test('a channel whose amount was forgotten sells nothing twice, and what it sold stays paid', async () => {
  const raised = new RaisedAmounts(new MemorySideTables());
  // 30 drops were paid to this node and spent, then the ledger paid 100.
  await raised.record({ ledgerChannelId, channelId: 1n }, { committed: 30n, spent: 30n, to: 100n });
  expect(raised.of(ledgerChannelId)).toBe(70n);
  // Claims brought it to 200 drops, and all was spent. It was removed, and opened again when the ledger had paid 150.
  await raised.record({ ledgerChannelId, channelId: 1n }, { committed: 0n, spent: 130n, to: 150n });
  expect(raised.of(ledgerChannelId)).toBe(70n);
  // Opened by hand instead, with an old claim of 60 drops: that was counted before.
  await raised.record({ ledgerChannelId, channelId: 1n }, { committed: 60n, spent: 130n, to: 250n });
  expect(raised.of(ledgerChannelId)).toBe(120n);
});

test('a raise that the disk had no room for is recorded by the next try', async () => {
  const tables = new MemorySideTables();
  const raised = new RaisedAmounts(tables);
  tables.failures = 1;
  const raise = { committed: 30n, spent: 0n, to: 100n };
  await expect(raised.record({ ledgerChannelId, channelId: 1n }, raise)).rejects.toMatchObject({
    code: 'REGISTRY_FULL',
  });
  await raised.record({ ledgerChannelId, channelId: 1n }, raise);
  expect(new RaisedAmounts(tables.kill()).of(ledgerChannelId)).toBe(70n);
});
