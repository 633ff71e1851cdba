/**
 * Merkle batches: every frame of a tree leads to its root alone, and whatever is altered leads to another one. A signature that hashes
 * what it signs stands for the curve's: what is tested here is that all of the frame is in what was signed.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FRAME_MERKLE,
  MERKLE_BLOCK,
  MERKLE_FRAME_BYTES_MAX,
  MERKLE_HEAD_BYTES,
  MERKLE_LEAF_BYTES,
  MERKLE_LEAVES,
  MERKLE_LEAVES_MAX,
} from '../../../protocol/layout.ts';
import {
  auditPath,
  blocksOf,
  buildTree,
  checkProof,
  type LeafProof,
  leafHash,
  pathLength,
  portableTreeHash,
  rootPreimage,
} from '../../../protocol/merkle.ts';
import {
  emptyFrameHead,
  frameBytes,
  frameRoot,
  merkleFrameBytes,
  readFrameHead,
  type SignedTree,
  writeFrame,
  writeFrames,
} from '../../../protocol/merkle-frame.ts';
import { brieflyOrAtLength } from '../../support/length.ts';

const RUNS = brieflyOrAtLength(25, 2_000);
const KEY = new Uint8Array(33).fill(2);
const TIMESTAMP = Uint8Array.from([0x42, 0x79, 0xb7, 0xca, 0x98, 0xf2, 0xe0, 0x00]);

const sign = (preimage: Uint8Array, key: Uint8Array = KEY): Uint8Array =>
  createHash('sha512').update(key).update(preimage).digest();
const verifies = (preimage: Uint8Array, signature: Uint8Array, key: Uint8Array): boolean =>
  Buffer.compare(sign(preimage, key), signature) === 0;

interface Batch extends SignedTree {
  ids: Uint8Array;
  root: Uint8Array;
}

/** A signed tree of `count` leaves, of channels and amounts made from their numbers. */
function batch(count: number, sequence = 7): Batch {
  const ids = new Uint8Array(count * 32);
  const wire = new Uint8Array(count * MERKLE_LEAF_BYTES);
  const view = new DataView(wire.buffer);
  for (let index = 0; index < count; index++) {
    const id = Uint8Array.of(index >>> 8, index, 1, 2, 3, 4, 5, 6);
    ids.set(id, index * 32);
    wire.set(id, index * MERKLE_LEAF_BYTES);
    view.setBigUint64(index * MERKLE_LEAF_BYTES + 8, 1_000n + BigInt(index));
  }
  const hashes = new Uint8Array(count * 32);
  portableTreeHash.leaves(ids, 0, wire, 0, sequence, count, hashes, 0);
  const levels = buildTree(hashes, count);
  const root = levels.at(-1)!.slice(0, 32);
  const signature = sign(rootPreimage(root, count, sequence, TIMESTAMP));
  return { ids, root, levels, wire, leaves: count, sequence, timestamp: TIMESTAMP, signature };
}

function frameOf(tree: SignedTree, block: number): Uint8Array {
  const out = new Uint8Array(MERKLE_FRAME_BYTES_MAX);
  return out.slice(0, writeFrame(tree, block, out, 0));
}

/** Judges a frame as a node does: by itself, with nothing but the ids of its channels. */
function holds(frame: Uint8Array, idsOf: (block: number, count: number) => Uint8Array): boolean {
  const head = emptyFrameHead();
  if (!readFrameHead(frame, 0, frame.length, head) || head.size !== frame.length) return false;
  const root = new Uint8Array(32);
  frameRoot(frame, 0, head, idsOf(head.block, head.count), root, 0);
  const preimage = rootPreimage(root, head.leaves, head.sequence, frame.slice(12, 20));
  return verifies(preimage, frame.slice(20, 84), KEY);
}

const idsIn = (tree: Batch) => (block: number, count: number) =>
  tree.ids.slice(block * 2_048, block * 2_048 + count * 32);

/** The tree hash as RFC 6962 writes it, over node's own SHA-256. */
function recursive(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!;
  let half = 1;
  while (half * 2 < hashes.length) half *= 2;
  const node = createHash('sha256').update(Uint8Array.of(1));
  return node
    .update(recursive(hashes.slice(0, half)))
    .update(recursive(hashes.slice(half)))
    .digest();
}

const size = fc.oneof(
  fc.integer({ min: 1, max: 400 }),
  fc.constantFrom(1, 2, 63, 64, 65, 127, 128, 129, 192, 257, 321),
);

describe('tree', () => {
  it('is the recursive one of RFC 6962, for every number of leaves to 140', () => {
    const all = Array.from({ length: 140 }, (_, index) => leafHash(new Uint8Array(32).fill(index), 1, BigInt(index)));
    for (let count = 1; count <= all.length; count++) {
      const levels = buildTree(Buffer.concat(all.slice(0, count)), count);
      expect(Buffer.compare(levels.at(-1)!.subarray(0, 32), recursive(all.slice(0, count)))).toBe(0);
    }
  });

  it('is the same in levels that a larger tree was built in before', () => {
    const levels: Uint8Array[] = [];
    for (const count of [300, 7, 129, 1, 64]) {
      const { ids, wire, root } = batch(count);
      const hashes = new Uint8Array(count * 32);
      portableTreeHash.leaves(ids, 0, wire, 0, 7, count, hashes, 0);
      buildTree(hashes, count, portableTreeHash, levels);
      expect(levels.at(-1)!.slice(0, 32)).toEqual(root);
    }
  });

  it('takes 1 to 65,536 leaves', () => {
    for (const count of [0, -1, 1.5, MERKLE_LEAVES_MAX + 1])
      expect(() => buildTree(new Uint8Array(0), count)).toThrow(`expected 1..65536, got ${count}`);
    expect(() => leafHash(new Uint8Array(31), 0, 0n)).toThrow('expected 32 bytes, got 31');
  });

  it('hashes a leaf to what no node hashes to, and a leaf of one block of SHA-256', () => {
    const id = new Uint8Array(32).fill(9);
    const preimage = Buffer.concat([
      Buffer.from('\0claimwire\x01'),
      id,
      Buffer.from('000000070000000000000005', 'hex'),
    ]);
    expect(preimage.length).toBe(55);
    expect(leafHash(id, 7, 5n)).toEqual(Uint8Array.from(createHash('sha256').update(preimage).digest()));
  });
});

describe('frame', () => {
  it('of every block has the size that its head tells, at most 1,428 bytes, and holds alone', () => {
    fc.assert(
      fc.property(size, (count) => {
        const tree = batch(count);
        const all = new Uint8Array(blocksOf(count) * MERKLE_FRAME_BYTES_MAX);
        const seen: number[] = [];
        const bytes = writeFrames(tree, all, (at, length) => {
          seen.push(at);
          expect(merkleFrameBytes(all, at, all.length)).toBe(length);
          expect(length).toBeLessThanOrEqual(MERKLE_FRAME_BYTES_MAX);
          expect(holds(all.slice(at, at + length), idsIn(tree))).toBe(true);
        });
        expect(seen.length).toBe(blocksOf(count));
        expect(bytes).toBe(seen.reduce((sum, _, block) => sum + frameBytes(block, count), 0));
      }),
      { numRuns: RUNS },
    );
  });

  it('altered in any bit is refused', () => {
    fc.assert(
      fc.property(size, fc.nat(), fc.nat(), (count, place, bit) => {
        const tree = batch(count);
        const frame = frameOf(tree, place % blocksOf(count));
        const at = bit % frame.length;
        frame[at]! ^= 1 << ((bit >>> 3) % 8);
        // The handle in a leaf is not hashed: it names the channel, whose ledger id is.
        const isHandle = at >= MERKLE_HEAD_BYTES && at < frameLeavesEnd(frame) && (at - MERKLE_HEAD_BYTES) % 16 < 8;
        if (!isHandle) expect(holds(frame, idsIn(tree))).toBe(false);
      }),
      { numRuns: 10 * RUNS },
    );
  });

  it('of another channel, another order of leaves or hashes, another block, count or root is refused', () => {
    fc.assert(
      fc.property(fc.integer({ min: 130, max: 700 }), fc.nat(), fc.nat(62), (count, place, leaf) => {
        const tree = batch(count);
        const block = place % (blocksOf(count) - 1);
        const frame = frameOf(tree, block);
        const ids = idsIn(tree)(block, 64);
        expect(holds(frame, () => ids)).toBe(true);
        const other = ids.slice();
        other[leaf * 32 + 31]! ^= 1;
        expect(holds(frame, () => other)).toBe(false);
        expect(holds(swapped(frame, 84 + leaf * 16, 16), () => swapped(ids, leaf * 32, 32))).toBe(false);
        if (pathLength(block, blocksOf(count)) > 1)
          expect(holds(swapped(frame, frameLeavesEnd(frame), 32), () => ids)).toBe(false);
        for (let wrong = 0; wrong < blocksOf(count); wrong++)
          if (wrong !== block) expect(holds(withU16(frame, MERKLE_BLOCK, wrong), () => ids)).toBe(false);
        for (const wrong of [count - 1, count + 1, count * 2, 64, MERKLE_LEAVES_MAX])
          expect(holds(withU32(frame, MERKLE_LEAVES, wrong), () => ids)).toBe(false);
        const later = batch(count, 8);
        const mixed = frame.slice();
        mixed.set(later.signature, 20);
        expect(holds(mixed, () => ids)).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });

  it('a node of the tree does not stand for a leaf, nor does the hash of one domain for the other', () => {
    const left = leafHash(new Uint8Array(32).fill(1), 7, 5n);
    const right = leafHash(new Uint8Array(32).fill(2), 7, 5n);
    const node = new Uint8Array(32);
    portableTreeHash.nodes(Buffer.concat([left, right]), 0, 1, node, 0);
    expect(Buffer.from(node)).toEqual(
      createHash('sha256').update(Uint8Array.of(1)).update(left).update(right).digest(),
    );
    for (const prefix of [[], [0]])
      expect(Buffer.from(node)).not.toEqual(
        createHash('sha256').update(Uint8Array.from(prefix)).update(left).update(right).digest(),
      );
    const preimage = rootPreimage(node, 2, 7, TIMESTAMP);
    expect(Buffer.from(preimage.subarray(0, 16)).toString()).toBe('claimwire/tree/1');
    expect(preimage.length).toBe(64);
    expect(() => rootPreimage(node.subarray(1), 2, 7, TIMESTAMP)).toThrow('expected 32 bytes');
  });

  it('heads of no leaves, too many, a block too far or with something reserved are no frames', () => {
    const frame = frameOf(batch(65), 1);
    const bad = [
      withU32(frame, MERKLE_LEAVES, 0),
      withU32(frame, MERKLE_LEAVES, MERKLE_LEAVES_MAX + 1),
      withU32(frame, MERKLE_LEAVES, 0xffff_ffff),
      withU16(frame, MERKLE_BLOCK, 2),
      withU16(frame, MERKLE_BLOCK, 0xffff),
      Uint8Array.of(FRAME_MERKLE, 1, ...frame.subarray(2)),
    ];
    const head = emptyFrameHead();
    for (const bytes of bad) {
      expect(merkleFrameBytes(bytes, 0, bytes.length)).toBe(0);
      expect(readFrameHead(bytes, 0, bytes.length, head)).toBe(false);
    }
    for (let cut = 0; cut < frame.length; cut++) {
      expect(merkleFrameBytes(frame, 0, cut)).toBeGreaterThan(cut);
      expect(readFrameHead(frame, 0, cut, head)).toBe(false);
    }
    expect(readFrameHead(frame, 0, frame.length, head)).toBe(true);
    expect(head).toMatchObject({ block: 1, leaves: 65, count: 1, pathLength: 1, size: 84 + 16 + 32, sequence: 7 });
    expect(() => frameRoot(frame, 0, head, new Uint8Array(31), new Uint8Array(32), 0)).toThrow('expected 32 bytes');
  });

  it('of a full tree carries 2.5 claims and more per 93 bytes', () => {
    expect(frameBytes(0, MERKLE_LEAVES_MAX)).toBe(MERKLE_FRAME_BYTES_MAX);
    expect((64 / MERKLE_FRAME_BYTES_MAX) * 93).toBeGreaterThan(4);
    expect((64 / frameBytes(0, 1_000)) * 93).toBeGreaterThan(4);
  });
});

describe('proof', () => {
  const proofOf = (tree: Batch, index: number): LeafProof => {
    const path = new Uint8Array(17 * 32);
    const length = auditPath(tree.levels, tree.leaves, index, path, 0);
    const { leaves, sequence, timestamp, signature } = tree;
    const ledgerChannelId = tree.ids.slice(index * 32, index * 32 + 32);
    const rest = { publicKey: KEY, timestamp, signature, path: path.slice(0, length * 32) };
    return { ledgerChannelId, amount: 1_000n + BigInt(index), sequence, leaves, index, ...rest };
  };
  const bytes = ['publicKey', 'ledgerChannelId', 'timestamp', 'path', 'signature'] as const;

  it('of every leaf holds, and altered anywhere it does not', () => {
    fc.assert(
      fc.property(size, fc.nat(), fc.nat(), (count, place, alteration) => {
        const proof = proofOf(batch(count), place % count);
        expect(proof.path.length).toBe(32 * pathLength(proof.index, count));
        expect(checkProof(proof, verifies)).toBe(true);
        for (const field of bytes) {
          if (proof[field].length === 0) continue;
          const altered = proof[field].slice();
          altered[alteration % altered.length]! ^= 1;
          expect(checkProof({ ...proof, [field]: altered }, verifies), field).toBe(false);
          expect(checkProof({ ...proof, [field]: altered.slice(1) }, verifies), field).toBe(false);
        }
        const { amount, sequence, leaves, index } = proof;
        expect(checkProof({ ...proof, amount: amount + 1n }, verifies)).toBe(false);
        expect(checkProof({ ...proof, sequence: sequence + 1 }, verifies)).toBe(false);
        expect(checkProof({ ...proof, leaves: leaves + 1 }, verifies)).toBe(false);
        if (leaves > 1) expect(checkProof({ ...proof, index: (index + 1) % leaves }, verifies)).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });

  it('of numbers that are none is refused, not thrown', () => {
    const proof = proofOf(batch(3), 1);
    const wrong: Partial<LeafProof>[] = [
      { leaves: 0 },
      { leaves: MERKLE_LEAVES_MAX + 1 },
      { leaves: Number.NaN },
      { index: 3 },
      { index: -1 },
      { index: 0.5 },
      { sequence: -1 },
      { sequence: 2 ** 32 },
      { amount: -1n },
      { amount: 2n ** 64n },
    ];
    for (const part of wrong) expect(checkProof({ ...proof, ...part }, () => true)).toBe(false);
  });
});

function frameLeavesEnd(frame: Uint8Array): number {
  const head = emptyFrameHead();
  return readFrameHead(frame, 0, frame.length, head) ? MERKLE_HEAD_BYTES + head.count * MERKLE_LEAF_BYTES : 0;
}

/** Two neighbouring pieces of `length` bytes in each other's place. */
function swapped(bytes: Uint8Array, at: number, length: number): Uint8Array {
  const result = bytes.slice();
  result.set(bytes.subarray(at + length, at + 2 * length), at);
  result.set(bytes.subarray(at, at + length), at + length);
  return result;
}

function withU32(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const result = bytes.slice();
  new DataView(result.buffer).setUint32(at, value);
  return result;
}

function withU16(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const result = bytes.slice();
  new DataView(result.buffer).setUint16(at, value);
  return result;
}
