/**
 * What is said of a figure that was measured several times. Everything random comes from a seed, so that the same values
 * always give the same interval. Pure.
 *
 * These are a dozen lines each, and the published command needs them: a library would be a dependency of every node.
 */
import { Random } from '../../src/load/random.ts';

/** The interval holds the true value with a probability of 95 %. */
export interface Interval {
  low: number;
  high: number;
}

export interface Summary {
  runs: number;
  median: number;
  mean: number;
  /** The standard deviation of the values (n - 1); 0 for one value. */
  sd: number;
  min: number;
  max: number;
  /** Of the median, by bootstrap. */
  interval: Interval;
  /** Values outside Tukey's fences, 1.5 interquartile ranges beyond the quartiles. They are in all the figures above. */
  outliers: number[];
}

const RESAMPLES = 1_000;
const TAIL = 0.025;
const FENCE = 1.5;

/** A quantile by linear interpolation between the two nearest values (Hyndman and Fan's type 7, as in R and NumPy). */
export function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (at - below);
}

export function median(values: readonly number[]): number {
  return quantile(ascending(values), 0.5);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const center = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - center) ** 2, 0) / (values.length - 1));
}

/** Values outside Tukey's fences, in the order in which they came. */
export function outliersOf(values: readonly number[]): number[] {
  const sorted = ascending(values);
  const [lower, upper] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const reach = FENCE * (upper - lower);
  return values.filter((value) => value < lower - reach || value > upper + reach);
}

/**
 * The interval of a statistic by the percentile bootstrap: of 1,000 resamples, what lies between the 2.5th and the 97.5th
 * percentile.
 * @param name makes the draws of one figure independent of another's
 */
export function bootstrapInterval(
  values: readonly number[],
  seed: number,
  name: string,
  statistic: (values: readonly number[]) => number = median,
): Interval {
  const random = new Random(seed, `bootstrap ${name}`);
  const drawn = Array.from({ length: RESAMPLES }, () =>
    statistic(Array.from(values, () => values[random.below(values.length)]!)),
  ).sort((left, right) => left - right);
  return { low: quantile(drawn, TAIL), high: quantile(drawn, 1 - TAIL) };
}

/** Of at least one value, each of which is a number. */
export function summarize(values: readonly number[], seed: number, name: string): Summary {
  if (values.length === 0 || !values.every(Number.isFinite))
    throw new Error(`${name}: expected numbers, got ${JSON.stringify(values)}`);
  return {
    runs: values.length,
    median: median(values),
    mean: mean(values),
    sd: standardDeviation(values),
    min: Math.min(...values),
    max: Math.max(...values),
    interval: bootstrapInterval(values, seed, name),
    outliers: outliersOf(values),
  };
}

function ascending(values: readonly number[]): number[] {
  return values.toSorted((left, right) => left - right);
}
