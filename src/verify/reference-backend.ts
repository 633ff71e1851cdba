/**
 * The reference as a backend: one claim at a time, digest and signature by noble. Runs in a verifying thread.
 */
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { linkPreimage, xrplPreimage } from '../../protocol/digest.ts';
import { CLAIM_BYTES, CLAIM_SIGNATURE, CLAIM_TIMESTAMP, PROFILE_LINK, PROFILE_XRPL } from '../../protocol/layout.ts';
import { type ChannelTable, FLAG_LINK, HOT_FLAGS, HOT_KEY } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_INVALID, VERDICT_PENDING, VERDICT_VALID } from '../ring/slot.ts';
import { BACKEND_CLAIMS_PER_MS, type VerifyBackend } from './backend.ts';
import { verifyDigest } from './noble.ts';

/** A batch of a slow backend takes about this long, so that verifiers share a burst and a commit does not wait. */
const BATCH_MS = 4;

export class ReferenceBackend implements VerifyBackend {
  readonly name = 'noble';
  readonly batchMax = Math.max(1, Math.floor(BACKEND_CLAIMS_PER_MS.noble * BATCH_MS));
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;

  constructor(arena: Arena, ring: ClaimRing, table: ChannelTable) {
    this.#arena = arena;
    this.#ring = ring;
    this.#table = table;
  }

  verifySlots(first: number, count: number): void {
    const { bytes, words, ints } = this.#arena;
    for (let index = 0; index < count; index++) {
      const slot = this.#ring.slot(first + index);
      if (Atomics.load(ints, (slot + SLOT_VERDICT) >>> 2) !== VERDICT_PENDING) continue;
      const row = words[(slot + SLOT_ROW) >>> 2]!;
      const hot = this.#table.hot(row);
      const profile = this.#table.words[hot + HOT_FLAGS]! & FLAG_LINK ? PROFILE_LINK : PROFILE_XRPL;
      const publicKey = this.#table.publicKey(this.#table.words[hot + HOT_KEY]!).slice();
      // A copy: hash and curve libraries are not made for memory that others can see.
      const claim = bytes.slice(slot, slot + CLAIM_BYTES);
      const ledgerId = this.#table.ledgerId(row);
      const preimage = profile === PROFILE_LINK ? linkPreimage(ledgerId, claim) : xrplPreimage(ledgerId, claim);
      const signature = claim.subarray(CLAIM_SIGNATURE, CLAIM_TIMESTAMP);
      const isValid = isValidClaim(profile, preimage, signature, publicKey);
      Atomics.store(ints, (slot + SLOT_VERDICT) >>> 2, isValid ? VERDICT_VALID : VERDICT_INVALID);
    }
  }
}

/** By the reference: the digest the profile asks for, then noble. */
function isValidClaim(profile: number, preimage: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  const digest = profile === PROFILE_LINK ? sha256(preimage) : sha512(preimage).subarray(0, 32);
  return verifyDigest(signature, digest, publicKey);
}
