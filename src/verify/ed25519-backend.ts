/**
 * Judges the claims of Ed25519 channels, and passes all others to another backend. Verifying thread.
 *
 * A batch is judged in ring order, in runs of one kind. Two passes over it would be wrong: a slot with a verdict belongs to
 * the committer, and at the second pass the receiver may be writing another claim there. Short runs lose some batching,
 * which is little beside the Ed25519 claim that ends each (some 90 µs).
 */
import { type ChannelTable, FLAG_ED25519, HOT_FLAGS } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { SLOT_ROW } from '../ring/slot.ts';
import type { BackendName, VerifyBackend } from './backend.ts';
import { Ed25519Verifier } from './ed25519.ts';
import type { TableKind } from './kernel.ts';
import { type IsValid, judgeSlot } from './reference-backend.ts';

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

  forceTables(kind: TableKind | undefined): void {
    this.#others.forceTables?.(kind);
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
      if (end < count) judgeSlot(this.#arena, this.#table, this.#ring.slot(first + end), this.#isValid);
      start = end + 1;
    }
  }

  #isEd25519(sequence: number): boolean {
    const row = this.#arena.words[(this.#ring.slot(sequence) + SLOT_ROW) >>> 2]!;
    return (this.#table.words[this.#table.hot(row) + HOT_FLAGS]! & FLAG_ED25519) !== 0;
  }

  readonly #isValid: IsValid = (_profile, preimage, signature, publicKey) =>
    this.#verifier.verify(preimage, signature, publicKey);
}
