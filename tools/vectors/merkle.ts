/**
 * Vectors of Merkle batches. Made from RFC 6962's own recursion over node:crypto, without the code of protocol/merkle.ts and
 * protocol/merkle-frame.ts, so that the two hold each other.
 */
import { createHash } from 'node:crypto';
import { TIMESTAMP_BITS } from './claims.ts';
import { hex, publicKeyOf, signDigest, signEd25519, TEST_KEYS, unhex } from './crypto.ts';

const SEQUENCE = 7;

interface Leaf {
  id: Buffer;
  amount: bigint;
}

const sha256 = (...parts: Uint8Array[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

function integer(value: number | bigint, bytes: number): Buffer {
  return Buffer.from(
    BigInt(value)
      .toString(16)
      .padStart(2 * bytes, '0'),
    'hex',
  );
}

/** Channel `index`: its ledger id is SHA-256("claimwire/vector/" ‖ u32 index), its amount 1,000,000 + index. */
function leafOf(index: number): Leaf {
  return { id: sha256(Buffer.from('claimwire/vector/'), integer(index, 4)), amount: 1_000_000n + BigInt(index) };
}

function leafHash({ id, amount }: Leaf): Buffer {
  return sha256(Buffer.from('\0claimwire\x01'), id, integer(SEQUENCE, 4), integer(amount, 8));
}

/** The largest power of two below `size`. */
function split(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

/** MTH of RFC 6962, section 2.1. */
function treeHash(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0]!;
  const half = split(leaves.length);
  return sha256(Buffer.of(1), treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half)));
}

/** The path to the node over `leaves[64 × block, …)`: PATH of RFC 6962, section 2.1.1, which ends at a block instead of a leaf. */
function blockPath(block: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length <= 64) return [];
  const half = split(leaves.length);
  return block * 64 < half
    ? [...blockPath(block, leaves.slice(0, half)), treeHash(leaves.slice(half))]
    : [...blockPath(block - half / 64, leaves.slice(half)), treeHash(leaves.slice(0, half))];
}

function frame(block: number, leaves: readonly Leaf[], path: readonly Buffer[], signature: Uint8Array): Buffer {
  const shown = leaves.slice(block * 64, block * 64 + 64);
  return Buffer.concat([
    Buffer.of(3, 0),
    integer(block, 2),
    integer(leaves.length, 4),
    integer(SEQUENCE, 4),
    unhex(TIMESTAMP_BITS),
    signature,
    ...shown.flatMap(({ id, amount }) => [id.subarray(0, 8), integer(amount, 8)]),
    ...path,
  ]);
}

function vector(count: number, blocks: readonly number[], algorithm: 'secp256k1' | 'ed25519' = 'secp256k1') {
  const leaves = Array.from({ length: count }, (_, index) => leafOf(index));
  const hashes = leaves.map(leafHash);
  const root = treeHash(hashes);
  const preimage = Buffer.concat([
    Buffer.from('claimwire/tree/1'),
    root,
    integer(count, 4),
    integer(SEQUENCE, 4),
    unhex(TIMESTAMP_BITS),
  ]);
  const digest = sha256(preimage);
  const ed = signEd25519(preimage, TEST_KEYS.edSeed);
  const isEd = algorithm === 'ed25519';
  const signature = isEd ? ed.signature : signDigest(digest, TEST_KEYS.payer);
  return {
    name: `${count} leaves, ${algorithm}`,
    algorithm,
    privateKey: isEd ? TEST_KEYS.edSeed : TEST_KEYS.payer,
    publicKey: isEd ? ed.publicKey : publicKeyOf(TEST_KEYS.payer),
    leaves: count,
    sequence: SEQUENCE,
    timestampBits: TIMESTAMP_BITS,
    firstLeaf: hex(hashes[0]!),
    lastLeaf: hex(hashes.at(-1)!),
    root: hex(root),
    preimage: hex(preimage),
    digest: hex(digest),
    signature: hex(signature),
    frames: blocks.map((block) => ({
      block,
      wire: hex(frame(block, leaves, blockPath(block, hashes), signature)),
    })),
  };
}

export function merkleVectors() {
  return [
    vector(1, [0]),
    vector(2, [0], 'ed25519'),
    vector(3, [0]),
    vector(64, [0]),
    vector(65, [0, 1]),
    vector(200, [0, 1, 2, 3]),
    vector(321, [4, 5]),
    vector(5_000, [0, 63, 64, 77, 78]),
  ];
}
