/**
 * Makes the world of a failing seed smaller for as long as the same promise fails in it: fewer kinds of faults, then fewer claims,
 * channels and payers. What is left of a world is drawn as before, so most of it happens as before.
 */
import { Child } from './children.ts';
import type { Odds, Sizes } from './plan.ts';
import type { SeedResult } from './simulate.ts';

const RUNS_MAX = 120;
const RUN_SECONDS_MAX = 20;
const TRACE_LINES = 20_000;

export interface Shrunk {
  without: string[];
  sizes: Sizes;
  /** Of the smallest world, with its trace. */
  result: SeedResult;
  runs: number;
}

export async function shrink(worker: string, found: SeedResult, before: readonly string[]): Promise<Shrunk> {
  const shrinking = new Shrinking(worker, found, before);
  try {
    return await shrinking.toItsEnd();
  } finally {
    shrinking.end();
  }
}

class Shrinking {
  readonly #worker: string;
  #child: Child;
  readonly #promise: string;
  #without: string[];
  #sizes: Sizes = {};
  #smallest: SeedResult;
  #runs = 0;

  constructor(worker: string, found: SeedResult, without: readonly string[]) {
    this.#worker = worker;
    this.#child = new Child(worker);
    this.#promise = found.failure!.promise;
    this.#without = [...without];
    this.#smallest = found;
  }

  async toItsEnd(): Promise<Shrunk> {
    for (let runs = -1; runs !== this.#runs; ) {
      const { events } = this.#smallest;
      await this.#dropFaults();
      await this.#dropSizes();
      runs = this.#smallest.events < events ? -1 : this.#runs;
    }
    const { seed } = this.#smallest;
    const [without, sizes] = [this.#without, this.#sizes];
    const result = await this.#child.run(seed, { without, sizes, traceLines: TRACE_LINES });
    return { without, sizes, result, runs: this.#runs };
  }

  end(): void {
    this.#child.end();
  }

  /** All that is on at once, then halves of it, down to one after the other. */
  async #dropFaults(): Promise<void> {
    const { odds } = this.#smallest.plan;
    let left = (Object.keys(odds) as (keyof Odds)[]).filter((name) => odds[name] > 0 && !this.#without.includes(name));
    for (let length = left.length; length >= 1; length = Math.floor(length / 2))
      for (let start = 0; start < left.length; start += length) {
        const part = left.slice(start, start + length);
        if (!(await this.#fails([...this.#without, ...part], this.#sizes))) continue;
        left = left.filter((name) => !part.includes(name));
        start -= length;
      }
  }

  async #dropSizes(): Promise<void> {
    const { plan, totals } = this.#smallest;
    // None was asked for after the failure.
    const present: Required<Sizes> = {
      payers: plan.payers,
      channels: plan.channels,
      claims: totals.asked,
      ...this.#sizes,
    };
    for (const name of ['claims', 'channels', 'payers'] as const)
      for (let step = present[name]; step >= 1; step = Math.floor(step / 2)) {
        const size = present[name] - step;
        if (size < 1 || !(await this.#fails(this.#without, { ...this.#sizes, [name]: size }))) continue;
        present[name] = size;
      }
  }

  async #fails(without: string[], sizes: Sizes): Promise<boolean> {
    if (this.#runs >= RUNS_MAX) return false;
    this.#runs++;
    let result: SeedResult;
    try {
      result = await this.#child.run(this.#smallest.seed, { without, sizes }, RUN_SECONDS_MAX);
    } catch {
      // A world without end is another failure; its process has been ended.
      this.#child = new Child(this.#worker);
      return false;
    }
    if (result.failure?.promise !== this.#promise) return false;
    [this.#smallest, this.#without, this.#sizes] = [result, without, sizes];
    return true;
  }
}
