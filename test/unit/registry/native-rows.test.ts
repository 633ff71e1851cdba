/** Whole leaf pages in C against their twins in TypeScript: the same table from the same file, and no damaged page is taken. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Channel } from '../../../src/channel/row.ts';
import { packedRows } from '../../../src/channel/row.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { loadChannels } from '../../../src/folder/data-folder.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { rowOfLeaf, walkRegistry } from '../../../src/registry/check.ts';
import { nativeLeafCheck, nativeLeafLoad } from '../../../src/registry/native-rows.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { random } from '../../support/random.ts';

const work = mkdtempSync(join(tmpdir(), 'claimwire-native-rows-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

const ROWS = 3_000;
const from = random(7);
const keys = Array.from({ length: 60 }, (_, key) => Uint8Array.of(key === 9 ? 0xed : 2, ...from.bytes(32)));

/** One in some is not plain: removed, thrown away, closed, of a link, with an Ed25519 key, or with a handle of its own. */
function channelOf(): Channel {
  const ledgerChannelId = from.bytes(32);
  const committed = from.below(3) === 0 ? from.u64() : 0n;
  const channel: Channel = {
    channelId: from.below(40) === 0 ? from.u64() : new DataView(ledgerChannelId.buffer).getBigUint64(0),
    ledgerChannelId,
    publicKey: keys[from.below(keys.length)]!,
    capacity: from.u64(),
    committed,
    sequence: from.u32(),
    timestampBits: from.u64(),
    signature: committed === 0n ? new Uint8Array(64) : from.bytes(64),
    profile: from.below(4) === 0 ? 'link' : 'xrpl',
    state: from.below(50) === 0 ? 'removed' : from.below(9) === 0 ? 'closed' : 'open',
    expiresAt: from.below(2) === 0 ? 0 : from.u32(),
  };
  return from.below(5) === 0 ? { ...channel, throwAway: true } : channel;
}

async function filled(name: string, rows: number): Promise<Registry> {
  const registry = Registry.open(join(work, name));
  await registry.replace([], packedRows(Array.from({ length: rows }, channelOf)));
  return registry;
}

/** All bytes of a table that a registry was loaded into, and how many rows and keys it counts. */
function loaded(registry: Registry, isNative: boolean, channelsMax = ROWS) {
  const arena = Arena.create({ kernelBytes: 0, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax });
  const table = new ChannelTable(arena);
  const store = new ChannelStore(table, registry, async () => {});
  loadChannels(registry, store, isNative ? nativeLeafLoad(table) : undefined);
  return { bytes: Buffer.from(arena.bytes), rows: table.rows, keys: table.keys, count: store.count };
}

test.skipIf(nativeLeafCheck() === undefined)('the table is the same, byte for byte', async () => {
  const registry = await filled('same', ROWS);
  const native = loaded(registry, true);
  const portable = loaded(registry, false);
  expect(native.rows).toBe(ROWS);
  expect([native.rows, native.keys, native.count]).toEqual([portable.rows, portable.keys, portable.count]);
  expect(native.bytes.equals(portable.bytes)).toBe(true);
  for (const isNative of [true, false])
    expect(() => loaded(registry, isNative, ROWS - 1)).toThrowError(expect.objectContaining({ code: 'TABLE_FULL' }));
  await registry.close();
});

test.skipIf(nativeLeafCheck() === undefined)(
  'no page with a flipped bit is taken for sound with other rows',
  async () => {
    const registry = await filled('flipped', 100);
    await registry.close();
    const check = nativeLeafCheck()!;
    const transaction = 1_000;
    const leaves: { page: Uint8Array; rows: number; first: number }[] = [];
    let first = 0;
    walkRegistry(
      join(work, 'flipped'),
      () => first++,
      (page, rows) => {
        leaves.push({ page: page.slice(), rows, first });
        first += rows;
      },
    );
    expect(first).toBe(100);
    const leaf = leaves[0]!;
    const { page, rows } = leaf;
    const number = new DataView(page.buffer).getUint32(0, true);
    const rowsOf = (bytes: Uint8Array, count: number) =>
      Array.from({ length: count }, (_, row) => Buffer.from(rowOfLeaf(bytes, row)).toString('latin1')).join();
    const before = rowsOf(page, rows);
    expect(check(page, number, transaction, leaf.first)).toBe(rows);
    expect(check(page, number + 1, transaction, leaf.first)).toBe(0);
    expect(check(page, number, transaction, leaf.first + 1)).toBe(0);
    expect(check(page, number, 0, leaf.first)).toBe(0);
    let refused = 0;
    for (let bit = 0; bit < 8 * page.length; bit += from.below(9) + 1) {
      const damaged = page.slice();
      damaged[bit >>> 3]! ^= 1 << (bit & 7);
      const count = check(damaged, number, transaction, leaf.first);
      if (count === 0) refused++;
      else expect([count, rowsOf(damaged, count)]).toEqual([rows, before]);
    }
    expect(refused).toBeGreaterThan(5_000);
  },
);
