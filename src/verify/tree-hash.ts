/** The hashes of Merkle batches in C (src/native/merkle.c), the fast twin of protocol/merkle.ts' `portableTreeHash`. Any thread. */
import { portableTreeHash, type TreeHash } from '../../protocol/merkle.ts';
import { loadAddon } from '../native/addon.ts';

/**
 * For each of the first `count` entries of frames (byte offsets in the arena) the number of its key, or 2^32 - 1 where its channels have
 * several; the 64 bytes that its root's signature covers; and their SHA-256.
 * @param places in an entry: the bytes of its rows, of its frame, and of the longest entry
 */
export type MerkleFrames = (
  arena: Uint8Array,
  layout: Uint32Array,
  entries: Uint32Array,
  count: number,
  places: Uint32Array,
  keys: Uint32Array,
  preimages: Uint8Array,
  digests: Uint8Array,
) => void;

interface MerkleAddon {
  merkleFrames: MerkleFrames;
  merkleLeaves: TreeHash['leaves'];
  merkleNodes: TreeHash['nodes'];
  merkleHasher(): string;
}

/** What hashes leaves and nodes here: C where there is an addon, else the specification. */
export function treeHash(): TreeHash {
  const addon = merkleAddon();
  return addon === undefined ? portableTreeHash : { leaves: addon.merkleLeaves, nodes: addon.merkleNodes };
}

/** The roots of whole frames in C, where there is an addon. */
export function merkleFrames(): MerkleFrames | undefined {
  return merkleAddon()?.merkleFrames;
}

/** Which instructions hash here, for people: `avx512, sha-ni`, or `portable`. */
export function treeHashName(): string {
  return merkleAddon()?.merkleHasher() ?? 'portable';
}

function merkleAddon(): MerkleAddon | undefined {
  try {
    const addon = loadAddon<Partial<MerkleAddon>>();
    return addon.merkleLeaves === undefined ? undefined : (addon as MerkleAddon);
  } catch {
    return undefined;
  }
}
