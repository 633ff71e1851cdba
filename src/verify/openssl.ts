/**
 * ECDSA over secp256k1 by node:crypto, a few times as fast as the reference, and without an addon.
 *
 * OpenSSL accepts high-S signatures and the ledger does not, so s ≤ n/2 is checked here. ECDSA cuts a SHA-512 digest to 256
 * bits, which is the ledger's SHA-512Half.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { PROFILE_LINK, PUBLIC_KEY_BYTES, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { KeyObjects } from './key-objects.ts';

/** n/2 rounded down, big-endian: the largest low s. SEC 2, section 2.4.1. */
const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex');
/** SubjectPublicKeyInfo of a compressed secp256k1 point, up to the point itself. RFC 5480. */
const SPKI_PREFIX = Buffer.from('3036301006072a8648ce3d020106052b8104000a032200', 'hex');

export class OpensslVerifier {
  readonly #keys = new KeyObjects(parseKey);

  /**
   * Whether `signature` (64 bytes) is `publicKey`'s over `preimage` under the profile's hash, low-S only. False for
   * anything malformed; never throws.
   */
  verify(profile: number, preimage: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
    if (signature.length !== SIGNATURE_BYTES || publicKey.length !== PUBLIC_KEY_BYTES) return false;
    if (HALF_ORDER.compare(signature, 32, SIGNATURE_BYTES) < 0) return false;
    const key = this.#keys.get(publicKey);
    if (key === null) return false;
    const hash = profile === PROFILE_LINK ? 'sha256' : 'sha512';
    return verify(hash, preimage, { key, dsaEncoding: 'ieee-p1363' }, signature);
  }
}

function parseKey(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
}
