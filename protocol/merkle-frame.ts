/**
 * Frame 0x03: up to 64 leaves of a tree, the path of their block to its root, and the root's signature. Each can be judged
 * alone, whatever becomes of the others.
 *
 * The head tells the frame's size: the number of leaves and of hashes follows from the tree's size and the block alone.
 */
import {
  FRAME_MERKLE,
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_BLOCK,
  MERKLE_BLOCK_LEAVES,
  MERKLE_BLOCK_LEVEL,
  MERKLE_HASH_BYTES,
  MERKLE_HEAD_BYTES,
  MERKLE_LEAF_BYTES,
  MERKLE_LEAVES,
  MERKLE_LEAVES_MAX,
  MERKLE_RESERVED,
  MERKLE_SEQUENCE,
  MERKLE_SIGNATURE,
  MERKLE_TIMESTAMP,
  SIGNATURE_BYTES,
} from './layout.ts';
import { auditPath, blocksOf, climb, pathLength, portableTreeHash, reduceToRoot, type TreeHash } from './merkle.ts';

/** What a frame's head says. One object is filled again and again. */
export interface FrameHead {
  /** Which block of 64 leaves. */
  block: number;
  /** Leaves of the whole tree. */
  leaves: number;
  sequence: number;
  timestampHigh: number;
  timestampLow: number;
  /** Leaves in this frame. */
  count: number;
  /** Hashes of the path in this frame. */
  pathLength: number;
  /** Bytes of the frame. */
  size: number;
}

/** A head for `readFrameHead` to fill. */
export function emptyFrameHead(): FrameHead {
  return { block: 0, leaves: 0, sequence: 0, timestampHigh: 0, timestampLow: 0, count: 0, pathLength: 0, size: 0 };
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Leaves in a block of a tree. */
function leavesIn(block: number, leaves: number): number {
  return Math.min(MERKLE_BLOCK_LEAVES, leaves - block * MERKLE_BLOCK_LEAVES);
}

/** Bytes of the frame of a block. */
export function frameBytes(block: number, leaves: number): number {
  const path = pathLength(block, blocksOf(leaves));
  return MERKLE_HEAD_BYTES + leavesIn(block, leaves) * MERKLE_LEAF_BYTES + path * MERKLE_HASH_BYTES;
}

/**
 * The size of the frame at `offset` as its head says; 0 where the head is not one that this version knows. A head that is cut
 * off says its own size, which is more than there is.
 */
export function merkleFrameBytes(bytes: Uint8Array, offset: number, end: number): number {
  if (offset + MERKLE_HEAD_BYTES > end) return MERKLE_HEAD_BYTES;
  const leaves = u32(bytes, offset + MERKLE_LEAVES);
  const block = (bytes[offset + MERKLE_BLOCK]! << 8) | bytes[offset + MERKLE_BLOCK + 1]!;
  const isSound = bytes[offset + MERKLE_RESERVED] === 0 && leaves <= MERKLE_LEAVES_MAX && block < blocksOf(leaves);
  return isSound ? frameBytes(block, leaves) : 0;
}

/** Reads the head of the frame at `offset`. False, with `head` as it was, where the frame is not whole or not sound. */
export function readFrameHead(bytes: Uint8Array, offset: number, end: number, head: FrameHead): boolean {
  const size = merkleFrameBytes(bytes, offset, end);
  if (size === 0 || offset + size > end || bytes[offset] !== FRAME_MERKLE) return false;
  head.block = (bytes[offset + MERKLE_BLOCK]! << 8) | bytes[offset + MERKLE_BLOCK + 1]!;
  head.leaves = u32(bytes, offset + MERKLE_LEAVES);
  head.sequence = u32(bytes, offset + MERKLE_SEQUENCE);
  head.timestampHigh = u32(bytes, offset + MERKLE_TIMESTAMP);
  head.timestampLow = u32(bytes, offset + MERKLE_TIMESTAMP + 4);
  head.count = leavesIn(head.block, head.leaves);
  head.pathLength = pathLength(head.block, blocksOf(head.leaves));
  head.size = size;
  return true;
}

/** Where leaf `index` of the frame at `offset` lies. */
export function frameLeafAt(offset: number, index: number): number {
  return offset + MERKLE_HEAD_BYTES + index * MERKLE_LEAF_BYTES;
}

/** The handles of the channels in the sound frame at `offset`. For clients and tools: it allocates. */
export function frameChannels(bytes: Uint8Array, offset: number, size: number): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const head = emptyFrameHead();
  if (!readFrameHead(bytes, offset, offset + size, head)) return [];
  return Array.from({ length: head.count }, (_, index) => view.getBigUint64(frameLeafAt(offset, index)));
}

/** Where the path of the frame at `offset` begins. */
export function framePathAt(offset: number, head: Pick<FrameHead, 'count'>): number {
  return offset + MERKLE_HEAD_BYTES + head.count * MERKLE_LEAF_BYTES;
}

/** Room for the hashes of a block's leaves. */
const scratch = new Uint8Array(MERKLE_BLOCK_LEAVES * MERKLE_HASH_BYTES);

/**
 * The root that the frame at `offset` leads to, written to `out` at `outAt`. The frame is sound if its signature is the key's over this
 * root (`rootDigest`).
 * @param ids the ledger channel ids of its leaves, in their order, 32 bytes each
 */
export function frameRoot(
  bytes: Uint8Array,
  offset: number,
  head: FrameHead,
  ids: Uint8Array,
  out: Uint8Array,
  outAt: number,
  hash: TreeHash = portableTreeHash,
): void {
  if (ids.length < head.count * LEDGER_CHANNEL_ID_BYTES)
    throw new RangeError(`ids: expected ${head.count * LEDGER_CHANNEL_ID_BYTES} bytes, got ${ids.length}`);
  hash.leaves(ids, 0, bytes, frameLeafAt(offset, 0), head.sequence, head.count, scratch, 0);
  reduceToRoot(scratch, 0, head.count, hash);
  climb(scratch, 0, head.block, blocksOf(head.leaves), bytes, framePathAt(offset, head), hash);
  for (let index = 0; index < MERKLE_HASH_BYTES; index++) out[outAt + index] = scratch[index]!;
}

/** A signed root and what its frames are made of. */
export interface SignedTree {
  /** Of `buildTree`. */
  levels: readonly Uint8Array[];
  /** Leaves as on the wire, 16 bytes each: handle and amount. */
  wire: Uint8Array;
  leaves: number;
  sequence: number;
  /** 8 bytes as on the wire. */
  timestamp: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
}

/** Writes the frame of one block to `out` at `at` and returns its bytes. The caller has room for 1,428. */
export function writeFrame(tree: SignedTree, block: number, out: Uint8Array, at: number): number {
  const count = leavesIn(block, tree.leaves);
  out[at] = FRAME_MERKLE;
  out[at + MERKLE_RESERVED] = 0;
  out[at + MERKLE_BLOCK] = block >>> 8;
  out[at + MERKLE_BLOCK + 1] = block;
  writeU32(out, at + MERKLE_LEAVES, tree.leaves);
  writeU32(out, at + MERKLE_SEQUENCE, tree.sequence);
  for (let index = 0; index < 8; index++) out[at + MERKLE_TIMESTAMP + index] = tree.timestamp[index]!;
  for (let index = 0; index < SIGNATURE_BYTES; index++) out[at + MERKLE_SIGNATURE + index] = tree.signature[index]!;
  const from = block * MERKLE_BLOCK_LEAVES * MERKLE_LEAF_BYTES;
  for (let index = 0; index < count * MERKLE_LEAF_BYTES; index++)
    out[at + MERKLE_HEAD_BYTES + index] = tree.wire[from + index]!;
  const pathAt = framePathAt(at, { count });
  const written = auditPath(tree.levels, tree.leaves, block, out, pathAt, MERKLE_BLOCK_LEVEL);
  return pathAt + written * MERKLE_HASH_BYTES - at;
}

/** Writes every frame of the tree, one after the other, to `out`; the sink hears of each where it lies. Returns the bytes of all. */
export function writeFrames(tree: SignedTree, out: Uint8Array, sink?: (at: number, size: number) => void): number {
  let at = 0;
  for (let block = 0; block < blocksOf(tree.leaves); block++) {
    const size = writeFrame(tree, block, out, at);
    sink?.(at, size);
    at += size;
  }
  return at;
}

function writeU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
