/**
 * What the C kernel offers, whichever way it was built: native addon or wasm. Same source, same verdicts.
 *
 * One instance per thread that verifies; behind them one cache of key tables for the whole process.
 */
import { HOT_FLAGS, HOT_KEY } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import { ROW_HOT_BYTES } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';

/** How the process's key tables are kept, decided once by the main thread. */
export interface KernelStart {
  /** Bytes for key tables, all threads together. */
  cacheBytes: number;
  /** Threads that have an instance, and which of them this is. */
  threads: number;
  thread: number;
}

/** Where the kernel finds what it reads: offsets in bytes from the arena's start. */
export interface KernelLayout {
  slots: number;
  /** Ring size - 1. */
  slotMask: number;
  /** 32 bytes a row. */
  ledgerIds: number;
  /** u32s, `rowStride` bytes from row to row. */
  keyIndexes: number;
  flags: number;
  rowStride: number;
  keys: number;
}

/** The key-table cache and the paths taken, since the process began. */
export interface KernelStats {
  verified: number;
  valid: number;
  /** Signatures that took the complete path: collisions, which only a channel's own payer can make. */
  slowPaths: number;
  hitsLarge: number;
  hitsSmall: number;
  misses: number;
  buildsSmall: number;
  buildsLarge: number;
  evictions: number;
  refused: number;
  bytes: number;
  bytesUsed: number;
}

/** Which road a signature takes, for tests: all give the same verdict. */
export const KERNEL_PATHS = { batch: 0, slow: 1, single: 2 } as const;
export type KernelPath = (typeof KERNEL_PATHS)[keyof typeof KERNEL_PATHS];

export interface Kernel {
  /** The instruction set it runs on: avx512ifma, avx2, scalar or wasm. */
  readonly kernelName: string;
  attach(arena: Arena, layout: KernelLayout): void;
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

export function kernelLayout(arena: Arena, ring: ClaimRing): KernelLayout {
  const { plan } = arena;
  return {
    slots: ring.base,
    slotMask: ring.mask,
    ledgerIds: plan.ledgerIds.offset,
    keyIndexes: plan.rows.offset + HOT_KEY * 4,
    flags: plan.rows.offset + HOT_FLAGS * 4,
    rowStride: ROW_HOT_BYTES,
    keys: plan.keys.offset,
  };
}
