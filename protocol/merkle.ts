/**
 * Merkle batches: the tree over many claims of one key, of which only the root is signed (protocol/README.md, "Merkle batches").
 *
 * The tree is RFC 6962's (https://www.rfc-editor.org/rfc/rfc6962#section-2.1): built level by level, a node without a right
 * neighbour goes up as it is, which gives the same tree as its split at the largest power of two below n. Runs anywhere. The hashes come
 * from a `TreeHash`; the one here is the specification, those in C are its fast twins.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import {
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_BLOCK_LEAVES,
  MERKLE_BLOCK_LEVEL,
  MERKLE_HASH_BYTES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_LEAF_BYTES,
  MERKLE_LEAVES_MAX,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from './layout.ts';

/** `"\0claimwire\1" ‖ ledgerChannelId[32] ‖ u32 sequence ‖ u64 amount`: 55 bytes, the most that one block of SHA-256 takes. */
export const LEAF_PREIMAGE_BYTES = 55;
const LEAF_PREFIX = utf8ToBytes('\0claimwire\x01');
const LEAF_SEQUENCE = LEAF_PREFIX.length + LEDGER_CHANNEL_ID_BYTES;
const NODE_PREFIX = 1;

/** `"claimwire/tree/1" ‖ root[32] ‖ u32 leaves ‖ u32 sequence ‖ timestamp[8]`. */
export const ROOT_PREIMAGE_BYTES = 64;
const ROOT_PREFIX = utf8ToBytes('claimwire/tree/1');

/** The two hashes of the tree, for many at a time. What is written may lie where it was read, at the same offset. */
export interface TreeHash {
  /**
   * The hashes of `count` leaves, 32 bytes each, to `out` from `outAt` on.
   * @param ids ledger channel ids, 32 bytes each, from `idsAt` on
   * @param leaves the leaves as on the wire, 16 bytes each (handle, amount), from `leavesAt` on
   */
  leaves(
    ids: Uint8Array,
    idsAt: number,
    leaves: Uint8Array,
    leavesAt: number,
    sequence: number,
    count: number,
    out: Uint8Array,
    outAt: number,
  ): void;
  /** `count` nodes from `2 × count` hashes that lie one after the other. */
  nodes(hashes: Uint8Array, hashesAt: number, count: number, out: Uint8Array, outAt: number): void;
}

/** Starts and ends one SHA-256 after the other in the same two objects: `fresh` is never written. */
const fresh = sha256.create();
const hasher = sha256.create();
const leafPreimage = new Uint8Array(LEAF_PREIMAGE_BYTES);
leafPreimage.set(LEAF_PREFIX);
const leafView = new DataView(leafPreimage.buffer);
const nodePreimage = new Uint8Array(1 + 2 * MERKLE_HASH_BYTES);
nodePreimage[0] = NODE_PREFIX;
const hashed = new Uint8Array(MERKLE_HASH_BYTES);

function hashInto(preimage: Uint8Array, out: Uint8Array, outAt: number): void {
  fresh._cloneInto(hasher);
  hasher.update(preimage).digestInto(hashed);
  out.set(hashed, outAt);
}

/** The specification of both hashes, on noble-hashes: half a microsecond or so each. */
export const portableTreeHash: TreeHash = {
  leaves(ids, idsAt, leaves, leavesAt, sequence, count, out, outAt) {
    leafView.setUint32(LEAF_SEQUENCE, sequence);
    for (let index = 0; index < count; index++) {
      copy(ids, idsAt + index * LEDGER_CHANNEL_ID_BYTES, LEDGER_CHANNEL_ID_BYTES, leafPreimage, LEAF_PREFIX.length);
      copy(leaves, leavesAt + index * MERKLE_LEAF_BYTES + MERKLE_LEAF_AMOUNT, 8, leafPreimage, LEAF_SEQUENCE + 4);
      hashInto(leafPreimage, out, outAt + index * MERKLE_HASH_BYTES);
    }
  },
  nodes(hashes, hashesAt, count, out, outAt) {
    for (let index = 0; index < count; index++) {
      copy(hashes, hashesAt + index * 2 * MERKLE_HASH_BYTES, 2 * MERKLE_HASH_BYTES, nodePreimage, 1);
      hashInto(nodePreimage, out, outAt + index * MERKLE_HASH_BYTES);
    }
  },
};

function copy(from: Uint8Array, fromAt: number, bytes: number, to: Uint8Array, toAt: number): void {
  for (let index = 0; index < bytes; index++) to[toAt + index] = from[fromAt + index]!;
}

/** The hash of one leaf. Throws RangeError for an id of another length than 32 bytes. */
export function leafHash(ledgerChannelId: Uint8Array, sequence: number, amount: bigint): Uint8Array {
  if (ledgerChannelId.length !== LEDGER_CHANNEL_ID_BYTES)
    throw new RangeError(`ledger channel id: expected ${LEDGER_CHANNEL_ID_BYTES} bytes, got ${ledgerChannelId.length}`);
  const leaf = new Uint8Array(MERKLE_LEAF_BYTES);
  new DataView(leaf.buffer).setBigUint64(MERKLE_LEAF_AMOUNT, amount);
  const out = new Uint8Array(MERKLE_HASH_BYTES);
  portableTreeHash.leaves(ledgerChannelId, 0, leaf, 0, sequence, 1, out, 0);
  return out;
}

/** One level up: `count` hashes become half of them, rounded up. In place where `out` and `outAt` are those of `hashes`. */
function levelUp(
  hashes: Uint8Array,
  at: number,
  count: number,
  out: Uint8Array,
  outAt: number,
  hash: TreeHash,
): number {
  const pairs = count >>> 1;
  hash.nodes(hashes, at, pairs, out, outAt);
  if (count % 2 === 0) return pairs;
  const last = at + (count - 1) * MERKLE_HASH_BYTES;
  copy(hashes, last, MERKLE_HASH_BYTES, out, outAt + pairs * MERKLE_HASH_BYTES);
  return pairs + 1;
}

/** Reduces the `count` hashes in `hashes` from `at` on to the root over them, which is left at `at`. */
export function reduceToRoot(hashes: Uint8Array, at: number, count: number, hash: TreeHash = portableTreeHash): void {
  for (let left = count; left > 1; ) left = levelUp(hashes, at, left, hashes, at, hash);
}

/**
 * Hashes a piece of a tree's leaves, whole blocks of 64 but for the last block of the tree, and writes the nodes over its blocks to
 * `blocks` from `blocksAt` on.
 * @param ids and `wire`: of the piece's leaves, as `TreeHash.leaves`
 * @param scratch room for the hashes of the piece's leaves
 */
export function hashBlocks(
  hash: TreeHash,
  ids: Uint8Array,
  idsAt: number,
  wire: Uint8Array,
  wireAt: number,
  sequence: number,
  count: number,
  scratch: Uint8Array,
  blocks: Uint8Array,
  blocksAt: number,
): void {
  hash.leaves(ids, idsAt, wire, wireAt, sequence, count, scratch, 0);
  // Whole blocks go up together, level by level; the last one of a tree may have any number of leaves.
  const whole = Math.floor(count / MERKLE_BLOCK_LEAVES);
  for (let pairs = (whole * MERKLE_BLOCK_LEAVES) / 2; pairs >= whole && pairs > 0; pairs /= 2)
    hash.nodes(scratch, 0, pairs, scratch, 0);
  blocks.set(scratch.subarray(0, whole * MERKLE_HASH_BYTES), blocksAt);
  const rest = count - whole * MERKLE_BLOCK_LEAVES;
  if (rest === 0) return;
  const at = whole * MERKLE_BLOCK_LEAVES * MERKLE_HASH_BYTES;
  reduceToRoot(scratch, at, rest, hash);
  blocks.set(scratch.subarray(at, at + MERKLE_HASH_BYTES), blocksAt + whole * MERKLE_HASH_BYTES);
}

/**
 * The levels of a tree of which only the nodes over blocks are known: those below are not there, and frames carry none of them.
 * @param blocks of `hashBlocks`
 */
export function levelsOver(blocks: Uint8Array, leaves: number, hash: TreeHash, above: Uint8Array[] = []): Uint8Array[] {
  const below = Array.from({ length: MERKLE_BLOCK_LEVEL }, () => blocks);
  return [...below, ...buildTree(blocks, blocksOf(leaves), hash, above)];
}

/**
 * The levels of the tree over `count` leaves, from the leaves' hashes (`levels[0]`) to the root (the last, 32 bytes). `levels` that were
 * made before for as many leaves or more are used again; only as many bytes of each are meaningful as this tree has.
 */
export function buildTree(
  leafHashes: Uint8Array,
  count: number,
  hash: TreeHash = portableTreeHash,
  levels: Uint8Array[] = [],
): Uint8Array[] {
  if (!(Number.isInteger(count) && count >= 1 && count <= MERKLE_LEAVES_MAX))
    throw new RangeError(`leaves: expected 1..${MERKLE_LEAVES_MAX}, got ${count}`);
  levels[0] = leafHashes;
  let level = 0;
  for (let width = count; width > 1; level += 1) {
    const bytes = Math.ceil(width / 2) * MERKLE_HASH_BYTES;
    if (levels[level + 1] === undefined || levels[level + 1]!.length < bytes) levels[level + 1] = new Uint8Array(bytes);
    width = levelUp(levels[level]!, 0, width, levels[level + 1]!, 0, hash);
  }
  levels.length = level + 1;
  return levels;
}

/** How many hashes lead from node `index` of a level of `width` nodes to the root. */
export function pathLength(index: number, width: number): number {
  let length = 0;
  for (let at = index, last = width - 1; last > 0; at >>>= 1, last >>>= 1) if (at % 2 === 1 || at < last) length += 1;
  return length;
}

/**
 * Writes the audit path of node `index` of level `from` (0: a leaf; 6: a block of 64) to `out` at `outAt`, from the bottom up, and returns how
 * many hashes there are.
 * @param count leaves of the whole tree
 */
export function auditPath(
  levels: readonly Uint8Array[],
  count: number,
  index: number,
  out: Uint8Array,
  outAt: number,
  from = 0,
): number {
  let written = 0;
  let at = index;
  let last = Math.ceil(count / 2 ** from) - 1;
  for (let level = from; last > 0; level += 1, at >>>= 1, last >>>= 1) {
    const beside = at % 2 === 1 ? at - 1 : at + 1;
    if (beside > last) continue;
    copy(levels[level]!, beside * MERKLE_HASH_BYTES, MERKLE_HASH_BYTES, out, outAt + written * MERKLE_HASH_BYTES);
    written += 1;
  }
  return written;
}

const pair = new Uint8Array(2 * MERKLE_HASH_BYTES);

/**
 * Climbs from the node in `node` at `at` (number `index` of `width` in its level) along the path to the root, which replaces it. As many hashes of the
 * path are read as `pathLength` says.
 */
export function climb(
  node: Uint8Array,
  at: number,
  index: number,
  width: number,
  path: Uint8Array,
  pathAt: number,
  hash: TreeHash = portableTreeHash,
): void {
  let read = pathAt;
  for (let number = index, last = width - 1; last > 0; number >>>= 1, last >>>= 1) {
    const isRight = number % 2 === 1;
    if (!isRight && number === last) continue;
    copy(node, at, MERKLE_HASH_BYTES, pair, isRight ? MERKLE_HASH_BYTES : 0);
    copy(path, read, MERKLE_HASH_BYTES, pair, isRight ? 0 : MERKLE_HASH_BYTES);
    hash.nodes(pair, 0, 1, node, at);
    read += MERKLE_HASH_BYTES;
  }
}

/**
 * The 64 bytes that a root's signature covers (Ed25519 signs these themselves).
 * @param timestamp the 8 bytes as on the wire
 */
export function rootPreimage(root: Uint8Array, leaves: number, sequence: number, timestamp: Uint8Array): Uint8Array {
  if (root.length !== MERKLE_HASH_BYTES || timestamp.length !== 8)
    throw new RangeError(
      `root: expected ${MERKLE_HASH_BYTES} bytes and 8 of timestamp, got ${root.length} and ${timestamp.length}`,
    );
  const preimage = new Uint8Array(ROOT_PREIMAGE_BYTES);
  const view = new DataView(preimage.buffer);
  preimage.set(ROOT_PREFIX);
  preimage.set(root, ROOT_PREFIX.length);
  view.setUint32(ROOT_PREFIX.length + MERKLE_HASH_BYTES, leaves);
  view.setUint32(ROOT_PREFIX.length + MERKLE_HASH_BYTES + 4, sequence);
  preimage.set(timestamp, ROOT_PREFIX.length + MERKLE_HASH_BYTES + 8);
  return preimage;
}

/** SHA-256 of the root's preimage: the 32 bytes that secp256k1 signs. */
export function rootDigest(root: Uint8Array, leaves: number, sequence: number, timestamp: Uint8Array): Uint8Array {
  return sha256(rootPreimage(root, leaves, sequence, timestamp));
}

/** All that shows to anybody that the holder of a key has promised an amount by a leaf. */
export interface LeafProof {
  /** 33 bytes. */
  publicKey: Uint8Array;
  /** 32 bytes. */
  ledgerChannelId: Uint8Array;
  /** Cumulative drops. */
  amount: bigint;
  /** The root's, as is the timestamp: its 8 bytes as on the wire. */
  sequence: number;
  timestamp: Uint8Array;
  /** Leaves of the whole tree, and which of them this is. */
  leaves: number;
  index: number;
  /** The audit path from the leaf to the root, bottom up: 32 bytes each. */
  path: Uint8Array;
  /** Of the root, 64 bytes. */
  signature: Uint8Array;
}

/** The root that a proof leads to; undefined where its sizes or numbers do not fit each other. Never throws. */
export function proofRoot(proof: LeafProof): Uint8Array | undefined {
  const { ledgerChannelId, amount, sequence, timestamp, leaves, index, path, publicKey, signature } = proof;
  const isSized =
    ledgerChannelId.length === LEDGER_CHANNEL_ID_BYTES &&
    publicKey.length === PUBLIC_KEY_BYTES &&
    signature.length === SIGNATURE_BYTES &&
    timestamp.length === 8;
  const isNumbered =
    sequence === sequence >>> 0 &&
    amount === BigInt.asUintN(64, amount) &&
    Number.isInteger(leaves) &&
    leaves >= 1 &&
    leaves <= MERKLE_LEAVES_MAX &&
    index === index >>> 0 &&
    index < leaves;
  if (!isSized || !isNumbered || path.length !== pathLength(index, leaves) * MERKLE_HASH_BYTES) return undefined;
  const root = leafHash(ledgerChannelId, sequence, amount);
  climb(root, 0, index, leaves, path, 0);
  return root;
}

/**
 * Whether the proof holds: its key has signed a root in which the leaf is.
 * @param verifies checks a signature over the 64 bytes of `rootPreimage`: secp256k1 over their SHA-256 with a low s, Ed25519 over themselves
 */
export function checkProof(
  proof: LeafProof,
  verifies: (preimage: Uint8Array, signature: Uint8Array, publicKey: Uint8Array) => boolean,
): boolean {
  const root = proofRoot(proof);
  if (root === undefined) return false;
  return verifies(rootPreimage(root, proof.leaves, proof.sequence, proof.timestamp), proof.signature, proof.publicKey);
}

/** Blocks of 64 leaves in a tree of `leaves`: the nodes of level 6, one frame each. */
export function blocksOf(leaves: number): number {
  return Math.ceil(leaves / MERKLE_BLOCK_LEAVES);
}
