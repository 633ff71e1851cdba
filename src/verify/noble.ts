/** The reference, with which every backend must agree: strict ECDSA over secp256k1 by @noble/secp256k1. */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { hashes, verify } from '@noble/secp256k1';
import { SIGNATURE_BYTES } from '../../protocol/layout.ts';

hashes.sha256 = sha256;
hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

const COMPACT_LOW_S = { prehash: false, lowS: true, format: 'compact' } as const;

/**
 * Whether `signature` (64 bytes, r‖s, low-S) is `publicKey`'s (33 bytes) over `digest` (32 bytes). False for anything
 * malformed, such as a key that is not on the curve; never throws.
 */
export function verifyDigest(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  try {
    return verify(signature, digest, publicKey, COMPACT_LOW_S);
  } catch {
    return false;
  }
}
