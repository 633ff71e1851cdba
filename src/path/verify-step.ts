/** The verify step reserves a batch of received claims, judges it in place and wakes the committer. Verifier or lane. */
import type { ClaimRing } from '../ring/claim-ring.ts';
import type { SettingWords } from '../ring/setting-words.ts';
import type { VerifyBackend } from '../verify/backend.ts';
import type { PathMeasures } from './path-measures.ts';

export class VerifyStep {
  readonly #ring: ClaimRing;
  readonly #backend: VerifyBackend;
  readonly #claimsMax: number;
  readonly #measures: PathMeasures | undefined;
  readonly #settings: SettingWords | undefined;

  /** @param claimsMax the most claims to reserve at once, so that other verifiers get some; the backend has its own limit */
  constructor(
    ring: ClaimRing,
    backend: VerifyBackend,
    claimsMax: number = Number.POSITIVE_INFINITY,
    measures?: PathMeasures,
    settings?: SettingWords,
  ) {
    this.#ring = ring;
    this.#backend = backend;
    this.#measures = measures;
    this.#settings = settings;
    this.#claimsMax = Math.min(backend.batchMax, claimsMax);
  }

  /** Judges at most one batch; returns how many claims it had. */
  step(): number {
    const wanted = this.#settings?.get('verifyBatch', this.#claimsMax) ?? this.#claimsMax;
    const count = this.#ring.reserve(Math.min(wanted, this.#claimsMax));
    if (count === 0) return 0;
    const { first } = this.#ring;
    this.#measures?.judging(first, count);
    this.#backend.verifySlots(first, count);
    this.#measures?.judged(first);
    this.#ring.verified();
    return count;
  }
}
