/** The one description of an arena for C: what it says of each region, and that C takes none that does not fit. */
import { describe, expect, test } from 'vitest';
import { loadAddon } from '../../../src/native/addon.ts';
import { FILTER_CELLS } from '../../../src/path/duplicate-filter.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { ARENA_LAYOUT, arenaLayout } from '../../../src/ring/arena-layout.ts';
import { ClaimRing } from '../../../src/ring/claim-ring.ts';
import { NativeKernel } from '../../../src/verify/native.ts';
import { isNativeTested } from '../../support/native-only.ts';

const SHAPE = { kernelBytes: 0, rings: 2, ringSlots: 16, ackSlots: 32, threads: 1, channelsMax: 5 };
const arena = Arena.create(SHAPE);
const ring = new ClaimRing(arena, 1);

test('says where the second ring and the rows lie, and how many there are', () => {
  const layout = arenaLayout(arena, ring);
  const { plan } = arena;
  expect(Object.fromEntries(ARENA_LAYOUT.map(([name], index) => [name, layout[index]]))).toEqual({
    slots: plan.slots.offset + 16 * 128,
    slot_mask: 15,
    committed: ring.committedOffset,
    channel_index: plan.channelIndex.offset,
    index_mask: 7,
    rows: plan.rows.offset,
    rows_max: 5,
    ledger_heads: plan.ledgerHeads.offset,
    ledger_tails: plan.ledgerTails.offset,
    signatures: plan.signatures.offset,
    keys: plan.keys.offset,
  });
  Atomics.store(arena.words, ring.committedOffset >>> 2, 7);
  expect(ring.committed).toBe(7);
});

describe.runIf(isNativeTested)('C', () => {
  type Call = (...given: unknown[]) => unknown;
  const addon = isNativeTested ? loadAddon<Record<string, Call>>() : {};
  if (isNativeTested) new NativeKernel(1);
  const attach = (bytes: Uint8Array, layout: Uint32Array) => addon.attach!(bytes, layout);
  const openPath = (bytes: Uint8Array, layout: Uint32Array) =>
    addon.pathOpen!(bytes, layout, new Uint32Array(FILTER_CELLS), new Uint32Array(4), null, 0);
  const layout = arenaLayout(arena, ring);
  const place = (name: string) => ARENA_LAYOUT.findIndex(([field]) => field === name);

  test.each([
    ['attach', attach],
    ['pathOpen', openPath],
  ])('%s takes an arena by its layout, and no other', (_name, open) => {
    open(arena.bytes, layout);
    const end = layout[place('keys')]! + 5 * 36;
    open(arena.bytes.subarray(0, end), layout);
    expect(() => open(arena.bytes.subarray(0, end - 1), layout)).toThrow('expected');
    for (const count of [0, ARENA_LAYOUT.length - 1, ARENA_LAYOUT.length + 1])
      expect(() => open(arena.bytes, new Uint32Array(count)), `${count} fields`).toThrow('expected');
  });

  test.each(ARENA_LAYOUT.map(([name]) => name))('%s past the arena, or not in words, is refused', (name) => {
    const isCount = name === 'slot_mask' || name === 'index_mask' || name === 'rows_max';
    for (const wrong of isCount
      ? [2 ** 24 - 1, 2 ** 32 - 1]
      : [arena.bytes.length, 2 ** 32 - 4, layout[place(name)]! + 2]) {
      const changed = layout.with(place(name), wrong);
      expect(() => attach(arena.bytes, changed), `attach ${wrong}`).toThrow('expected');
      expect(() => openPath(arena.bytes, changed), `pathOpen ${wrong}`).toThrow('expected');
    }
  });

  test('a mask has every bit up to its highest', () => {
    for (const name of ['slot_mask', 'index_mask'])
      expect(() => attach(arena.bytes, layout.with(place(name), 10)), name).toThrow('expected masks of 2^k - 1');
  });
});
