/**
 * `--verify newest`: of each channel in a batch only the newest claim is verified. When it is valid, it supersedes the older
 * ones, which are never counted as verified. Wraps any backend; one instance per verifying thread.
 *
 * This is sound because a valid newer claim is worth more than any older one of its channel. It is only for `xrpl`, since
 * the sequence of a `link` claim counts too. When the newest is not valid, the older claims are verified after all: a
 * forger costs at most two more passes than verifying every claim.
 *
 * A claim is held back only when it lies before its channel's newest. The committer frees slots in ring order, so from the
 * first claim held back on it frees none. Slots before that may already have other claims, so which slots were held is
 * remembered here. A second pass begins after the first claim that must be verified after all. That one stays held, or the
 * committer could free slots of the pass, and is verified last.
 */
import { claimAmountHigh, claimAmountLow } from '../../protocol/claim.ts';
import { type ChannelTable, FLAG_ED25519, FLAG_LINK, HOT_FLAGS, isAbove } from '../channel/table.ts';
import { assert } from '../errors.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import {
  plainVerdict,
  SLOT_ROW,
  SLOT_VERDICT,
  VERDICT_HELD,
  VERDICT_PENDING,
  VERDICT_SUPERSEDED,
  VERDICT_VALID,
} from '../ring/slot.ts';
import type { BackendName, VerifyBackend } from './backend.ts';

/** The most claims that a verifying thread reserves at once (verify-step.ts). */
const BATCH_LIMIT = 4_096;

export class NewestBackend implements VerifyBackend {
  readonly name: BackendName;
  readonly batchMax: number;
  readonly #backend: VerifyBackend;
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  /** For each row the index in the batch of its newest claim, + 1. All zero between two batches. */
  readonly #newestOfRow: Uint32Array;
  /** For each claim of the batch its row, and whether it is held back, which is zero between two batches. */
  readonly #rows = new Uint32Array(BATCH_LIMIT);
  readonly #held = new Uint8Array(BATCH_LIMIT);

  constructor(backend: VerifyBackend, arena: Arena, ring: ClaimRing, table: ChannelTable) {
    this.name = backend.name;
    this.batchMax = backend.batchMax;
    this.#backend = backend;
    this.#arena = arena;
    this.#ring = ring;
    this.#table = table;
    this.#newestOfRow = new Uint32Array(table.capacity);
  }

  verifySlots(first: number, count: number): void {
    assert(count <= BATCH_LIMIT, 'a batch has room for its rows');
    for (let index = 0; index < count; index++) this.#hold(first, index);
    this.#backend.verifySlots(first, count);
    let again = -1;
    let others = 0;
    for (let index = 0; index < count; index++) {
      if (this.#held[index] === 0) continue;
      this.#held[index] = 0;
      const newest = this.#ring.slot(first + this.#newestOfRow[this.#rows[index]!]! - 1);
      const slot = this.#ring.slot(first + index);
      if (plainVerdict(this.#verdict(newest)) === VERDICT_VALID) this.#store(slot, VERDICT_SUPERSEDED);
      else if (again < 0) again = index;
      else {
        this.#store(slot, VERDICT_PENDING);
        others++;
      }
    }
    for (let index = 0; index < count; index++) this.#newestOfRow[this.#rows[index]!] = 0;
    if (again < 0) return;
    if (others > 0) this.#backend.verifySlots((first + again + 1) >>> 0, count - again - 1);
    this.#store(this.#ring.slot(first + again), VERDICT_PENDING);
    this.#backend.verifySlots((first + again) >>> 0, 1);
  }

  /** Holds back the channel's newest claim so far, if this one is worth more. */
  #hold(first: number, index: number): void {
    const slot = this.#ring.slot(first + index);
    const row = this.#arena.words[(slot + SLOT_ROW) >>> 2]!;
    this.#rows[index] = row;
    // Leaves are judged elsewhere.
    if (this.#verdict(slot) === VERDICT_HELD) return;
    const flags = this.#table.words[this.#table.hot(row) + HOT_FLAGS]!;
    if ((flags & (FLAG_LINK | FLAG_ED25519)) !== 0) return;
    const newest = this.#newestOfRow[row]! - 1;
    if (newest < 0) {
      this.#newestOfRow[row] = index + 1;
      return;
    }
    const rival = this.#ring.slot(first + newest);
    const { view } = this.#arena;
    const isNewer = isAbove(
      claimAmountHigh(view, slot),
      claimAmountLow(view, slot),
      claimAmountHigh(view, rival),
      claimAmountLow(view, rival),
    );
    if (!isNewer) return;
    this.#store(rival, VERDICT_HELD);
    this.#held[newest] = 1;
    this.#newestOfRow[row] = index + 1;
  }

  #verdict(slot: number): number {
    return Atomics.load(this.#arena.ints, (slot + SLOT_VERDICT) >>> 2);
  }
  #store(slot: number, verdict: number): void {
    Atomics.store(this.#arena.ints, (slot + SLOT_VERDICT) >>> 2, verdict);
  }
}
