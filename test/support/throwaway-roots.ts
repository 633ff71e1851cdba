/**
 * Frames of Merkle batches, written from protocol/README.md and RFC 6962 and sharing nothing with the node's code or its client: the recursion
 * as the RFC has it. Test's thread.
 */
import { createHash } from 'node:crypto';
import type { ThrowawayChannel } from './throwaway-claims.ts';

export interface RootFields {
  sequence: number;
  timestampBits: bigint;
}

export type Leaf = readonly [channel: ThrowawayChannel, amount: bigint];

const BLOCK = 64;

/** The frames of a root over these leaves, signed by the first one's key. */
export function rootFrames(leaves: readonly Leaf[], { sequence, timestampBits }: RootFields): Uint8Array[] {
  const hashes = leaves.map(([{ ledgerChannelId }, amount]) =>
    sha256(Buffer.from('\0claimwire\x01'), ledgerChannelId, integer(sequence, 4), integer(amount, 8)),
  );
  const head = Buffer.concat([integer(leaves.length, 4), integer(sequence, 4), integer(timestampBits, 8)]);
  const signature = leaves[0]![0].signRoot(Buffer.concat([Buffer.from('claimwire/tree/1'), treeHash(hashes), head]));
  return Array.from({ length: Math.ceil(leaves.length / BLOCK) }, (_, block) => {
    const shown = leaves.slice(block * BLOCK, (block + 1) * BLOCK);
    const bytes = shown.flatMap(([{ channelId }, amount]) => [integer(channelId, 8), integer(amount, 8)]);
    return Buffer.concat([Buffer.of(3, 0), integer(block, 2), head, signature, ...bytes, ...path(block, hashes)]);
  });
}

function path(block: number, hashes: readonly Buffer[]): Buffer[] {
  if (hashes.length <= BLOCK) return [];
  const half = split(hashes.length);
  const [left, right] = [hashes.slice(0, half), hashes.slice(half)];
  return block * BLOCK < half
    ? [...path(block, left), treeHash(right)]
    : [...path(block - half / BLOCK, right), treeHash(left)];
}

function treeHash(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0]!;
  const half = split(hashes.length);
  return sha256(Buffer.of(1), treeHash(hashes.slice(0, half)), treeHash(hashes.slice(half)));
}

/** The largest power of two below `size`. */
function split(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function integer(value: number | bigint, bytes: number): Buffer {
  return Buffer.from(
    BigInt(value)
      .toString(16)
      .padStart(2 * bytes, '0'),
    'hex',
  );
}
