/**
 * What the kernel in C offers, as a native addon or as wasm, from the same source. Each verifying thread has an instance;
 * they share one cache of key tables.
 */
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';

/** The cache of key tables, as the main thread decided it. */
export interface KernelStart {
  /** Bytes for the key tables of all threads. */
  cacheBytes: number;
  /** How many threads have an instance, and the number of this one. */
  threads: number;
  thread: number;
}

/** What C has counted since the process began, in its order. */
export const KERNEL_STATS = [
  'verified',
  'valid',
  'slowPaths', // collisions: with a table only the channel's own payer can make them (path/slow-paths.ts)
  'hitsHuge',
  'hitsLarge',
  'hitsSmall',
  'hitsTiny',
  'misses', // claims of keys without a table, which are verified without one
  'buildsHuge',
  'buildsLarge',
  'buildsSmall',
  'buildsTiny',
  'evictions',
  'refused', // tables that a key had earned and that found no place
  'bytes',
  'bytesUsed',
] as const;
/** The kernel's counters, since the process began. */
export type KernelStats = Record<(typeof KERNEL_STATS)[number], number>;

export function namedStats(numbers: ArrayLike<number | bigint>): KernelStats {
  return Object.fromEntries(KERNEL_STATS.map((name, index) => [name, Number(numbers[index])])) as KernelStats;
}

/** The kernel's ways to verify, for tests: all give the same verdict. `slow` is the specification. */
export const KERNEL_PATHS = { batch: 0, slow: 1, single: 2, complete: 3 } as const;
export type KernelPath = (typeof KERNEL_PATHS)[keyof typeof KERNEL_PATHS];

/** What a key is verified with: four sizes of table, or none. The kernel's numbers for them (src/kernel/table.h). */
export const TABLE_KINDS = { none: 5, tiny: 0, small: 1, large: 2, huge: 3 } as const;
export type TableKind = keyof typeof TABLE_KINDS;

/** Keys of one call: 33 bytes each, the kind of the table that each has, and how many valid claims it had of late. */
export interface KeyList {
  keys: Uint8Array;
  kinds: Uint8Array;
  heat: Uint32Array;
}
/** Keys of a call at most, from so many places of the index. */
export const LISTED_MAX = 256;
export const LISTED_PARTS = 32;

export interface Kernel {
  /** The instruction set it runs on: avx512ifma, avx512f, avx2, neon, scalar or wasm. */
  readonly kernelName: string;
  /** From now on the slots of `ring` are judged. */
  attach(arena: Arena, ring: ClaimRing): void;
  /** Judges the slots from ring sequence `first` on that have no verdict yet; `count` at most 4,096. */
  verifySlots(first: number, count: number): void;
  /** The same for one slot, with its work spread over the elements of a vector: less latency. */
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
  /**
   * For tests: from now on this instance makes tables of the kind for every key with a valid claim, at the end of the call, or
   * uses none. A key with a larger one keeps it. Undefined: keys earn their tables again.
   */
  forceTables(kind: TableKind | undefined): void;
  /**
   * The keys that have a table now, part by part, for a thread that judges nothing: how many are in the part, or -1 beyond the last
   * one. Parts are LISTED_PARTS apart, from 0 on.
   */
  listKeys(part: number, into: KeyList): number;
  /** Makes tables of a kind for keys, 33 bytes each, that have none as large, in such a thread; whether there was room for all. */
  warmKeys(kind: number, keys: Uint8Array): boolean;
  /** Key tables use at most so many bytes from now on, within what was mapped for them at the start. */
  limitTables(bytes: number): void;
}
