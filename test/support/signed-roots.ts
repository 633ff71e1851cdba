/**
 * Signed roots for tests: the frames of a tree over channels and amounts. A hash stands for the signature where no key is given.
 */
import { createHash } from 'node:crypto';
import { MERKLE_HASH_BYTES, MERKLE_LEAF_BYTES } from '../../protocol/layout.ts';
import { buildTree, portableTreeHash, rootPreimage } from '../../protocol/merkle.ts';
import { writeFrames } from '../../protocol/merkle-frame.ts';

export interface LeafOf {
  channelId: bigint;
  ledgerChannelId: Uint8Array;
  amount: bigint;
}

type Sign = (preimage: Uint8Array) => Uint8Array;

const hashSign: Sign = (preimage) => createHash('sha512').update(preimage).digest();
/** For checkProof: whether `hashSign` made the signature. */
export const hashVerifies = (preimage: Uint8Array, signature: Uint8Array): boolean =>
  Buffer.compare(hashSign(preimage), signature) === 0;

/** The frames of one root over these leaves. */
export function signedFrames(leaves: readonly LeafOf[], sequence: number, sign: Sign = hashSign): Uint8Array[] {
  const ids = new Uint8Array(leaves.length * 32);
  const wire = new Uint8Array(leaves.length * MERKLE_LEAF_BYTES);
  const view = new DataView(wire.buffer);
  for (const [index, { channelId, ledgerChannelId, amount }] of leaves.entries()) {
    ids.set(ledgerChannelId, index * 32);
    view.setBigUint64(index * MERKLE_LEAF_BYTES, channelId);
    view.setBigUint64(index * MERKLE_LEAF_BYTES + 8, amount);
  }
  const hashes = new Uint8Array(leaves.length * MERKLE_HASH_BYTES);
  portableTreeHash.leaves(ids, 0, wire, 0, sequence, leaves.length, hashes, 0);
  const levels = buildTree(hashes, leaves.length);
  const timestamp = new Uint8Array(8);
  new DataView(timestamp.buffer).setFloat64(0, 1_700_000_000_000 + sequence);
  const signature = sign(rootPreimage(levels.at(-1)!, leaves.length, sequence, timestamp));
  const out = new Uint8Array(Math.ceil(leaves.length / 64) * 1_428);
  const frames: Uint8Array[] = [];
  const tree = { levels, wire, leaves: leaves.length, sequence, timestamp, signature };
  writeFrames(tree, out, (at, size) => frames.push(out.slice(at, at + size)));
  return frames;
}
