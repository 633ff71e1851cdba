/**
 * Signs claims in place with Ed25519, on the payer's thread: over the preimage itself (RFC 8032: deterministic, s below the
 * group's order). OpenSSL does the same steps whatever the key, and its key object keeps the private key.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign as signEd25519 } from 'node:crypto';
import { linkPreimage, xrplPreimage } from '../../../protocol/digest.ts';
import { CLAIM_SIGNATURE, ED25519_KEY_PREFIX, type ProfileName } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import type { KeySigner } from './secp256k1-signer.ts';

export { Secp256k1Signer } from './batch-signer.ts';
export type { KeySigner, Signer } from './secp256k1-signer.ts';

const SEED_BYTES = 32;
/** PrivateKeyInfo of an Ed25519 seed, up to the seed itself. RFC 8410. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A signer with an Ed25519 key in memory. */
export class Ed25519Signer implements KeySigner {
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
