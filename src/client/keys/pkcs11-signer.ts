/** A payer's key in a hardware module (src/pkcs11), as the Signer of its channels. Payer's thread. */
import { sha256 } from '@noble/hashes/sha2.js';
import { openTokenKey, type Pkcs11Options } from '../../pkcs11/open.ts';
import type { TokenKey } from '../../pkcs11/token-key.ts';
import type { Signer } from './secp256k1-signer.ts';

export type { Pkcs11Options } from '../../pkcs11/open.ts';

/** Signs with a secp256k1 key that never leaves its token. Claims wait together while the token signs. */
export class Pkcs11Signer implements Signer {
  readonly publicKey: Uint8Array;
  readonly #key: TokenKey;

  private constructor(key: TokenKey) {
    this.#key = key;
    this.publicKey = key.publicKey;
  }

  /**
   * Opens the key that a PKCS#11 URI names (RFC 7512): `pkcs11:token=…;object=…?module-path=/usr/lib/…`. Close it after its
   * payers. Rejects with ClaimwireError INPUT_INVALID, DEPENDENCY_MISSING (pkcs11js), PKCS11_PIN, PKCS11_LOST or PKCS11_FAILED.
   */
  static async open(uri: string, options: Pkcs11Options = {}): Promise<Pkcs11Signer> {
    return new Pkcs11Signer(await openTokenKey(uri, options));
  }

  /** @param digests 32 bytes each. Rejects with ClaimwireError PKCS11_LOST, PKCS11_PIN or PKCS11_FAILED. */
  signDigests(digests: Uint8Array): Promise<Uint8Array> {
    return this.#key.signDigests(digests);
  }

  signMessage(message: Uint8Array): Promise<Uint8Array> {
    return this.#key.signDigests(sha256(message));
  }

  /** Ends the sessions with the token. Resolves when what it signs is signed; what waits is not. */
  close(): Promise<void> {
    return this.#key.close();
  }
}
