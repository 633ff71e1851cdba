/**
 * What the C kernel offers, whichever way it was built: native addon or wasm. Same source, same verdicts.
 *
 * One instance per thread that verifies; behind them one cache of key tables for the whole process.
 */
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';

/** How the process's key tables are kept, decided once by the main thread. */
export interface KernelStart {
  /** Bytes for key tables, all threads together. */
  cacheBytes: number;
  /** Threads that have an instance, and which of them this is. */
  threads: number;
  thread: number;
}

/** The key-table cache and the paths taken, since the process began: what C counts, in its order. */
export const KERNEL_STATS = [
  'verified',
  'valid',
  'slowPaths', // collisions, which only a channel's own payer can make
  'hitsLarge',
  'hitsSmall',
  'misses',
  'buildsSmall',
  'buildsLarge',
  'evictions',
  'refused', // no place was free: a table built for one batch only
  'bytes',
  'bytesUsed',
] as const;
export type KernelStats = Record<(typeof KERNEL_STATS)[number], number>;

export function namedStats(numbers: ArrayLike<number | bigint>): KernelStats {
  return Object.fromEntries(KERNEL_STATS.map((name, index) => [name, Number(numbers[index])])) as KernelStats;
}

/** Which road a signature takes, for tests: all give the same verdict. `slow` is the specification. */
export const KERNEL_PATHS = { batch: 0, slow: 1, single: 2, complete: 3 } as const;
export type KernelPath = (typeof KERNEL_PATHS)[keyof typeof KERNEL_PATHS];

export interface Kernel {
  /** The instruction set it runs on: avx512ifma, avx2, scalar or wasm. */
  readonly kernelName: string;
  /** The ring whose slots are judged from now on. */
  attach(arena: Arena, ring: ClaimRing): void;
  /** Judges the slots from ring sequence `first` on that have no verdict yet; `count` at most 4,096. */
  verifySlots(first: number, count: number): void;
  /** The same for one slot, spread over the lanes: less latency. */
  verifySlot(sequence: number): void;
  /** `verdicts.length` tuples of 32-byte digests, 64-byte signatures and 33-byte keys; 1 is valid. */
  verifyMany(
    digests: Uint8Array,
    signatures: Uint8Array,
    keys: Uint8Array,
    verdicts: Uint8Array,
    path: KernelPath,
  ): void;
  /** Whether 33 bytes are a point of secp256k1. */
  keyValid(publicKey: Uint8Array): boolean;
  stats(): KernelStats;
}
