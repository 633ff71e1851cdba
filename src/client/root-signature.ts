/** The signature of a root of a Merkle batch, from whatever signs. Payer's thread. */
import { sha256 } from '@noble/hashes/sha2.js';
import { SIGNATURE_BYTES } from '../../protocol/layout.ts';
import { invalid } from './claim-errors.ts';
import type { Signer } from './keys/secp256k1-signer.ts';

/** 64 bytes over the root's preimage (protocol/merkle.ts). Rejects as the signer does, or with INPUT_INVALID where it gives something else. */
export async function signRoot(signer: Signer, preimage: Uint8Array): Promise<Uint8Array> {
  const signature = await (signer.signMessage?.(preimage) ?? signer.signDigests!(sha256(preimage)));
  if (signature instanceof Uint8Array && signature.length === SIGNATURE_BYTES) return signature;
  const got = signature instanceof Uint8Array ? `${signature.length} bytes` : typeof signature;
  throw invalid(`signer: expected ${SIGNATURE_BYTES} bytes for a root, got ${got}`);
}
