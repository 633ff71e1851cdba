/**
 * The kernel as a verification backend: whole batches of slots in one call, in place. Verifying thread.
 */
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { BackendName, VerifyBackend } from './backend.ts';
import { type Kernel, kernelLayout } from './kernel.ts';

/** Signatures that share their inversions: larger calls gain nothing, smaller ones cost (src/kernel/README.md). */
const BATCH_MAX = 128;

export class KernelBackend implements VerifyBackend {
  readonly name: BackendName;
  readonly batchMax = BATCH_MAX;
  readonly #kernel: Kernel;

  constructor(name: BackendName, kernel: Kernel, arena: Arena, ring: ClaimRing) {
    this.name = name;
    this.#kernel = kernel;
    kernel.attach(arena, kernelLayout(arena, ring));
  }

  verifySlots(first: number, count: number): void {
    if (count === 1) this.#kernel.verifySlot(first);
    else this.#kernel.verifySlots(first, count);
  }
}
