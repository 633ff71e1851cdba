/**
 * Signs claims in place, on the payer's thread, in Node and in a page alike: secp256k1 ECDSA over the digest (RFC 6979
 * nonces, low s, 64 bytes r‖s). noble does the same steps whatever the key, as far as a JavaScript engine allows (its
 * README, "Constant-timeness").
 */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { getPublicKey, hashes, sign, utils } from '@noble/secp256k1';
import { linkDigest, xrplDigest } from '../../../protocol/digest.ts';
import { CLAIM_SIGNATURE, type ProfileName } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';

hashes.sha256 = sha256;
hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

/**
 * What a payer signs with. It has signClaim or signDigests, or both: then signDigests signs what waits together, if that is
 * more than a few. Both make secp256k1 signatures of low s; only signClaim can make Ed25519's.
 */
export interface Signer {
  /** 33 bytes: a compressed secp256k1 point, or ED and Ed25519's 32. */
  readonly publicKey: Uint8Array;
  /**
   * Writes the 64 signature bytes of the claim that starts at `claim[offset]`, whose other fields are all set.
   * @param ledgerChannelId 32 bytes
   */
  signClaim?(claim: Uint8Array, offset: number, ledgerChannelId: Uint8Array, profile: ProfileName): void;
  /**
   * Signs 1 to SIGNED_TOGETHER_MAX digests, perhaps elsewhere and later: in a hardware module, or many at a time.
   * @param digests 32 bytes each
   * @returns 64 bytes r‖s each, s ≤ n/2
   */
  signDigests?(digests: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /**
   * Writes the signatures of 1 to SIGNED_TOGETHER_MAX claims that lie back to back, in this thread and at once. A signer that
   * has it is asked for nothing else while many claims wait. What it throws, none of them is signed with.
   * @param ledgerChannelIds 32 bytes each
   * @param areLink 1 for each claim of the `link` profile, 0 for one of `xrpl`
   */
  signBatch?:
    | ((claims: Uint8Array, ledgerChannelIds: Uint8Array, areLink: Uint8Array, count: number) => void)
    | undefined;
  /**
   * The 64 signature bytes of a message under the rules of the `link` profile (secp256k1 signs its SHA-256, Ed25519 the
   * message). Only Payer.resume and sessions of a gateway need it.
   */
  signMessage?(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** A signer that signs at once, as those of keys in memory do. */
export interface KeySigner extends Signer {
  signClaim(claim: Uint8Array, offset: number, ledgerChannelId: Uint8Array, profile: ProfileName): void;
  signMessage(message: Uint8Array): Uint8Array;
}

/** The most digests of one call of Signer.signDigests. */
export const SIGNED_TOGETHER_MAX = 256;

const SIGN_OPTIONS = { prehash: false, lowS: true } as const;

/** What signs with a key from when it is handed over. */
interface SuccessorSigner {
  /** 64 bytes for each of the digests. */
  signDigests(digests: Uint8Array): Uint8Array;
}

/** A signer with a secp256k1 key in memory. */
export class Secp256k1Signer implements KeySigner {
  readonly publicKey: Uint8Array;
  readonly #privateKey: Uint8Array;
  #successor: SuccessorSigner | undefined;

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
    return this.#successor?.signDigests(digest) ?? sign(digest, this.#privateKey, SIGN_OPTIONS);
  }

  /** Gives the key to another signer that has it from now on, and overwrites the copy that this one had. */
  protected handOver<Successor extends SuccessorSigner>(make: (privateKey: Uint8Array) => Successor): Successor {
    const successor = make(this.#privateKey);
    this.#successor = successor;
    this.#privateKey.fill(0);
    return successor;
  }
}
