/** Leaves and nodes in C against the specification, at every width that a vector and what is left of it can have. */
import { expect, test } from 'vitest';
import { portableTreeHash, type TreeHash } from '../../../protocol/merkle.ts';
import { loadAddon } from '../../../src/native/addon.ts';
import { treeHash, treeHashName } from '../../../src/verify/tree-hash.ts';
import { describeNative } from '../../support/native-only.ts';
import { random as randomOf } from '../../support/random.ts';

const SEED = 7;

function hashesOf(hash: TreeHash, count: number, bytes: Uint8Array): { leaves: Uint8Array; nodes: Uint8Array } {
  const leaves = new Uint8Array(count * 32 + 8);
  hash.leaves(bytes, 3, bytes, 5, 0xfedc_ba98, count, leaves, 8);
  const nodes = bytes.slice(0, count * 64);
  // In place: each node where the first of its pair was.
  hash.nodes(nodes, 0, count, nodes, 0);
  return { leaves, nodes: nodes.slice(0, count * 32) };
}

describeNative('the hashes in C', () => {
  test('are those of the specification for counts around the widths of vectors', () => {
    const random = randomOf(SEED);
    const hash = treeHash();
    expect(hash).not.toBe(portableTreeHash);
    expect(treeHashName()).toMatch(/^(avx512|avx2|sha-ni|arm-sha2|plain)/);
    for (const count of [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130]) {
      const bytes = random.bytes(count * 64 + 64);
      expect(hashesOf(hash, count, bytes), `${count}`).toEqual(hashesOf(portableTreeHash, count, bytes));
    }
  });

  test('refuse a range that is not inside the bytes', () => {
    const { leaves, nodes } = treeHash();
    const [two, one] = [new Uint8Array(64), new Uint8Array(32)];
    expect(() => leaves(two, 33, one, 0, 1, 1, one, 0)).toThrow(/32 bytes of id/);
    expect(() => leaves(one, 0, one, 17, 1, 1, one, 0)).toThrow(/32 bytes of id/);
    expect(() => leaves(one, 0, one, 0, 1, 1, one, 1)).toThrow(/32 bytes of id/);
    expect(() => nodes(two, 1, 1, one, 0)).toThrow(/two hashes/);
    expect(() => nodes(two, 0, 1, one, 0xffff_ffff)).toThrow(/two hashes/);
    expect(() => nodes(two, 0, 0xffff_ffff, one, 0)).toThrow(/two hashes/);
    expect(() => loadAddon<{ merkleNodes(): void }>().merkleNodes()).toThrow(/hashes and out/);
    expect(() => loadAddon<{ merkleLeaves(): void }>().merkleLeaves()).toThrow(/ids, leaves and out/);
  });
});
