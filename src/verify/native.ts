/**
 * The kernel as a Node-API addon, in the main thread first, then in the verifying threads. The instruction set is chosen once
 * a process, by the first instance: the best that the CPU has and that passes the kernel's self-test in C, and where two could
 * be the faster one, the one that a race of a few milliseconds shows. CLAIMWIRE_KERNEL=avx512ifma|avx512f|avx2|neon|scalar forces one.
 */
import { loadAddon } from '../native/addon.ts';
import type { Arena } from '../ring/arena.ts';
import { arenaLayout } from '../ring/arena-layout.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import {
  KERNEL_STATS,
  type Kernel,
  type KernelStats,
  type KeyList,
  namedStats,
  TABLE_KINDS,
  type TableKind,
} from './kernel.ts';

/** What the addon exports (src/native/addon.c). Frequent calls have only integers as arguments. */
interface Addon extends Omit<Kernel, 'attach' | 'forceTables' | 'kernelName' | 'listKeys' | 'stats'> {
  forceTables(kind: number): void;
  listKeys(part: number, keys: Uint8Array, kinds: Uint8Array, heat: Uint32Array): number;
  kernelNote(): string;
  start(cacheBytes: number): void;
  attach(arena: Uint8Array, layout: Uint32Array): void;
  stats(numbers: Float64Array): void;
  kernelName(): string;
}

export class NativeKernel implements Kernel {
  readonly kernelName: string;
  /** How long other kernels took in the race, and which failed their self-test; empty where there was no choice. */
  readonly kernelNote: string;
  readonly #addon: Addon;

  /** The first instance sets the cache's size. Throws Error without an addon, or when the CPU lacks CLAIMWIRE_KERNEL's set. */
  constructor(cacheBytes: number) {
    this.#addon = loadAddon<Addon>();
    this.#addon.start(cacheBytes);
    this.kernelName = this.#addon.kernelName();
    this.kernelNote = this.#addon.kernelNote();
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
  verifyMany(...tuples: Parameters<Kernel['verifyMany']>): void {
    this.#addon.verifyMany(...tuples);
  }
  keyValid(publicKey: Uint8Array): boolean {
    return this.#addon.keyValid(publicKey);
  }
  forceTables(kind: TableKind | undefined): void {
    this.#addon.forceTables(kind === undefined ? -1 : TABLE_KINDS[kind]);
  }
  listKeys(part: number, { keys, kinds, heat }: KeyList): number {
    return this.#addon.listKeys(part, keys, kinds, heat);
  }
  warmKeys(kind: number, keys: Uint8Array): boolean {
    return this.#addon.warmKeys(kind, keys);
  }
  limitTables(bytes: number): void {
    this.#addon.limitTables(bytes);
  }
  stats(): KernelStats {
    const numbers = new Float64Array(KERNEL_STATS.length);
    this.#addon.stats(numbers);
    return namedStats(numbers);
  }
}
