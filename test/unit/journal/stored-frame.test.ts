/** Frames as a journal has them: every size of them, and what is none. */
import { describe, expect, test } from 'vitest';
import { frameBytes } from '../../../protocol/merkle-frame.ts';
import type { StoredGroup } from '../../../src/journal/report.ts';
import { forEachLeaf, framesFault, type StoredLeaf } from '../../../src/journal/stored-frame.ts';

/** A frame with its header in the journal, of a tree of `leaves`; the low and the high word of what was accepted. */
function entryOf(leaves: number, block: number, low: number, high: number): Uint8Array {
  const size = frameBytes(block, leaves);
  const entry = new Uint8Array(12 + size);
  const view = new DataView(entry.buffer);
  view.setUint32(0, low, true);
  view.setUint32(4, high, true);
  view.setUint32(8, size, true);
  entry[12] = 0x03;
  view.setUint16(14, block);
  view.setUint32(16, leaves);
  view.setUint32(20, 77);
  view.setBigUint64(24, 99n);
  const count = Math.min(64, leaves - 64 * block);
  for (let leaf = 0; leaf < count; leaf++) {
    view.setBigUint64(12 + 84 + 16 * leaf, BigInt(1_000 + leaf));
    view.setBigUint64(12 + 84 + 16 * leaf + 8, BigInt(leaf + 1));
  }
  return entry;
}

const fault = (...entries: Uint8Array[]) => {
  const bytes = Buffer.concat(entries);
  return framesFault(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
};

describe('frames', () => {
  test('of all sizes are sound, one after the other, and none is too', () => {
    const entries = [entryOf(1, 0, 1, 0), entryOf(65_536, 1_023, 0, 0x8000_0000), entryOf(65, 1, 1, 0)];
    expect(fault(...entries)).toBeUndefined();
    expect(fault()).toBeUndefined();
  });

  test('say what is wrong with them', () => {
    const changed = (offset: number, value: number) => {
      const entry = entryOf(100, 0, 1, 0);
      new DataView(entry.buffer).setUint32(offset, value, true);
      return fault(entry);
    };
    expect(fault(new Uint8Array(11))).toBe('expected the header of a frame, got 11 bytes');
    expect(changed(8, 0xffff_ffff)).toBe('expected a frame of at most 1140 bytes, got 4294967295');
    expect(changed(8, 0)).toMatch(/a head that says another size/);
    expect(changed(12, 0x01)).toMatch(/a head that says another size/);
    expect(changed(16, 0)).toMatch(/a head that says another size/);
    // Frames of which no leaf was taken were written once.
    expect(changed(0, 0)).toBeUndefined();
    expect(fault(entryOf(100, 0, 1, 0).subarray(0, 500))).toMatch(/at most 488 bytes/);
  });

  test('accept no leaf that is not there', () => {
    for (const count of [1, 31, 32, 33, 63, 64]) {
      const bits = (bit: number): [number, number] => (bit < 32 ? [2 ** bit, 0] : [0, 2 ** (bit - 32)]);
      expect(fault(entryOf(count, 0, ...bits(count - 1)))).toBeUndefined();
      if (count < 64) expect(fault(entryOf(count, 0, ...bits(count)))).toBeDefined();
    }
  });

  test('give each leaf that was accepted, with the numbers of its root and where its frame lies', () => {
    const bytes = Buffer.concat([new Uint8Array(5 + 32 + 96), entryOf(100, 0, 0x8000_0001, 2), entryOf(1, 0, 1, 0)]);
    const group: StoredGroup = {
      bytes,
      offset: 5 + 32,
      count: 1,
      end: bytes.length,
      fileOffset: 4_096,
      number: 1,
      segment: 1,
      time: 0,
    };
    const leaves: StoredLeaf[] = [];
    forEachLeaf(group, (leaf) => leaves.push({ ...leaf }));
    const first = { frameAt: 5 + 32 + 96 + 12, frameBytes: 1_140, fileOffset: 4_096 + 32 + 96 };
    expect(leaves).toMatchObject([
      { ...first, leaf: 0, channelId: 1_000n, amount: 1n, sequence: 77, timestampBits: 99n },
      { ...first, leaf: 31, channelId: 1_031n, amount: 32n },
      { ...first, leaf: 33, channelId: 1_033n, amount: 34n },
      { frameAt: first.frameAt + 1_140 + 12, frameBytes: 100, leaf: 0, fileOffset: first.fileOffset + 1_152 },
    ]);
  });
});
