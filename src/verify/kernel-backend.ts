/**
 * The kernel as a verification backend: whole batches of slots in one call, in place. Verifying thread.
 */
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { BackendName, VerifyBackend } from './backend.ts';
import type { Kernel } from './kernel.ts';

/**
 * Claims of one call, a millisecond or two of work. The kernel shares inversions over 128 of them and fetches the tables
 * of the next 128 meanwhile, so a call of many is faster than many calls.
 */
const BATCH_MAX: Readonly<Record<BackendName, number>> = { native: 1_024, wasm: 128, noble: 1 };

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

  verifySlots(first: number, count: number): void {
    if (count === 1) this.#kernel.verifySlot(first);
    else this.#kernel.verifySlots(first, count);
  }
}
