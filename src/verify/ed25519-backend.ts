/**
 * Ed25519 channels beside any other backend: their slots are judged here, all others by the backend within, which never
 * sees an Ed25519 slot. Verifying thread; owns nothing of the arena but the verdicts of the batch it was given.
 *
 * A batch is judged in ring order, in runs of one kind. Not in two passes over it: a slot with a verdict belongs to the
 * committer, and by a second pass the receiver may have put another claim there, unjudged, half written. What a short
 * run loses to the backend's batching is little beside the Ed25519 claim that ends it (some 90 µs).
 */
import { linkPreimage, xrplPreimage } from '../../protocol/digest.ts';
import { CLAIM_BYTES, CLAIM_SIGNATURE, CLAIM_TIMESTAMP } from '../../protocol/layout.ts';
import { type ChannelTable, FLAG_ED25519, FLAG_LINK, HOT_FLAGS, HOT_KEY } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { SLOT_ROW, SLOT_VERDICT, VERDICT_INVALID, VERDICT_PENDING, VERDICT_VALID } from '../ring/slot.ts';
import type { BackendName, VerifyBackend } from './backend.ts';
import { Ed25519Verifier } from './ed25519.ts';

export class Ed25519Backend implements VerifyBackend {
  readonly name: BackendName;
  readonly batchMax: number;
  readonly #others: VerifyBackend;
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  readonly #verifier = new Ed25519Verifier();

  /** @param others judges the slots of every other kind of key */
  constructor(others: VerifyBackend, arena: Arena, ring: ClaimRing, table: ChannelTable) {
    this.name = others.name;
    this.batchMax = others.batchMax;
    this.#others = others;
    this.#arena = arena;
    this.#ring = ring;
    this.#table = table;
  }

  verifySlots(first: number, count: number): void {
    if (!this.#table.hasEd25519) {
      this.#others.verifySlots(first, count);
      return;
    }
    for (let start = 0; start < count; ) {
      let end = start;
      while (end < count && !this.#isEd25519(first + end)) end++;
      if (end > start) this.#others.verifySlots((first + start) >>> 0, end - start);
      if (end < count) this.#judge(this.#ring.slot(first + end));
      start = end + 1;
    }
  }

  #isEd25519(sequence: number): boolean {
    const row = this.#arena.words[(this.#ring.slot(sequence) + SLOT_ROW) >>> 2]!;
    return (this.#table.words[this.#table.hot(row) + HOT_FLAGS]! & FLAG_ED25519) !== 0;
  }

  #judge(slot: number): void {
    const { bytes, words, ints } = this.#arena;
    if (Atomics.load(ints, (slot + SLOT_VERDICT) >>> 2) !== VERDICT_PENDING) return;
    const row = words[(slot + SLOT_ROW) >>> 2]!;
    const hot = this.#table.hot(row);
    // Copies: node:crypto is not made for memory that others can see.
    const claim = bytes.slice(slot, slot + CLAIM_BYTES);
    const publicKey = this.#table.publicKey(this.#table.words[hot + HOT_KEY]!).slice();
    const preimage = this.#table.words[hot + HOT_FLAGS]! & FLAG_LINK ? linkPreimage : xrplPreimage;
    const message = preimage(this.#table.ledgerId(row), claim);
    const isValid = this.#verifier.verify(message, claim.subarray(CLAIM_SIGNATURE, CLAIM_TIMESTAMP), publicKey);
    Atomics.store(ints, (slot + SLOT_VERDICT) >>> 2, isValid ? VERDICT_VALID : VERDICT_INVALID);
  }
}
