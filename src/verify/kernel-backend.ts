/** The kernel as a backend: it judges a batch of slots in one call. Verifying thread. */
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { BackendName, VerifyBackend } from './backend.ts';
import type { Kernel, TableKind } from './kernel.ts';

/**
 * Claims of one call, one or two milliseconds of work. The kernel shares inversions among 128 claims and meanwhile fetches
 * the tables of the next 128, so one call of many is faster than many calls.
 */
export const BATCH_MAX: Readonly<Record<BackendName, number>> = { native: 1_024, wasm: 128, noble: 1 };

export class KernelBackend implements VerifyBackend {
  readonly name: BackendName;
  readonly batchMax: number;
  readonly #kernel: Kernel;

  constructor(name: BackendName, kernel: Kernel, arena: Arena, ring: ClaimRing) {
    this.name = name;
    this.batchMax = BATCH_MAX[name];
    this.#kernel = kernel;
    kernel.attach(arena, ring);
  }

  forceTables(kind: TableKind | undefined): void {
    this.#kernel.forceTables(kind);
  }

  verifySlots(first: number, count: number): void {
    if (count === 1) this.#kernel.verifySlot(first);
    else this.#kernel.verifySlots(first, count);
  }
}
