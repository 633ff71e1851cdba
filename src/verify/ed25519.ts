/**
 * Ed25519 (RFC 8032) by node:crypto, over whole messages. Any thread.
 *
 * OpenSSL requires of a signature R‖S that S is below the group's order, as the ledger does, and that R is byte for byte the
 * encoding of S·B − h·A, without a cofactor: so no other form of a signature passes. Points of small order are refused here,
 * as A and as R. Other keys only have to decode: opening a channel is stricter (channel/ed25519-point.ts).
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ED25519_KEY_PREFIX, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { isSmallOrder } from '../channel/ed25519-point.ts';
import { KeyObjects } from './key-objects.ts';

export class Ed25519Verifier {
  readonly #keys = new KeyObjects(parseKey);

  /** Whether `signature` is `publicKey`'s (ED and 32 bytes) over `message`. False for anything malformed; never throws. */
  verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
    if (signature.length !== SIGNATURE_BYTES || publicKey.length !== PUBLIC_KEY_BYTES) return false;
    if (publicKey[0] !== ED25519_KEY_PREFIX || isSmallOrder(signature)) return false;
    const key = this.#keys.get(publicKey);
    return key !== null && verify(null, message, key, signature);
  }
}

/** By JWK, which takes 9 µs to read, and DER 80. OpenSSL decodes the point only when it verifies. */
function parseKey(publicKey: Uint8Array): KeyObject {
  if (isSmallOrder(publicKey, 1)) throw new RangeError('expected a key of large order, got one of small order');
  const x = Buffer.from(publicKey.subarray(1)).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}
