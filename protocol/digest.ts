/**
 * What a claim's signature covers, per profile (protocol/README.md, "Profiles").
 *
 * This is the readable specification; the verification kernel computes the same digests for several claims at a time. The
 * hashes are those of noble-hashes.
 */
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { CLAIM_AMOUNT, CLAIM_SIGNATURE, CLAIM_TIMESTAMP, LEDGER_CHANNEL_ID_BYTES } from './layout.ts';

/** `"CLM\0" ‖ ledgerChannelId[32] ‖ amount[8]`. */
export const XRPL_PREIMAGE_BYTES = 44;
const XRPL_PREFIX = Uint8Array.of(0x43, 0x4c, 0x4d, 0x00);

/** `"claimwire/link/1" ‖ ledgerChannelId[32] ‖ claim[0..20] ‖ claim[85..92]`. */
export const LINK_PREIMAGE_BYTES = 77;
const LINK_PREFIX = utf8ToBytes('claimwire/link/1');

/**
 * The 44 bytes an `xrpl` signature covers (Ed25519 signs these themselves).
 * @param ledgerChannelId 32 bytes, else RangeError: a shorter one would sign silently for another channel
 * @param claim the claim's bytes, the frame starting at `offset`
 */
export function xrplPreimage(ledgerChannelId: Uint8Array, claim: Uint8Array, offset = 0): Uint8Array {
  expectLedgerChannelId(ledgerChannelId);
  const preimage = new Uint8Array(XRPL_PREIMAGE_BYTES);
  preimage.set(XRPL_PREFIX);
  preimage.set(ledgerChannelId, 4);
  const amount = offset + CLAIM_AMOUNT;
  preimage.set(claim.subarray(amount, amount + 8), 4 + LEDGER_CHANNEL_ID_BYTES);
  return preimage;
}

/** The 77 bytes a `link` signature covers. */
export function linkPreimage(ledgerChannelId: Uint8Array, claim: Uint8Array, offset = 0): Uint8Array {
  expectLedgerChannelId(ledgerChannelId);
  const preimage = new Uint8Array(LINK_PREIMAGE_BYTES);
  preimage.set(LINK_PREFIX);
  preimage.set(ledgerChannelId, LINK_PREFIX.length);
  const head = LINK_PREFIX.length + LEDGER_CHANNEL_ID_BYTES;
  preimage.set(claim.subarray(offset, offset + CLAIM_SIGNATURE), head);
  const timestamp = offset + CLAIM_TIMESTAMP;
  preimage.set(claim.subarray(timestamp, timestamp + 8), head + CLAIM_SIGNATURE);
  return preimage;
}

/** SHA-512Half of the xrpl preimage: the 32 bytes secp256k1 signs. */
export function xrplDigest(ledgerChannelId: Uint8Array, claim: Uint8Array, offset = 0): Uint8Array {
  return sha512(xrplPreimage(ledgerChannelId, claim, offset)).subarray(0, 32);
}

/** SHA-256 of the link preimage: the 32 bytes secp256k1 signs. */
export function linkDigest(ledgerChannelId: Uint8Array, claim: Uint8Array, offset = 0): Uint8Array {
  return sha256(linkPreimage(ledgerChannelId, claim, offset));
}

function expectLedgerChannelId(id: Uint8Array): void {
  if (id.length !== LEDGER_CHANNEL_ID_BYTES)
    throw new RangeError(`ledger channel id: expected ${LEDGER_CHANNEL_ID_BYTES} bytes, got ${id.length}`);
}
