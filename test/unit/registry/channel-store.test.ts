/** The channel store over a registry that fails: what it is behind on stays known. Test's thread. */
import { expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { ROW, ROW_BYTES } from '../../../src/channel/row.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import type { Registry } from '../../../src/registry/registry.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { openingOf } from '../../support/wire.ts';

/** A registry in memory; its next commits of replaced rows fail as often as asked. */
class FakeRegistry {
  readonly rows: Uint8Array[] = [];
  failures = 0;
  async replace(positions: readonly number[], rows: Uint8Array): Promise<void> {
    const copy = rows.slice();
    await Promise.resolve();
    if (this.failures-- > 0) throw new Error('EIO');
    for (let index = 0; index * ROW_BYTES < copy.length; index++)
      this.rows[positions[index] ?? this.rows.length] = copy.slice(index * ROW_BYTES, (index + 1) * ROW_BYTES);
  }
  committed(row: number): bigint {
    const bytes = this.rows[row]!;
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(ROW.committed, true);
  }
}

test('rows of a checkpoint that failed are written by the next one, and by it alone', async () => {
  const shape = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };
  const table = new ChannelTable(Arena.create(shape));
  const registry = new FakeRegistry();
  const store = new ChannelStore(table, registry as unknown as Registry, async () => {});
  await store.open([1n, 2n, 3n].map((channelId) => openingOf(channelId)));
  const commit = (row: number, amount: bigint) => {
    const channelId = BigInt(row + 1);
    const claim = claimBytes({ channelId, sequence: 1, amount, signature: new Uint8Array(64), timestamp: 0 });
    table.commit(row, new DataView(claim.buffer), 0);
  };
  commit(0, 10n);
  commit(2, 30n);
  registry.failures = 1;
  await expect(store.checkpoint()).rejects.toThrow('EIO');
  expect([0, 1, 2].map((row) => registry.committed(row))).toEqual([0n, 0n, 0n]);
  commit(2, 31n);
  expect(await store.checkpoint()).toBe(2);
  expect([0, 1, 2].map((row) => registry.committed(row))).toEqual([10n, 0n, 31n]);
  expect(await store.checkpoint()).toBe(0);
});
