/**
 * The proof of a leaf as JSON, which a payee hands to a third party, and its check, which needs neither a node nor a network. Any
 * thread; protocol/README.md, "Merkle batches", says what is signed.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import {
  ED25519_KEY_PREFIX,
  LEDGER_CHANNEL_ID_BYTES,
  MERKLE_HASH_BYTES,
  MERKLE_LEAVES_MAX,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  U64_MAX,
} from '../../protocol/layout.ts';
import { checkProof, type LeafProof, pathLength, proofRoot } from '../../protocol/merkle.ts';
import { ClaimwireError } from '../errors.ts';
import { got, objectWith, parseDecimal, parseHex, upperHex } from './parse.ts';

/** The form, so that another one will be known from it. */
const LEAF_PROOF_TYPE = 'claimwire/leaf-proof/1';
const FIELDS = [
  'type',
  'channelId',
  'ledgerChannelId',
  'publicKey',
  'amount',
  'sequence',
  'timestamp',
  'leaves',
  'index',
  'path',
  'root',
  'signature',
];

/** Hex is upper-case. */
export interface LeafProofJson {
  type: typeof LEAF_PROOF_TYPE;
  /** The handle at the node that made it, for people: nothing signed has it. */
  channelId: string;
  ledgerChannelId: string;
  publicKey: string;
  /** Cumulative drops. */
  amount: string;
  sequence: number;
  /** The 8 bytes of the root's timestamp. */
  timestamp: string;
  /** Leaves of the whole tree, and which of them this is, from 0. */
  leaves: number;
  index: number;
  /** The hashes beside the way from the leaf to the root. */
  path: string[];
  /** What they lead to: it follows from the rest. */
  root: string;
  signature: string;
}

/** Verifies by one of the two curves. The two functions never throw. */
export interface ProofVerifiers {
  secp256k1(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  ed25519(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean;
}

export function leafProofJson(channelId: bigint, proof: LeafProof): LeafProofJson {
  const hashes = proof.path.length / MERKLE_HASH_BYTES;
  const hashOf = (index: number) => proof.path.subarray(index * MERKLE_HASH_BYTES, (index + 1) * MERKLE_HASH_BYTES);
  return {
    type: LEAF_PROOF_TYPE,
    channelId: channelId.toString(),
    ledgerChannelId: upperHex(proof.ledgerChannelId),
    publicKey: upperHex(proof.publicKey),
    amount: proof.amount.toString(),
    sequence: proof.sequence,
    timestamp: upperHex(proof.timestamp),
    leaves: proof.leaves,
    index: proof.index,
    path: Array.from({ length: hashes }, (_, index) => upperHex(hashOf(index))),
    root: upperHex(proofRoot(proof)!),
    signature: upperHex(proof.signature),
  };
}

/** The proof in parsed JSON. Throws INPUT_INVALID for what is none by its form; whether it holds is `leafProofHolds`'s to say. */
export function parseLeafProof(value: unknown): LeafProof {
  const fields = objectWith(value, FIELDS, 'proof');
  const bad = (field: string, expected: string): never => {
    throw new ClaimwireError('INPUT_INVALID', `proof: ${field}: expected ${expected}, got ${got(fields[field])}`);
  };
  if (fields.type !== LEAF_PROOF_TYPE) bad('type', JSON.stringify(LEAF_PROOF_TYPE));
  const number = (field: string, maximum: number): number => {
    const read = fields[field];
    if (typeof read !== 'number' || !Number.isInteger(read) || read < 0 || read > maximum)
      return bad(field, `a whole number of 0..${maximum}`);
    return read;
  };
  const leaves = number('leaves', MERKLE_LEAVES_MAX);
  const index = number('index', leaves - 1);
  const expected = pathLength(index, leaves);
  const { path } = fields;
  if (!Array.isArray(path) || path.length !== expected) bad('path', `${expected} hashes`);
  const proof: LeafProof = {
    publicKey: parseHex(fields.publicKey, PUBLIC_KEY_BYTES, 'proof: publicKey'),
    ledgerChannelId: parseHex(fields.ledgerChannelId, LEDGER_CHANNEL_ID_BYTES, 'proof: ledgerChannelId'),
    amount: parseDecimal(fields.amount, 0n, U64_MAX, 'proof: amount'),
    sequence: number('sequence', 0xffff_ffff),
    timestamp: parseHex(fields.timestamp, 8, 'proof: timestamp'),
    leaves,
    index,
    path: Buffer.concat((path as unknown[]).map((hash) => parseHex(hash, MERKLE_HASH_BYTES, 'proof: path'))),
    signature: parseHex(fields.signature, SIGNATURE_BYTES, 'proof: signature'),
  };
  const root = upperHex(proofRoot(proof)!);
  if (upperHex(parseHex(fields.root, MERKLE_HASH_BYTES, 'proof: root')) !== root)
    bad('root', `${root}, to which the leaf and its path lead`);
  return proof;
}

/** Whether the key of the proof has signed a root in which the leaf is. */
export function leafProofHolds(proof: LeafProof, { secp256k1, ed25519 }: ProofVerifiers): boolean {
  return checkProof(proof, (preimage, signature, publicKey) =>
    publicKey[0] === ED25519_KEY_PREFIX
      ? ed25519(preimage, signature, publicKey)
      : secp256k1(signature, sha256(preimage), publicKey),
  );
}
