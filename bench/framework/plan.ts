/**
 * How long each part of a run may take. The sums are the promise that a quick run ends within three minutes and a full one
 * within twelve: a part ends its rounds when its seconds are over, and is left out, and said to be, where none are left.
 */
import type { Effort } from './measure.ts';

export interface Plan {
  /** Seconds of the whole run; parts that would begin after three quarters of it get no more than what is left. */
  totalSeconds: number;
  /** Of a part in its own process, and of one measurement in it. */
  micro: Effort;
  microSeconds: number;
  /** Of a ring with threads, which need longer. */
  ringSeconds: number;
  /** Of scans over sizes. */
  scanSeconds: number;
  /** How often nodes are compared with each other. */
  node: Effort;
  /** Of one load. */
  load: { duration: number; warmup: number };
  /** Datagrams of each size. */
  delay: { rounds: number; seconds: number };
  /** Of one node alone: its delay, and its curves by datagrams and by offered load. */
  aloneSeconds: number;
  /** Loads at each point of a curve. */
  curveRounds: number;
  channels: readonly number[];
}

export const QUICK: Plan = {
  totalSeconds: 158,
  micro: { seconds: 2, roundsMin: 3, roundsMax: 15 },
  microSeconds: 0.03,
  ringSeconds: 0.25,
  scanSeconds: 4,
  // Three rounds at least: of fewer an interval says nothing.
  node: { seconds: 40, roundsMin: 3, roundsMax: 5 },
  load: { duration: 0.7, warmup: 0.2 },
  delay: { rounds: 40, seconds: 3 },
  aloneSeconds: 36,
  curveRounds: 1,
  channels: [1_000, 10_000],
};

export const FULL: Plan = {
  totalSeconds: 660,
  micro: { seconds: 9, roundsMin: 7, roundsMax: 41 },
  microSeconds: 0.1,
  ringSeconds: 1,
  scanSeconds: 30,
  node: { seconds: 120, roundsMin: 3, roundsMax: 9 },
  load: { duration: 2, warmup: 0.5 },
  delay: { rounds: 300, seconds: 10 },
  aloneSeconds: 170,
  curveRounds: 3,
  channels: [1_000, 10_000, 100_000, 1_000_000],
};

/** The time of a run, and what was left out of it. */
export class Clock {
  readonly skipped: string[] = [];
  readonly #begin = performance.now();
  readonly #totalSeconds: number;
  readonly #progress: (text: string) => void;

  constructor(totalSeconds: number, progress: (text: string) => void) {
    this.#totalSeconds = totalSeconds;
    this.#progress = progress;
  }

  get seconds(): number {
    return (performance.now() - this.#begin) / 1_000;
  }
  get left(): number {
    return this.#totalSeconds - this.seconds;
  }

  /** Runs a part unless the time is used up. A part that fails is left out, and the reason said: the others stand. */
  async part<Result>(name: string, secondsNeeded: number, work: () => Promise<Result>): Promise<Result | undefined> {
    if (this.left < secondsNeeded) {
      this.skipped.push(`${name}: the time of the run was used up`);
      return undefined;
    }
    this.#progress(`${name} (${Math.round(this.seconds)} s so far)`);
    try {
      return await work();
    } catch (error) {
      this.skipped.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }
}
