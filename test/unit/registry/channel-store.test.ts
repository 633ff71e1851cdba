/** The channel store over a registry that fails: what it is behind on stays known. Test's thread. */
import { expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { decodeRow } from '../../../src/channel/row.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { MemoryRegistry } from '../../support/memory-registry.ts';
import { openingOf } from '../../support/wire.ts';

function committed(registry: MemoryRegistry): bigint[] {
  const amounts: bigint[] = [];
  registry.forEachRow((row) => amounts.push(decodeRow(row).committed));
  return amounts;
}

test('rows of a checkpoint that failed are written by the next one, and by it alone', async () => {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };
  const table = new ChannelTable(Arena.create(shape));
  const registry = new MemoryRegistry();
  const store = new ChannelStore(table, registry, async () => {});
  await store.open([1n, 2n, 3n].map((channelId) => openingOf(channelId)));
  const commit = (row: number, amount: bigint) => {
    const channelId = BigInt(row + 1);
    const claim = claimBytes({ channelId, sequence: 1, amount, signature: new Uint8Array(64), timestamp: 0 });
    table.commit(row, new DataView(claim.buffer), 0);
  };
  commit(0, 10n);
  commit(2, 30n);
  registry.failures = 1;
  await expect(store.checkpoint()).rejects.toMatchObject({ code: 'REGISTRY_FULL' });
  expect(committed(registry)).toEqual([0n, 0n, 0n]);
  commit(2, 31n);
  expect(await store.checkpoint()).toBe(2);
  expect(committed(registry)).toEqual([10n, 0n, 31n]);
  expect(await store.checkpoint()).toBe(0);
});
