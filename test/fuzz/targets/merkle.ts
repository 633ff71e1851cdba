/**
 * Frames of Merkle batches among claims and acks: the walk hands out what a plain reading of the specification finds, with the same end,
 * and each frame leads to the root of RFC 6962's own recursion.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { claimBytes } from '../../../protocol/claim.ts';
import { WALK_CUT_FRAME, WALK_EMPTY, WALK_UNKNOWN_TYPE, WALK_WHOLE, walkFrames } from '../../../protocol/frames.ts';
import { MERKLE_FRAME_BYTES_MAX } from '../../../protocol/layout.ts';
import { buildTree, portableTreeHash } from '../../../protocol/merkle.ts';
import { emptyFrameHead, frameRoot, readFrameHead, writeFrame } from '../../../protocol/merkle-frame.ts';
import type { Target } from '../target.ts';

export const target: Target = {
  bytesMax: 3_000,
  seeds: () => {
    const claim = claimBytes({ channelId: 7n, sequence: 1, amount: 5n, timestamp: 0, signature: new Uint8Array(64) });
    const ack = Uint8Array.of(2, ...new Uint8Array(31));
    const [small, part, last] = [frameOf(3, 0), frameOf(130, 2), frameOf(300, 4)];
    return [
      small,
      Uint8Array.of(...claim, ...part, ...ack, ...small),
      Uint8Array.of(...last, ...last.subarray(0, 90)),
      Uint8Array.of(...frameOf(64, 0), 9),
      frameOf(1_000, 7),
    ];
  },
  run(bytes) {
    const seen: string[] = [];
    const end = walkFrames(bytes, 0, bytes.length, {
      claim: (_bytes, offset) => void seen.push(`claim ${offset}`),
      ack: (_bytes, offset) => void seen.push(`ack ${offset}`),
      merkle: (_bytes, offset, size) => void seen.push(`merkle ${offset} ${size} ${rootOf(bytes, offset)}`),
    });
    assert.deepEqual({ seen, end }, plainly(bytes));
  },
};

function frameOf(leaves: number, block: number): Uint8Array {
  const wire = new Uint8Array(leaves * 16).fill(5);
  const hashes = new Uint8Array(leaves * 32);
  portableTreeHash.leaves(new Uint8Array(leaves * 32), 0, wire, 0, 1, leaves, hashes, 0);
  const rest = { wire, leaves, sequence: 1, timestamp: new Uint8Array(8), signature: new Uint8Array(64) };
  const out = new Uint8Array(MERKLE_FRAME_BYTES_MAX);
  return out.slice(0, writeFrame({ levels: buildTree(hashes, leaves), ...rest }, block, out, 0));
}

const head = emptyFrameHead();
const ids = new Uint8Array(64 * 32).fill(3);

function rootOf(bytes: Uint8Array, offset: number): string {
  assert(readFrameHead(bytes, offset, bytes.length, head));
  const root = new Uint8Array(32);
  frameRoot(bytes, offset, head, ids, root, 0);
  return Buffer.from(root).toString('hex');
}

/** The specification. */
function plainly(bytes: Uint8Array): { seen: string[]; end: number } {
  const seen: string[] = [];
  if (bytes.length === 0) return { seen, end: WALK_EMPTY };
  for (let at = 0; at < bytes.length; ) {
    const left = bytes.subarray(at);
    const isMerkle = left[0] === 3;
    if (left[0] !== 1 && left[0] !== 2 && !isMerkle) return { seen, end: WALK_UNKNOWN_TYPE };
    const frame = isMerkle ? merkle(left) : { size: left[0] === 1 ? 93 : 32, root: '' };
    if (frame === undefined) return { seen, end: WALK_UNKNOWN_TYPE };
    if (frame.size > left.length) return { seen, end: WALK_CUT_FRAME };
    seen.push(isMerkle ? `merkle ${at} ${frame.size} ${frame.root}` : `${left[0] === 1 ? 'claim' : 'ack'} ${at}`);
    at += frame.size;
  }
  return { seen, end: WALK_WHOLE };
}

function merkle(left: Uint8Array): { size: number; root: string } | undefined {
  if (left.length < 84) return { size: 84, root: '' };
  const view = new DataView(left.buffer, left.byteOffset, left.length);
  const [block, leaves] = [view.getUint16(2), view.getUint32(4)];
  if (left[1] !== 0 || leaves === 0 || leaves > 65_536 || block * 64 >= leaves) return undefined;
  const count = Math.min(64, leaves - block * 64);
  const sides = sidesOf(block, Math.ceil(leaves / 64));
  const size = 84 + count * 16 + sides.length * 32;
  if (size > left.length) return { size, root: '' };
  const sequence = left.subarray(8, 12);
  let node = treeHash(
    Array.from({ length: count }, (_, index) =>
      sha256(
        Buffer.from('\0claimwire\x01'),
        ids.subarray(0, 32),
        sequence,
        left.subarray(92 + index * 16, 100 + index * 16),
      ),
    ),
  );
  for (const [index, side] of sides.entries()) {
    const beside = left.subarray(84 + count * 16 + index * 32, 116 + count * 16 + index * 32);
    node = side === 'left' ? sha256(Uint8Array.of(1), beside, node) : sha256(Uint8Array.of(1), node, beside);
  }
  return { size, root: node.toString('hex') };
}

/** On which side the hashes of a path are, from the bottom up, by the recursion of RFC 6962. */
function sidesOf(index: number, width: number): ('left' | 'right')[] {
  if (width === 1) return [];
  const half = split(width);
  return index < half ? [...sidesOf(index, half), 'right'] : [...sidesOf(index - half, width - half), 'left'];
}

function split(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

function treeHash(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0]!;
  const half = split(hashes.length);
  return sha256(Uint8Array.of(1), treeHash(hashes.slice(0, half)), treeHash(hashes.slice(half)));
}

function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
