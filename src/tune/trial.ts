/**
 * One change of one setting, measured against what was before: old, new, old again, and so on until it is clear. Pure.
 *
 * The load of a node is never quite the same twice. What two equal intervals differ by is known from the old setting, which is
 * measured on both sides of the new one; a change counts when it makes more of a difference than that.
 */

export const GAIN_MIN = 0.02;
/** So much better is not noise: the old setting is not measured again. */
const GAIN_CLEAR = 0.5;
/** Old intervals that differ by more were not under the same load. */
const LIKE = 0.2;
const PAIRS_MAX = 4;
/** Differences of equal intervals that are remembered, and what is assumed before there are any. */
const NOISE_KEPT = 16;
const NOISE_START = 0.03;
const NOISE_MIN = 0.005;

/** What equal intervals differ by: the standard deviation of one, as a share. */
export class Noise {
  readonly #differences: number[] = [];

  add(before: number, after: number): void {
    this.#differences.push(Math.abs(after / before - 1));
    if (this.#differences.length > NOISE_KEPT) this.#differences.shift();
  }

  get value(): number {
    if (this.#differences.length < 2) return NOISE_START;
    const sorted = this.#differences.toSorted((left, right) => left - right);
    // The median of the difference of two normal values is 0.954 standard deviations.
    return Math.max(NOISE_MIN, sorted[sorted.length >> 1]! / 0.954);
  }
}

/** What to do next: measure with the new or the old setting, or end with one of them. */
export type Verdict = 'old' | 'new' | 'keep' | 'undo' | 'unlike';

export class Trial {
  readonly #noise: Noise;
  readonly #old: number[];
  readonly #new: number[] = [];

  /** @param before the score under the old setting, of the interval that has just ended */
  constructor(before: number, noise: Noise) {
    this.#old = [before];
    this.#noise = noise;
  }

  get before(): number {
    return mean(this.#old);
  }
  get after(): number {
    return mean(this.#new);
  }

  /** After an interval with the new setting. */
  tried(score: number): Verdict {
    this.#new.push(score);
    const gain = this.after / this.before - 1;
    return gain > GAIN_CLEAR && gain > 4 * this.#noise.value ? 'keep' : 'old';
  }

  /** After an interval with the old setting again. */
  checked(score: number): Verdict {
    const last = this.#old.at(-1)!;
    const noise = this.#noise.value;
    if (Math.abs(score / last - 1) > Math.max(LIKE, 3 * noise)) return 'unlike';
    this.#noise.add(last, score);
    this.#old.push(score);
    const gain = this.after / this.before - 1;
    const error = this.#noise.value * Math.sqrt(1 / this.#old.length + 1 / this.#new.length);
    if (gain > Math.max(GAIN_MIN, 2 * error)) return 'keep';
    return gain < GAIN_MIN || this.#new.length >= PAIRS_MAX ? 'undo' : 'new';
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
