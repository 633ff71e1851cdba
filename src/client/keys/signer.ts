/**
 * Signs claims in place, on the payer's thread: secp256k1 ECDSA over the digest (RFC 6979 nonces, low s, 64 bytes r‖s) or
 * Ed25519 over the preimage itself (RFC 8032: deterministic, s below the group's order).
 *
 * Both do the same steps whatever the key: OpenSSL for Ed25519, whose key object keeps the private key, and noble for
 * secp256k1 as far as a JavaScript engine allows (its README, "Constant-timeness").
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign as signEd25519 } from 'node:crypto';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { getPublicKey, hashes, sign, utils } from '@noble/secp256k1';
import { linkDigest, linkPreimage, xrplDigest, xrplPreimage } from '../../../protocol/digest.ts';
import { CLAIM_SIGNATURE, ED25519_KEY_PREFIX, type ProfileName } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';

hashes.sha256 = sha256;
hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

/** What a payer signs with; it may use a hardware module. */
export interface Signer {
  /** 33 bytes: a compressed secp256k1 point, or ED and Ed25519's 32. */
  readonly publicKey: Uint8Array;
  /**
   * Writes the 64 signature bytes of the claim that starts at `claim[offset]`, whose other fields are all set.
   * @param ledgerChannelId 32 bytes
   */
  signClaim(claim: Uint8Array, offset: number, ledgerChannelId: Uint8Array, profile: ProfileName): void;
  /**
   * The 64 signature bytes of a message under the rules of the `link` profile (secp256k1 signs its SHA-256, Ed25519 the
   * message). Only Payer.resume needs it.
   */
  signMessage?(message: Uint8Array): Uint8Array;
}

const SIGN_OPTIONS = { prehash: false, lowS: true } as const;

/** A signer with a secp256k1 key in memory. */
export class Secp256k1Signer implements Signer {
  readonly publicKey: Uint8Array;
  readonly #privateKey: Uint8Array;

  /** @param privateKey 32 bytes, 1..n-1; copied. Throws ClaimwireError INPUT_INVALID on any other. */
  constructor(privateKey: Uint8Array) {
    if (!utils.isValidSecretKey(privateKey))
      throw new ClaimwireError('INPUT_INVALID', 'private key: expected 32 bytes in 1..n-1 of secp256k1, got others');
    this.#privateKey = privateKey.slice();
    this.publicKey = getPublicKey(privateKey);
  }

  signClaim(claim: Uint8Array, offset: number, ledgerChannelId: Uint8Array, profile: ProfileName): void {
    const digest =
      profile === 'link' ? linkDigest(ledgerChannelId, claim, offset) : xrplDigest(ledgerChannelId, claim, offset);
    claim.set(this.sign(digest), offset + CLAIM_SIGNATURE);
  }

  signMessage(message: Uint8Array): Uint8Array {
    return this.sign(sha256(message));
  }

  /** The 64 bytes r‖s over a 32-byte digest. */
  sign(digest: Uint8Array): Uint8Array {
    if (digest.length !== 32) throw new RangeError(`digest: expected 32 bytes, got ${digest.length}`);
    return sign(digest, this.#privateKey, SIGN_OPTIONS);
  }
}

const SEED_BYTES = 32;
/** PrivateKeyInfo of an Ed25519 seed, up to the seed itself. RFC 8410. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A signer with an Ed25519 key in memory. */
export class Ed25519Signer implements Signer {
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  /** @param seed 32 bytes, any; copied. Throws ClaimwireError INPUT_INVALID on another length. */
  constructor(seed: Uint8Array) {
    if (seed.length !== SEED_BYTES)
      throw new ClaimwireError('INPUT_INVALID', `private key: expected ${SEED_BYTES} bytes, got ${seed.length}`);
    const der = Buffer.concat([PKCS8_PREFIX, seed]);
    this.#privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    der.fill(0);
    const spki = createPublicKey(this.#privateKey).export({ format: 'der', type: 'spki' });
    this.publicKey = Uint8Array.of(ED25519_KEY_PREFIX, ...spki.subarray(-32));
  }

  signClaim(claim: Uint8Array, offset: number, ledgerChannelId: Uint8Array, profile: ProfileName): void {
    const preimage = profile === 'link' ? linkPreimage : xrplPreimage;
    claim.set(this.signMessage(preimage(ledgerChannelId, claim, offset)), offset + CLAIM_SIGNATURE);
  }

  signMessage(message: Uint8Array): Uint8Array {
    return signEd25519(null, message, this.#privateKey);
  }
}
