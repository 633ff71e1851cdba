/**
 * Judges leaves of Merkle batches by their frames, and passes all claims to another backend. Wraps any; one instance per verifying thread.
 *
 * The others judge their claims in one call over the whole batch, as large as it is: leaves are held back meanwhile. The committer frees
 * slots in ring order, so from the first leaf on it frees none; which slots have leaves is remembered, since those before it may already have
 * other claims.
 */
import { FRAME_MERKLE } from '../../protocol/layout.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { ENTRY_VERDICT, FRAME_VALID } from '../ring/frame-pool.ts';
import { LEAF_VALID, SLOT_FRAME, SLOT_VERDICT, VERDICT_HELD, VERDICT_INVALID } from '../ring/slot.ts';
import type { BackendName, VerifyBackend } from './backend.ts';
import { FRAMES_MAX, type FrameJudge } from './frame-judge.ts';
import type { TableKind } from './kernel.ts';

export class LeafBackend implements VerifyBackend {
  readonly name: BackendName;
  readonly batchMax: number;
  readonly #others: VerifyBackend;
  readonly #judge: FrameJudge;
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  /** Of the batch: the slots with leaves, the entries of their frames, each once, and where among the slots each frame's leaves end. */
  readonly #slots = new Uint32Array(FRAMES_MAX);
  readonly #entries = new Uint32Array(FRAMES_MAX);
  readonly #ends = new Uint32Array(FRAMES_MAX);

  /** @param others judges the slots of claims */
  constructor(others: VerifyBackend, judge: FrameJudge, arena: Arena, ring: ClaimRing) {
    this.name = others.name;
    this.batchMax = others.batchMax;
    this.#others = others;
    this.#judge = judge;
    this.#arena = arena;
    this.#ring = ring;
  }

  forceTables(kind: TableKind | undefined): void {
    this.#others.forceTables?.(kind);
  }

  verifySlots(first: number, count: number): void {
    const { bytes, view, ints } = this.#arena;
    let leaves = 0;
    let frames = 0;
    for (let index = 0; index < count; index++) {
      const slot = this.#ring.slot(first + index);
      if (bytes[slot] !== FRAME_MERKLE) continue;
      const entry = view.getUint32(slot + SLOT_FRAME);
      if (frames === 0 || this.#entries[frames - 1] !== entry) this.#entries[frames++] = entry;
      this.#slots[leaves++] = slot;
      this.#ends[frames - 1] = leaves;
    }
    if (leaves < count) {
      for (let leaf = 0; leaf < leaves; leaf++)
        Atomics.store(ints, (this.#slots[leaf]! + SLOT_VERDICT) >>> 2, VERDICT_HELD);
      this.#others.verifySlots(first, count);
    }
    if (leaves === 0) return;
    this.#judge.judge(this.#entries, frames);
    for (let frame = 0, leaf = 0; frame < frames; frame++) {
      const isValid = Atomics.load(ints, (this.#entries[frame]! >>> 2) + ENTRY_VERDICT) === FRAME_VALID;
      const verdict = isValid ? LEAF_VALID : VERDICT_INVALID;
      for (; leaf < this.#ends[frame]!; leaf++) Atomics.store(ints, (this.#slots[leaf]! + SLOT_VERDICT) >>> 2, verdict);
    }
  }
}
