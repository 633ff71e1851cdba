/**
 * Whether what was sampled of a node over time stays flat. Pure.
 *
 * The rule: the first quarter of a run, of a short one the first minute or half, is its warm-up and is not judged. Over the rest the Theil–Sen slope, the median of the
 * slopes between all pairs of samples, is what a series grows by; a few samples that stand out do not move it. A series is
 * flat if that slope, over the judged time, comes to no more than its allowance: a share of its median, or a fixed amount
 * where that is more. Falling is flat.
 */

export interface Sample {
  /** Since the beginning. */
  seconds: number;
  residentBytes: number;
  heapBytes: number;
  descriptors: number;
  folderBytes: number;
  p99Ms: number;
}

export type SeriesName = Exclude<keyof Sample, 'seconds'>;

export interface SeriesRule {
  title: string;
  unit: string;
  /** From the sample's unit to the one that is shown. */
  scale: number;
  /** The allowance, in the shown unit. */
  least: number;
  share: number;
}

const MIB = 2 ** -20;
/** A journal takes a whole segment of 64 MiB at once, and a run may end right after. */
const SEGMENTS_MIB = 2 * 64;
export const SERIES: Readonly<Record<SeriesName, SeriesRule>> = {
  residentBytes: { title: 'Resident memory', unit: 'MiB', scale: MIB, least: 24, share: 0.08 },
  heapBytes: { title: 'Heap of the main thread', unit: 'MiB', scale: MIB, least: 8, share: 0.1 },
  descriptors: { title: 'Descriptors', unit: '', scale: 1, least: 8, share: 0.05 },
  folderBytes: { title: 'Data folder', unit: 'MiB', scale: MIB, least: SEGMENTS_MIB, share: 0.1 },
  p99Ms: { title: 'p99, from arrival to ack', unit: 'ms', scale: 1, least: 2, share: 0.5 },
};

export interface Verdict {
  name: SeriesName;
  isFlat: boolean;
  /** In the shown unit: the median of the judged samples, and what the slope comes to over their time. */
  median: number;
  growth: number;
  allowance: number;
  lowest: number;
  highest: number;
}

const WARM_UP_SHARE = 0.25;
const WARM_UP_SECONDS_MIN = 60;
const WARM_UP_SHARE_MAX = 0.5;
/** Fewer samples say nothing. */
const SAMPLES_MIN = 8;

/** Throws RangeError where there are too few samples to judge. */
export function judgeSoak(samples: readonly Sample[]): Verdict[] {
  const end = samples.at(-1)?.seconds ?? 0;
  const from = Math.min(Math.max(end * WARM_UP_SHARE, WARM_UP_SECONDS_MIN), end * WARM_UP_SHARE_MAX);
  const judged = samples.filter(({ seconds }) => seconds >= from);
  if (judged.length < SAMPLES_MIN)
    throw new RangeError(`soak: expected at least ${SAMPLES_MIN} samples after the warm-up, got ${judged.length}`);
  const at = judged.map(({ seconds }) => seconds);
  return (Object.keys(SERIES) as SeriesName[]).map((name) => {
    const { scale, least, share } = SERIES[name];
    const values = judged.map((sample) => sample[name] * scale);
    const middle = median(values);
    const growth = slope(at, values) * (at.at(-1)! - at[0]!);
    const allowance = Math.max(least, share * middle);
    const [lowest, highest] = [Math.min(...values), Math.max(...values)];
    return { name, isFlat: growth <= allowance, median: middle, growth, allowance, lowest, highest };
  });
}

/** Theil–Sen. */
export function slope(at: readonly number[], values: readonly number[]): number {
  const slopes: number[] = [];
  for (let from = 0; from < at.length; from++)
    for (let to = from + 1; to < at.length; to++)
      if (at[to]! > at[from]!) slopes.push((values[to]! - values[from]!) / (at[to]! - at[from]!));
  return median(slopes);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
