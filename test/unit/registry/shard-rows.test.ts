/** Channels of shards that a node gets and gives away: the store over a registry in memory and a real table. */
import { expect, test } from 'vitest';
import { shardOfChannel } from '../../../protocol/shard.ts';
import { decodeRow, packedRows, ROW_BYTES } from '../../../src/channel/row.ts';
import { ChannelTable, highHalf, lowHalf } from '../../../src/channel/table.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { openingOf, signedClaim } from '../../support/wire.ts';

const [A, B] = [1n, 2n];
const [shardA, shardB] = [shardOfChannel(A), shardOfChannel(B)];

function open() {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 4 };
  const table = new ChannelTable(Arena.create(shape));
  const written: Uint8Array[] = [];
  const registry = {
    replace: async (_rows: readonly number[], packed: Uint8Array) => {
      for (let at = 0; at < packed.length; at += ROW_BYTES) written.push(packed.slice(at, at + ROW_BYTES));
    },
  };
  const store = new ChannelStore(table, registry as never, async () => {});
  return { table, store, written };
}

function rowOf(table: ChannelTable, id: bigint): number {
  return table.find(highHalf(id), lowHalf(id));
}

function commit(table: ChannelTable, id: bigint, amount: bigint): void {
  const claim = signedClaim(id, amount);
  table.commit(rowOf(table, id), new DataView(claim.buffer, claim.byteOffset), 0);
}

function isOpen(table: ChannelTable, id: bigint): boolean {
  return table.read(rowOf(table, id)).state === 'open';
}

test('a shard is drained, written and dropped; the others are not touched', async () => {
  const { table, store, written } = open();
  await store.open([openingOf(A), openingOf(B)]);
  store.shards.only([shardA, shardB]);
  commit(table, A, 70n);
  commit(table, B, 50n);
  written.length = 0;

  await store.shards.drain([shardA]);
  expect([isOpen(table, A), isOpen(table, B)]).toEqual([false, true]);
  await expect(store.close(A)).rejects.toMatchObject({ code: 'MOVED' });
  expect((await store.open([openingOf(A)])).refused[0]).toMatchObject({ code: 'MOVED' });
  expect((await store.remove([A], true)).refused[0]).toMatchObject({ code: 'MOVED' });
  await store.shards.write([shardA]);
  // An open channel is open for whoever loads it next.
  expect(written.map((row) => decodeRow(row))).toMatchObject([{ channelId: A, committed: 70n, state: 'open' }]);
  store.shards.drop([shardA]);
  expect([store.get(A), store.get(B)?.committed, store.count]).toEqual([undefined, 50n, 1]);
  written.length = 0;
  await store.checkpoint();
  expect(written.map((row) => decodeRow(row).channelId)).toEqual([B]);
});

test('a shard that comes back takes its rows again, with what was committed elsewhere, and is open once it is served', async () => {
  const { table, store } = open();
  await store.open([openingOf(A), openingOf(B)]);
  store.shards.only([shardA, shardB]);
  commit(table, A, 70n);
  const elsewhere = { ...store.get(A)!, committed: 90n, signature: new Uint8Array(64).fill(9) };
  for (let move = 0; move < 10; move++) {
    await store.shards.drain([shardA]);
    store.shards.drop([shardA]);
    store.shards.load(packedRows([elsewhere]));
    expect([isOpen(table, A), store.get(A)?.state]).toEqual([false, 'open']);
    store.shards.serve([shardA]);
    expect([isOpen(table, A), table.rows, store.count]).toEqual([true, 2, 2]);
  }
  expect(store.get(A)).toEqual(elsewhere);
  commit(table, A, 91n);
  await store.close(A);
  expect(store.get(A)).toMatchObject({ committed: 91n, state: 'closed' });
});

test('rows of channels that were never here are added; closed ones stay closed; a full table says so', async () => {
  const { table, store } = open();
  await store.open([openingOf(B)]);
  store.shards.only([shardB]);
  const other = open();
  await other.store.open([1n, 3n, 4n, 5n].map((id) => openingOf(id)));
  await other.store.close(3n);
  const rows = packedRows([1n, 3n, 4n, 5n].map((id) => other.store.get(id)!));
  store.shards.load(rows.subarray(0, 3 * ROW_BYTES));
  store.shards.serve([1n, 3n, 4n].map(shardOfChannel));
  expect([isOpen(table, 1n), isOpen(table, 3n), isOpen(table, 4n)]).toEqual([true, false, true]);
  expect(() => store.shards.load(rows)).toThrow(expect.objectContaining({ code: 'TABLE_FULL' }));
});

test('a handle under which another channel comes back is refused', async () => {
  const { store } = open();
  await store.open([openingOf(A)]);
  store.shards.only([shardA]);
  const another = {
    ...store.get(A)!,
    publicKey: store.get(A)!.publicKey.map((byte, index) => (index === 0 ? byte : 7)),
  };
  await store.shards.drain([shardA]);
  store.shards.drop([shardA]);
  expect(() => store.shards.load(packedRows([another]))).toThrow('expected the channel that this node had');
});
