/** The reference as a backend: it judges one claim at a time, with digests and signatures by noble. Verifying thread. */
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { linkPreimage, xrplPreimage } from '../../protocol/digest.ts';
import { CLAIM_BYTES, CLAIM_SIGNATURE, CLAIM_TIMESTAMP, PROFILE_LINK, PROFILE_XRPL } from '../../protocol/layout.ts';
import { type ChannelTable, FLAG_LINK, HOT_FLAGS, HOT_KEY } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_INVALID, VERDICT_PENDING, VERDICT_VALID } from '../ring/slot.ts';
import { BACKEND_CLAIMS_PER_MS, type VerifyBackend } from './backend.ts';
import { verifyDigest } from './noble.ts';

export class ReferenceBackend implements VerifyBackend {
  readonly name = 'noble';
  /** 4 ms of work, so that verifiers share a burst and a commit does not wait. */
  readonly batchMax = BACKEND_CLAIMS_PER_MS.noble * 4;
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;

  constructor(arena: Arena, ring: ClaimRing, table: ChannelTable) {
    this.#arena = arena;
    this.#ring = ring;
    this.#table = table;
  }

  verifySlots(first: number, count: number): void {
    for (let index = 0; index < count; index++)
      judgeSlot(this.#arena, this.#table, this.#ring.slot(first + index), isValidByNoble);
  }
}

/** Whether a signature is the key's over a preimage, under the profile's hash. */
export type IsValid = (profile: number, preimage: Uint8Array, signature: Uint8Array, publicKey: Uint8Array) => boolean;

const isValidByNoble: IsValid = (profile, preimage, signature, publicKey) => {
  const digest = profile === PROFILE_LINK ? sha256(preimage) : sha512(preimage).subarray(0, 32);
  return verifyDigest(signature, digest, publicKey);
};

/** Judges the claim in `slot`, unless it has a verdict. */
export function judgeSlot({ bytes, words, ints }: Arena, table: ChannelTable, slot: number, isValid: IsValid): void {
  if (Atomics.load(ints, (slot + SLOT_VERDICT) >>> 2) !== VERDICT_PENDING) return;
  const row = words[(slot + SLOT_ROW) >>> 2]!;
  const hot = table.hot(row);
  const isLink = (table.words[hot + HOT_FLAGS]! & FLAG_LINK) !== 0;
  // Copies, since hash and curve libraries do not expect shared memory.
  const publicKey = table.publicKey(table.words[hot + HOT_KEY]!).slice();
  const claim = bytes.slice(slot, slot + CLAIM_BYTES);
  const preimage = (isLink ? linkPreimage : xrplPreimage)(table.ledgerId(row), claim);
  const signature = claim.subarray(CLAIM_SIGNATURE, CLAIM_TIMESTAMP);
  const verdict = isValid(isLink ? PROFILE_LINK : PROFILE_XRPL, preimage, signature, publicKey);
  Atomics.store(ints, (slot + SLOT_VERDICT) >>> 2, verdict ? VERDICT_VALID : VERDICT_INVALID);
}
