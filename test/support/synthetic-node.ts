/** A node whose settings have known effects, with noise: what the optimiser is tested on. Test's thread. */
import type { Setting, SettingName, TuneControl } from '../../src/control/tune-control.ts';
import type { Observation } from '../../src/tune/score.ts';
import { type Random, random } from './random.ts';

/** Claims a second of processor time at the best values, and those values. */
const BEST_RATE = 400_000;
export const BEST: Record<SettingName, number> = {
  verifyBatch: 512,
  groupClaims: 4_096,
  groupWaitMs: 2,
  idleSpins: 1_024,
  keyCacheBytes: 256 * 2 ** 20,
};
const BOUNDS: Record<SettingName, [number, number]> = {
  verifyBatch: [1, 1_024],
  groupClaims: [1, 4_096],
  groupWaitMs: [0, 16],
  idleSpins: [0, 16_384],
  keyCacheBytes: [2 ** 20, 2 ** 30],
};

export class SyntheticNode implements TuneControl {
  readonly values = new Map<SettingName, number>();
  /** Every value that was set, in order. */
  readonly sets: [SettingName, number][] = [];
  /** Claims offered a second, and the standard deviation of what is seen, as a share. */
  offered = Number.POSITIVE_INFINITY;
  noise = 0.02;
  /** The cost of a claim, beside its settings. */
  cost = 1;
  p99Of: (values: ReadonlyMap<SettingName, number>) => number = () => 5;
  readonly #random: Random;

  constructor(values: Partial<Record<SettingName, number>>, seed = 1) {
    this.#random = random(seed);
    for (const [name, value] of Object.entries(values)) this.values.set(name as SettingName, value);
  }

  settings(): Setting[] {
    return [...this.values].map(([name, value]) => ({ name, value, min: BOUNDS[name][0], max: BOUNDS[name][1] }));
  }
  set(name: SettingName, value: number): void {
    const [min, max] = BOUNDS[name];
    if (!this.values.has(name) || value < min || value > max) throw new Error(`${name} ${value} is out of bounds`);
    this.values.set(name, value);
    this.sets.push([name, value]);
  }

  /** Claims a second of processor time, without noise: each setting costs by its distance from the best, in doublings. */
  get rate(): number {
    let cost = this.cost;
    for (const [name, value] of this.values) cost *= 1 + 0.08 * Math.abs(Math.log2((value + 1) / (BEST[name] + 1)));
    return BEST_RATE / cost;
  }
  /** How good the settings are: 1 is the best there is. */
  get share(): number {
    return (this.rate * this.cost) / BEST_RATE;
  }

  observe(): Observation {
    const perCpu = this.rate * (1 + this.noise * this.#normal());
    const committed = Math.min(this.offered, perCpu * 2);
    return { committed, cpu: committed / perCpu, p99Ms: this.p99Of(this.values), resident: 500e6, tables: 100e6 };
  }

  #normal(): number {
    let sum = 0;
    for (let index = 0; index < 12; index++) sum += this.#random.u32() / 2 ** 32;
    return sum - 6;
  }
}
