/** The channel store over a registry that fails: what it is behind on stays known. Test's thread. */
import { expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { decodeRow, packedRows } from '../../../src/channel/row.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';
import { openRow } from '../../support/open-channel.ts';
import { openingOf } from '../../support/wire.ts';

function storeOf(registry: MemoryRegistry) {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };
  const table = new ChannelTable(Arena.create(shape));
  /** Amounts before and after, of each raise. */
  const raises: [bigint, bigint][] = [];
  const beforeRaise = async ({ channelId }: { channelId: bigint }, before: bigint, after: bigint) => {
    expect(store.get(channelId)?.committed ?? before).toBe(before);
    raises.push([before, after]);
  };
  /** What happens while a fence is waited for: groups that were open end. */
  const fence = { during: () => {} };
  const store = new ChannelStore(table, registry, async () => fence.during(), beforeRaise);
  return { table, raises, fence, store };
}

/** What a committer does with a durable claim of the channel in this row, whose handle is one more. */
function commit(table: ChannelTable, row: number, amount: bigint): void {
  const channelId = BigInt(row + 1);
  const claim = claimBytes({ channelId, sequence: 1, amount, signature: new Uint8Array(64), timestamp: 0 });
  table.commit(row, new DataView(claim.buffer), 0);
}

function committed(registry: MemoryRegistry): bigint[] {
  const amounts: bigint[] = [];
  registry.forEachRow((row) => amounts.push(decodeRow(row).committed));
  return amounts;
}

test('rows of a checkpoint that failed are written by the next one, and by it alone', async () => {
  const registry = new MemoryRegistry();
  const { table, store } = storeOf(registry);
  await store.open([1n, 2n, 3n].map((channelId) => openingOf(channelId)));
  commit(table, 0, 10n);
  commit(table, 2, 30n);
  registry.failures = 1;
  await expect(store.checkpoint()).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
  expect(committed(registry)).toEqual([0n, 0n, 0n]);
  commit(table, 2, 31n);
  expect(await store.checkpoint()).toBe(2);
  expect(committed(registry)).toEqual([10n, 0n, 31n]);
  expect(await store.checkpoint()).toBe(0);
});

test('a lease ends claims before the expiry, and is in no row that is read or stored', async () => {
  const registry = new MemoryRegistry();
  const { table, store } = storeOf(registry);
  await store.open([openingOf(1n, { expiresAt: 1_000 }), openingOf(2n)]);
  const ends = (row: number) => table.read(row).expiresAt;
  store.lease(1n, 500);
  store.lease(2n, 600);
  expect([ends(0), ends(1)]).toEqual([500, 600]);
  expect(store.list(0, 2).map(({ expiresAt }) => expiresAt)).toEqual([1_000, 0]);
  await store.update(1n, { expiresAt: 400 });
  await store.update(2n, { capacity: 2_000_000n });
  expect([ends(0), ends(1)]).toEqual([400, 600]);
  await store.update(1n, { expiresAt: 0 });
  store.lease(2n, 0);
  expect([ends(0), ends(1)]).toEqual([500, 0]);
  await store.remove([1n], false);
  await store.open([openingOf(1n, { expiresAt: 2_000 })]);
  // Who watched it may have stopped doing so, and would extend nothing.
  expect(ends(0)).toBe(2_000);
  const stored: number[] = [];
  registry.forEachRow((row) => stored.push(decodeRow(row).expiresAt));
  expect(stored).toEqual([2_000, 0]);
  expect(() => store.lease(3n, 5)).toThrow(/channel 3: expected an open channel/);
});

test('a committed amount is raised without a claim, durably, and never lowered', async () => {
  const registry = new MemoryRegistry();
  const { table, store } = storeOf(registry);
  await store.open([{ ...openingOf(1n), committed: 70n }]);
  expect(committed(registry)).toEqual([70n]);
  expect(await store.raise(1n, 60n)).toMatchObject({ committed: 70n });
  const claim = claimBytes({
    channelId: 1n,
    sequence: 1,
    amount: 80n,
    signature: new Uint8Array(64).fill(1),
    timestamp: 0,
  });
  table.commit(0, new DataView(claim.buffer), 0);
  expect(await store.raise(1n, 90n)).toMatchObject({ committed: 90n, signature: new Uint8Array(64) });
  expect(committed(registry)).toEqual([90n]);
  // Who is told ALREADY is told that it is durable: what the disk has not taken is not in force.
  registry.failures = 1;
  await expect(store.raise(1n, 100n)).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
  expect(store.get(1n)!.committed).toBe(90n);
  const raised = store.raise(1n, 100n);
  await Promise.resolve();
  expect([store.get(1n)!.committed, committed(registry)]).toEqual([90n, [90n]]);
  expect(await raised).toMatchObject({ committed: 100n });
  expect(committed(registry)).toEqual([100n]);
});

test('a raise is told before it is made, and none is told of a channel that is refused', async () => {
  const registry = new MemoryRegistry();
  const { table, store, raises } = storeOf(registry);
  const { ledgerChannelId } = openingOf(1n);
  await store.open([{ ...openingOf(1n), channelId: 5n }]);
  // The ledger's side opens channels by their default handles: this one is open under another.
  const { refused } = await store.open([{ ...openingOf(1n), committed: 70n }]);
  expect(refused).toMatchObject([{ code: 'CHANNEL_EXISTS' }]);
  expect(raises).toEqual([]);
  await store.raise(5n, 30n);
  await store.raise(5n, 20n);
  expect(raises).toEqual([[0n, 30n]]);
  expect(table.ledgerId(0)).toEqual(ledgerChannelId);
});

test('a removed channel comes back with what the ledger has paid since', async () => {
  const registry = new MemoryRegistry();
  const { table, store, raises } = storeOf(registry);
  await store.open([openingOf(1n)]);
  const claim = claimBytes({
    channelId: 1n,
    sequence: 1,
    amount: 50n,
    signature: new Uint8Array(64).fill(7),
    timestamp: 0,
  });
  table.commit(0, new DataView(claim.buffer), 0);
  await store.remove([1n], true);
  await store.open([{ ...openingOf(1n), committed: 40n }]);
  expect(store.get(1n)).toMatchObject({ committed: 50n, signature: new Uint8Array(64).fill(7) });
  await store.remove([1n], true);
  await store.open([{ ...openingOf(1n), committed: 90n }]);
  expect(store.get(1n)).toMatchObject({ committed: 90n, signature: new Uint8Array(64), state: 'open' });
  expect(committed(registry)).toEqual([90n]);
  expect(raises).toEqual([[50n, 90n]]);
});

test("a channel's version changes with each change that no claim makes, and with no claim", async () => {
  const { table, store } = storeOf(new MemoryRegistry());
  await store.open([openingOf(1n)]);
  const seen = [store.version(1n)];
  const claim = claimBytes({ channelId: 1n, sequence: 1, amount: 5n, signature: new Uint8Array(64), timestamp: 0 });
  table.commit(0, new DataView(claim.buffer), 0);
  expect(store.version(1n)).toBe(seen[0]);
  await store.update(1n, { capacity: 2_000_000n });
  seen.push(store.version(1n));
  await store.update(1n, { expiresAt: 2_000 });
  seen.push(store.version(1n));
  await store.close(1n);
  seen.push(store.version(1n));
  expect(new Set(seen).size).toBe(4);
  await store.remove([1n], true);
  expect([store.version(1n), store.version(2n)]).toEqual([undefined, undefined]);
  await store.open([openingOf(1n, { capacity: 2_000_000n, expiresAt: 2_000 })]);
  expect(seen).not.toContain(store.version(1n));
});

test('a channel is closed before its fence; what a group commits until then is in the row that is told and stored', async () => {
  const registry = new MemoryRegistry();
  const { table, fence, store } = storeOf(registry);
  await store.open([openingOf(1n)]);
  fence.during = () => {
    expect(table.read(0).state).toBe('closed');
    commit(table, 0, 7n);
  };
  expect(await store.close(1n)).toMatchObject({ state: 'closed', committed: 7n });
  expect(committed(registry)).toEqual([7n]);
});

test('a lower capacity is in force before its fence; where a group has passed it until then, it is refused and taken back', async () => {
  const { table, fence, store } = storeOf(new MemoryRegistry());
  await store.open([openingOf(1n, { capacity: 100n })]);
  fence.during = () => {
    expect(table.read(0).capacity).toBe(50n);
    commit(table, 0, 60n);
  };
  await expect(store.update(1n, { capacity: 50n })).rejects.toMatchObject({ code: 'CAPACITY_BELOW_COMMITTED' });
  expect(store.get(1n)).toMatchObject({ capacity: 100n, committed: 60n });
});

test('a higher capacity and a later expiry are durable before they are in force', async () => {
  const registry = new MemoryRegistry();
  const { table, store } = storeOf(registry);
  await store.open([openingOf(1n, { capacity: 100n, expiresAt: 1_000 })]);
  const replace = registry.replace.bind(registry);
  registry.replace = async (...rows) => {
    expect(table.read(0)).toMatchObject({ capacity: 100n, expiresAt: 1_000 });
    await replace(...rows);
    expect(table.read(0)).toMatchObject({ capacity: 100n, expiresAt: 1_000 });
  };
  expect(await store.update(1n, { capacity: 200n, expiresAt: 2_000 })).toMatchObject({ capacity: 200n });
  expect(table.read(0)).toMatchObject({ capacity: 200n, expiresAt: 2_000 });
});

test('a change or an end that the registry did not take is undone, and the caller is told; the next one is taken', async () => {
  const registry = new MemoryRegistry();
  const { table, store } = storeOf(registry);
  await store.open([openingOf(1n, { capacity: 1_000n, expiresAt: 4_000 })]);
  const [before] = store.list(0, 1);
  for (const change of [{ capacity: 2_000n }, { capacity: 500n }, { expiresAt: 9_000 }]) {
    registry.failures = 1;
    await expect(store.update(1n, change)).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
    expect(store.list(0, 1)).toEqual([before]);
    expect([table.read(0).capacity, table.read(0).expiresAt]).toEqual([1_000n, 4_000]);
  }
  registry.failures = 1;
  await expect(store.close(1n)).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
  expect(store.get(1n)?.state).toBe('open');
  expect((await store.update(1n, { capacity: 2_000n })).capacity).toBe(2_000n);
});

test('channels opened by packed rows are those that were removed elsewhere, where the registry tells of such', async () => {
  const gone = new MemoryRegistry();
  const asked: bigint[][] = [];
  const registry = Object.assign(gone, {
    readRemoved: async (channelIds: readonly bigint[]) => {
      asked.push([...channelIds]);
      return packedRows([{ ...openRow(2n), ...openingOf(2n), committed: 70n, sequence: 3, state: 'removed' }]);
    },
  });
  const { store } = storeOf(registry);
  await store.open([openingOf(1n)]);
  const result = await store.open([openingOf(1n), openingOf(2n), openingOf(3n)]);
  expect(result).toMatchObject({ opened: 2, unchanged: 1, refused: [] });
  expect(asked).toEqual([[1n], [2n, 3n]]);
  // What was paid stays paid: its payer cannot sell the same drops again.
  expect([1n, 2n, 3n].map((channelId) => store.get(channelId)?.committed)).toEqual([0n, 70n, 0n]);
});

test('an opening with a key that is no point is refused at its place, and the others are opened', async () => {
  const { store } = storeOf(new MemoryRegistry());
  const broken = { ...openingOf(2n), publicKey: new Uint8Array(33).fill(2) };
  const result = await store.open([
    openingOf(1n),
    { ...broken, publicKey: broken.publicKey.fill(0xff, 1) },
    openingOf(3n),
  ]);
  expect(result).toMatchObject({ opened: 2, refused: [{ index: 1, code: 'INPUT_INVALID' }] });
});
