/** One claim signed by whatever signer there is, where it is not a payer's that signs many. User's thread. */
import { linkDigest, xrplDigest } from '../../../protocol/digest.ts';
import { CLAIM_SIGNATURE, type ProfileName } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import type { Signer } from './secp256k1-signer.ts';

/**
 * Writes the 64 signature bytes of a claim whose other fields are all set. Rejects with what the signer rejects with, and
 * INPUT_INVALID where it signs no claims.
 */
export async function signClaim(
  signer: Signer,
  claim: Uint8Array,
  ledgerChannelId: Uint8Array,
  profile: ProfileName,
): Promise<void> {
  if (signer.signClaim !== undefined) signer.signClaim(claim, 0, ledgerChannelId, profile);
  else if (signer.signDigests !== undefined) {
    const digest = profile === 'link' ? linkDigest : xrplDigest;
    claim.set(await signer.signDigests(digest(ledgerChannelId, claim)), CLAIM_SIGNATURE);
  } else
    throw new ClaimwireError('INPUT_INVALID', 'key: expected a signer with signClaim or signDigests, got one without');
}
