/**
 * One change of one setting, measured against what was before: old, new, old again, and so on until it is clear. Pure.
 *
 * The load of a node is never quite the same twice. What two equal intervals differ by is known from the old setting, which is
 * measured on both sides of the new one; a change counts when it makes more of a difference than that.
 */

import type { Score } from './score.ts';

const GAIN_MIN = 0.02;
/** So much better is not noise: the old setting is not measured again. */
const GAIN_CLEAR = 0.5;
/** The factor by which targets are missed less, or more. For less of it so much more processor time is not too much. */
const CLEARLY = 1.25;
const LOSS_MAX = 0.1;
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
  readonly #old: Score[];
  readonly #new: Score[] = [];

  /** @param before of the interval under the old setting that has just ended */
  constructor(before: Score, noise: Noise) {
    this.#old = [before];
    this.#noise = noise;
  }

  get before(): Score {
    return mean(this.#old);
  }
  get after(): Score {
    return mean(this.#new);
  }

  /** After an interval with the new setting. */
  tried(score: Score): Verdict {
    this.#new.push(score);
    const isClear = this.#gain > GAIN_CLEAR && this.#gain > 4 * this.#noise.value && !this.#isWorse;
    return isClear ? 'keep' : 'old';
  }

  /** After an interval with the old setting again. */
  checked(score: Score): Verdict {
    const last = this.#old.at(-1)!.perCpuSecond;
    const isUnlike = Math.abs(score.perCpuSecond / last - 1) > Math.max(LIKE, 3 * this.#noise.value);
    this.#noise.add(last, score.perCpuSecond);
    if (isUnlike) return 'unlike';
    this.#old.push(score);
    const pairs = this.#new.length;
    if (this.#isWorse) return 'undo';
    // Percentiles under too much load are little but noise, so that one pair of intervals does not show that they fell.
    if (this.#isBetter && this.#gain > -LOSS_MAX) return pairs >= 2 ? 'keep' : 'new';
    const error = this.#noise.value * Math.sqrt(1 / this.#old.length + 1 / pairs);
    if (this.#gain > Math.max(GAIN_MIN, 2 * error)) return 'keep';
    return this.#gain < GAIN_MIN || pairs >= PAIRS_MAX ? 'undo' : 'new';
  }

  get #gain(): number {
    return this.after.perCpuSecond / this.before.perCpuSecond - 1;
  }
  /** Whether every interval with the new setting missed the targets by clearly more, or less, than every other one. */
  get #isWorse(): boolean {
    return least(this.#new) > CLEARLY * most(this.#old);
  }
  get #isBetter(): boolean {
    return CLEARLY * most(this.#new) < least(this.#old);
  }
}

function least(scores: readonly Score[]): number {
  return Math.min(...scores.map(({ excess }) => excess));
}
function most(scores: readonly Score[]): number {
  return Math.max(...scores.map(({ excess }) => excess));
}

function mean(scores: readonly Score[]): Score {
  const of = (name: keyof Score) => scores.reduce((sum, score) => sum + score[name], 0) / scores.length;
  return { perCpuSecond: of('perCpuSecond'), p99Ms: of('p99Ms'), excess: of('excess') };
}
