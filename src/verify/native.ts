/**
 * The kernel as a Node-API addon, built by `make native` into build/. Main thread first, then the verifying threads.
 *
 * The addon's instruction set is chosen once, at load; CLAIMWIRE_KERNEL=avx512ifma|avx2|scalar forces one.
 */
import { loadAddon } from '../native/addon.ts';
import type { Arena } from '../ring/arena.ts';
import { arenaLayout } from '../ring/arena-layout.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { KERNEL_STATS, type Kernel, type KernelPath, type KernelStats, namedStats } from './kernel.ts';

/** What the addon exports (src/native/addon.c). Hot calls take integers only. */
interface Addon extends Omit<Kernel, 'attach' | 'kernelName' | 'stats'> {
  start(cacheBytes: number): void;
  attach(arena: Uint8Array, layout: Uint32Array): void;
  stats(numbers: Float64Array): void;
  kernelName(): string;
}

export class NativeKernel implements Kernel {
  readonly kernelName: string;
  readonly #addon: Addon;

  /**
   * Loads the addon and makes this thread's instance. The first call in a process sets the cache's size.
   * Throws Error, saying what is missing: no addon was built, or CLAIMWIRE_KERNEL asks for what the CPU lacks.
   */
  constructor(cacheBytes: number) {
    this.#addon = loadAddon<Addon>();
    this.#addon.start(cacheBytes);
    this.kernelName = this.#addon.kernelName();
  }

  attach(arena: Arena, ring: ClaimRing): void {
    this.#addon.attach(arena.bytes, arenaLayout(arena, ring));
  }
  verifySlots(first: number, count: number): void {
    this.#addon.verifySlots(first, count);
  }
  verifySlot(sequence: number): void {
    this.#addon.verifySlot(sequence);
  }
  verifyMany(
    digests: Uint8Array,
    signatures: Uint8Array,
    keys: Uint8Array,
    verdicts: Uint8Array,
    path: KernelPath,
  ): void {
    this.#addon.verifyMany(digests, signatures, keys, verdicts, path);
  }
  keyValid(publicKey: Uint8Array): boolean {
    return this.#addon.keyValid(publicKey);
  }
  stats(): KernelStats {
    const numbers = new Float64Array(KERNEL_STATS.length);
    this.#addon.stats(numbers);
    return namedStats(numbers);
  }
}
