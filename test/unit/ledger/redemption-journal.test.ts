/** The journal of redemptions: what outlives the process, how much of it stays, and what is not its own. */
import { expect, test } from 'vitest';
import { shardOfChannel } from '../../../protocol/shard.ts';
import { RedemptionJournal } from '../../../src/ledger/redemption-journal.ts';
import { MemorySideTables } from '../../support/memory-side-tables.ts';

function intent(channelId: bigint) {
  return {
    channelId,
    ledgerChannelId: 'A'.repeat(64),
    hash: 'B'.repeat(64),
    blob: 'C0'.repeat(300),
    sequence: 7,
    firstLedger: 1_000,
    lastLedger: 1_020,
    balanceBefore: 0n,
    balance: 10n ** 17n,
    feeDrops: 10n,
    close: false,
    startedAt: 1_900_000_000,
  };
}
const PAID = { state: 'paid', paid: 10n ** 17n, feeDrops: 10n, reason: 'tesSUCCESS', endedAt: 1_900_000_004 } as const;

test('what was begun is pending at the next start, with all its fields; what ended is not', async () => {
  const tables = new MemorySideTables();
  const journal = new RedemptionJournal(tables);
  await journal.begin(intent(1n));
  const second = await journal.begin(intent(2n));
  await journal.end(second, PAID);
  const next = new RedemptionJournal(tables.kill());
  expect(next.pending()).toEqual([{ ...intent(1n), id: 0n, state: 'pending', paid: 0n, reason: '', endedAt: 0 }]);
  expect(next.pendingOf(1n)?.blob).toBe('C0'.repeat(300));
  expect(next.pendingOf(2n)).toBeUndefined();
  expect([next.paidAt(1n), next.paidAt(2n)]).toEqual([0, 1_900_000_004]);
  expect((await next.begin(intent(3n))).id).toBe(2n);
});

test('the oldest go, and one that is pending stays', async () => {
  const tables = new MemorySideTables();
  const journal = new RedemptionJournal(tables, 3);
  for (let channelId = 0n; channelId < 6n; channelId++) {
    const begun = await journal.begin(intent(channelId));
    if (channelId !== 4n) await journal.end(begun, PAID);
  }
  expect(journal.newest(100).map(({ channelId }) => channelId)).toEqual([5n, 4n, 3n]);
  for (let channelId = 6n; channelId < 9n; channelId++) await journal.end(await journal.begin(intent(channelId)), PAID);
  expect(journal.newest(2).map(({ channelId }) => channelId)).toEqual([8n, 7n]);
  expect(new RedemptionJournal(tables, 3).pending()).toMatchObject([{ channelId: 4n }]);
});

test('an intent that could not be stored is not pending', async () => {
  const tables = new MemorySideTables();
  const journal = new RedemptionJournal(tables);
  tables.failures = 1;
  await expect(journal.begin(intent(1n))).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
  expect(journal.pending()).toEqual([]);
  expect(new RedemptionJournal(tables).pending()).toEqual([]);
});

test('an entry of another kind is told, not passed over: it may be money', async () => {
  const tables = new MemorySideTables();
  await tables.commit([{ table: 'redemptions', key: new Uint8Array(8), value: Buffer.from('{"id":"7"}') }]);
  expect(() => new RedemptionJournal(tables)).toThrow(expect.objectContaining({ code: 'REGISTRY_CORRUPT' }));
});

test('where nodes share a store, entries are of their shards, in one order of time, and the oldest of any go', async () => {
  const inner = new MemorySideTables();
  const shards: (number | undefined)[] = [];
  const commit = inner.commit.bind(inner);
  inner.commit = (changes) => {
    shards.push(...changes.map(({ shard }) => shard));
    return commit(changes);
  };
  const tables = Object.assign(inner, { isSharded: true });
  const journal = new RedemptionJournal(tables, 4);
  const at = (startedAt: number, channelId: bigint) => ({ ...intent(channelId), startedAt });
  // Two of one shard and one of another in one second, and what another node wrote before.
  for (const [startedAt, channelId] of [
    [20, 1n],
    [20, 1n],
    [20, 2n],
    [19, 3n],
  ] as const)
    await journal.end(await journal.begin(at(startedAt, channelId)), PAID);
  expect(new Set([1n, 2n, 3n].map(shardOfChannel)).size).toBe(3);
  expect(shards).toEqual([1n, 1n, 1n, 1n, 2n, 2n, 3n, 3n].map(shardOfChannel));
  const listed = () => journal.newest(9).map(({ channelId, startedAt }) => [startedAt, channelId]);
  expect(listed().at(-1)).toEqual([19, 3n]);
  expect(listed()).toHaveLength(4);
  shards.length = 0;
  await journal.begin(at(21, 2n));
  expect(shards).toEqual([2n, 3n].map(shardOfChannel));
  // What is given away is not forgotten here: nobody may write it.
  const given = new Set([shardOfChannel(1n)]);
  journal.drain(given);
  for (const second of [22, 23, 24]) await journal.end(await journal.begin(at(second, 3n)), PAID);
  expect(listed().map(([, channelId]) => channelId)).toEqual([3n, 3n, 3n, 2n]);
  journal.serve(given);
  expect(listed().filter(([, channelId]) => channelId === 1n)).toHaveLength(2);
  // The next commits forget them.
  await journal.begin(at(25, 3n));
  expect(listed()).toHaveLength(4);
  expect(new RedemptionJournal(tables).newest(9)).toHaveLength(4);
});
