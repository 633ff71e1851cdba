/**
 * Checks one batch of the journal audit. Runs in a Piscina worker, and owns the batch that is transferred to it.
 */
import { linkPreimage, xrplPreimage } from '../../protocol/digest.ts';
import {
  CLAIM_BYTES,
  CLAIM_SIGNATURE,
  ED25519_KEY_PREFIX,
  LEDGER_CHANNEL_ID_BYTES,
  PROFILE_LINK,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import { Ed25519Verifier } from '../verify/ed25519.ts';
import { OpensslVerifier } from '../verify/openssl.ts';

/** Offsets in an entry of a batch: the claim, then what its channel is registered with. */
export const AUDIT = { claim: 0, publicKey: 93, ledgerChannelId: 126, profile: 158 } as const;
export const AUDIT_BYTES = 160;
assert(AUDIT.publicKey === CLAIM_BYTES, 'the key follows the claim');
assert(AUDIT.profile === AUDIT.publicKey + PUBLIC_KEY_BYTES + LEDGER_CHANNEL_ID_BYTES, 'id and profile follow the key');

const secp256k1 = new OpensslVerifier();
const ed25519 = new Ed25519Verifier();

/** Indexes of the claims in `batch` whose signature is not valid. */
export default function checkBatch(batch: Uint8Array): number[] {
  const failing: number[] = [];
  for (let start = 0; start + AUDIT_BYTES <= batch.length; start += AUDIT_BYTES) {
    const field = (offset: number, length: number) => batch.subarray(start + offset, start + offset + length);
    const claim = field(AUDIT.claim, AUDIT.publicKey);
    const profile = batch[start + AUDIT.profile]!;
    const preimage = profile === PROFILE_LINK ? linkPreimage : xrplPreimage;
    const covered = preimage(field(AUDIT.ledgerChannelId, LEDGER_CHANNEL_ID_BYTES), claim);
    const signature = field(AUDIT.claim + CLAIM_SIGNATURE, SIGNATURE_BYTES);
    const publicKey = field(AUDIT.publicKey, PUBLIC_KEY_BYTES);
    const isValid =
      publicKey[0] === ED25519_KEY_PREFIX
        ? ed25519.verify(covered, signature, publicKey)
        : secp256k1.verify(profile, covered, signature, publicKey);
    if (!isValid) failing.push(start / AUDIT_BYTES);
  }
  return failing;
}
