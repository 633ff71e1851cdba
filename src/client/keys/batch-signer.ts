/**
 * The secp256k1 signer of Node's payers: noble signs until many claims wait, and from then on the addon's batch signer, where
 * there is one. Both make the same bytes. Payer's thread.
 */
import { NativeSigner, nativeSigningFault } from '../../native/batch-signer.ts';
import { Secp256k1Signer as PortableSigner, type Signer } from './secp256k1-signer.ts';

/** A signer with a secp256k1 key in memory. */
export class Secp256k1Signer extends PortableSigner {
  #native: NativeSigner | undefined;
  #isPortable = false;

  /** Starts the addon when it is first asked for. Absent where there is none: then claims are signed one by one. */
  get signBatch(): Signer['signBatch'] {
    if (this.#native === undefined && !this.#isPortable) this.#start();
    return this.#isPortable ? undefined : this.#signBatch;
  }

  #signBatch(...claims: Parameters<NativeSigner['signClaims']>): void {
    this.#native!.signClaims(...claims);
  }

  #start(): void {
    this.#isPortable = nativeSigningFault() !== undefined;
    if (this.#isPortable) return;
    try {
      this.#native = this.handOver((privateKey) => new NativeSigner(privateKey));
    } catch {
      // The kernel does not start, or has no memory for the key. noble signs the same bytes.
      this.#isPortable = true;
    }
  }
}
