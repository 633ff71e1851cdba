/**
 * Checks one batch of the journal audit. Runs in a Piscina worker, as a file of its own; owns the batch handed to it.
 */
import { linkPreimage, xrplPreimage } from '../../protocol/digest.ts';
import {
  CLAIM_SIGNATURE,
  ED25519_KEY_PREFIX,
  LEDGER_CHANNEL_ID_BYTES,
  PROFILE_LINK,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
} from '../../protocol/layout.ts';
import { Ed25519Verifier } from '../verify/ed25519.ts';
import { OpensslVerifier } from '../verify/openssl.ts';
import { AUDIT, AUDIT_BYTES } from './audit-layout.ts';

const secp256k1 = new OpensslVerifier();
const ed25519 = new Ed25519Verifier();

/** Indexes of the claims in `batch` (audit-layout.ts) whose signature does not hold. */
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
