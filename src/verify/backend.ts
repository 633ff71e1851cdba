/**
 * The contract of verification backends: judge a batch of ring slots in place.
 *
 * One instance per verifying thread. For each of the `count` slots from ring sequence `first` on that has no verdict yet, it reads the
 * claim and the channel row the receiver named, and stores VERDICT_VALID or VERDICT_INVALID in the slot, atomically and
 * last: from then on the slot belongs to the committer. It never throws on what a claim contains.
 */
export interface VerifyBackend {
  readonly name: BackendName;
  /** Most claims worth taking at once: what keeps a batch within a few milliseconds. */
  readonly batchMax: number;
  verifySlots(first: number, count: number): void;
}

/** From the fastest to the reference: the order in which `auto` tries them. */
export const BACKEND_NAMES = ['native', 'wasm', 'noble'] as const;
/** What verifies signatures. */
export type BackendName = (typeof BACKEND_NAMES)[number];
/** `auto`: the fastest that passes its self-test. */
export type BackendChoice = BackendName | 'auto';

/** Claims one thread judges per millisecond, roughly: sizes batches and rings, decides nothing else. */
export const BACKEND_CLAIMS_PER_MS: Readonly<Record<BackendName, number>> = { native: 700, wasm: 50, noble: 0.5 };
