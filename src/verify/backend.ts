import type { TableKind } from './kernel.ts';

/** The contract of verification backends, which judge a batch of ring slots in place. One instance per verifying thread. */
export interface VerifyBackend {
  readonly name: BackendName;
  /** The most claims worth reserving at once, which keep a batch within a few milliseconds. */
  readonly batchMax: number;
  /**
   * For each of the `count` slots from ring sequence `first` on that has no verdict, reads the claim and its channel's row,
   * and stores VERDICT_VALID or VERDICT_INVALID, atomically and last: then the slot belongs to the committer. Never throws
   * because of what a claim contains.
   */
  verifySlots(first: number, count: number): void;
  /** Where keys have tables, for the self-test: which kind is made and used from now on; undefined for what keys earn. */
  forceTables?(kind: TableKind | undefined): void;
}

/** What verifies signatures, from the fastest to the reference: the order in which `auto` tries them. */
export const BACKEND_NAMES = ['native', 'wasm', 'noble'] as const;
/** A verification backend. */
export type BackendName = (typeof BACKEND_NAMES)[number];
/** `auto`: the fastest that passes its self-test. */
export type BackendChoice = BackendName | 'auto';

/** About how many claims a thread judges per millisecond: only for the sizes of batches and rings. */
export const BACKEND_CLAIMS_PER_MS: Readonly<Record<BackendName, number>> = { native: 700, wasm: 50, noble: 0.5 };
