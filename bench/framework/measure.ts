/**
 * How the report's parts measure: in turns, until a part's time is used up, so that what else happens on the machine meets
 * all of them alike and the whole run ends in time however slow the machine is. Main thread.
 */
import type { FigureReport } from './schema.ts';
import { type Interval, median, type Summary, summarize } from './statistics.ts';

/** Seconds, and how often each measurement is repeated at least and at most. A part ends when its seconds are over. */
export interface Effort {
  seconds: number;
  roundsMin: number;
  roundsMax: number;
}

export interface Measurement {
  name: string;
  unit: string;
  /** Which way is better; `neither` for a size of the thing measured. */
  better: 'higher' | 'lower' | 'neither';
  measure(): number | Promise<number>;
}

/** Values of each measurement, by name; all of one length, and values at one place belong to one round. */
export type Values = Map<string, number[]>;

/** Runs all measurements once a round, in alternating order. */
export async function inTurns(measurements: readonly Measurement[], effort: Effort): Promise<Values> {
  const values: Values = new Map(measurements.map(({ name }) => [name, []]));
  const end = performance.now() + effort.seconds * 1_000;
  for (let round = 0; round < effort.roundsMax; round++) {
    if (round >= effort.roundsMin && performance.now() >= end) break;
    const order = round % 2 === 0 ? measurements : measurements.toReversed();
    for (const { name, measure } of order) values.get(name)!.push(await measure());
  }
  return values;
}

/** A ratio of two measurements, round by round. */
export interface Ratio {
  name: string;
  of: string;
  to: string;
  /** Which of the two is the floor; of times, what is measured is below the line, so that more is better. */
  floor: string;
}

/** Figures of the measurements and, from the same rounds, their ratios to what is measured beside them. */
export function figuresOf(
  part: string,
  measurements: readonly Measurement[],
  values: Values,
  ratios: readonly Ratio[],
  seed: number,
): FigureReport[] {
  const own = measurements.map(({ name, unit, better }) => ({
    part,
    name,
    unit,
    better,
    ...summarize(values.get(name)!, seed, name),
  }));
  const compared = ratios.map(({ name, of, to, floor }) => {
    const pairs = ratiosOf(values.get(of)!, values.get(to)!);
    return { part, name, unit: 'ratio', better: 'higher' as const, ...summarize(pairs, seed, name), floor };
  });
  return [...own, ...compared];
}

export function ratiosOf(values: readonly number[], others: readonly number[]): number[] {
  return values.map((value, round) => value / others[round]!);
}

/** How many times as fast one is as the other: the median of the rounds' ratios, and its interval. */
export function gainOf(on: readonly number[], off: readonly number[], seed: number, name: string): Summary {
  return summarize(ratiosOf(on, off), seed, name);
}

/** Seconds of processor time of this process that `work` took: other programs on the machine do not count. */
export function coreSeconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

/** Runs `work` again and again for about so many seconds; returns units of work per second of processor time. */
export function perCoreSecond(seconds: number, work: () => number): number {
  let units = 0;
  const spent = coreSeconds(() => {
    for (const end = performance.now() + seconds * 1_000; performance.now() < end; ) units += work();
  });
  return units / spent;
}

/** Whether two intervals have no value in common. */
export function areApart(left: Interval, right: Interval): boolean {
  return left.high < right.low || right.high < left.low;
}

export { median };
