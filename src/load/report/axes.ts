/**
 * Axes of the report's charts: where a value lies between the axis's ends, and which ticks it has. Pure, any thread.
 */

interface Tick {
  value: number;
  label: string;
}

export interface Axis {
  /** 0 at the axis's beginning, 1 at its end; NaN for a value that cannot be drawn. */
  position(value: number): number;
  ticks: Tick[];
}

/** An axis whose ends are rounded outwards to whole ticks; it is widened where `low` = `high`. */
export function linearAxis(low: number, high: number, label: (value: number) => string, tickCount = 5): Axis {
  const span = high > low ? high - low : Math.abs(high) || 1;
  const step = tickStep(span / tickCount);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil((high > low ? high : low + span) / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, index) => {
    const value = Number(((first + index) * step).toPrecision(12));
    return { value, label: label(value) };
  });
  return { position: (value) => (value / step - first) / (last - first), ticks };
}

/** An axis that ends at the last value, with ticks up to there. */
export function timeAxis(endSeconds: number): Axis & { unit: string } {
  const [unit, seconds] = endSeconds > 7200 ? ['hours', 3600] : endSeconds > 300 ? ['minutes', 60] : ['seconds', 1];
  const end = endSeconds > 0 ? endSeconds : 1;
  const step = tickStep(end / seconds / 10);
  const ticks = Array.from({ length: Math.floor((end / seconds / step) * (1 + 1e-9)) + 1 }, (_, index) => {
    const value = Number((index * step).toPrecision(12));
    return { value: value * seconds, label: String(value) };
  });
  return { position: (value) => value / end, ticks, unit };
}

/** Ends and ticks are at 1, 2 and 5 times powers of ten; over more than three powers ticks are at 1 only. `low` > 0. */
export function logAxis(low: number, high: number): Axis {
  const rungs: number[] = [];
  for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)) + 1; power++)
    for (const mantissa of [1, 2, 5]) rungs.push(Number((mantissa * 10 ** power).toPrecision(1)));
  const first = rungs.findLastIndex((rung) => rung <= low * (1 + 1e-9));
  const last = Math.max(
    first + 1,
    rungs.findIndex((rung) => rung >= high * (1 - 1e-9)),
  );
  const from = Math.log10(rungs[first]!);
  const to = Math.log10(rungs[last]!);
  return {
    position: (value) => (value > 0 ? Math.max(0, (Math.log10(value) - from) / (to - from)) : Number.NaN),
    ticks: rungs
      .slice(first, last + 1)
      .filter((rung) => to - from <= 3.001 || Number.isInteger(Math.log10(rung)))
      .map((value) => ({ value, label: value.toLocaleString('en-US') })),
  };
}

/** Milliseconds from 0, or logarithmic where the highest value is more than ten times the lowest. */
export function latencyAxis(valuesMs: readonly number[]): Axis & { logarithmic: boolean } {
  const positive = valuesMs.filter((value) => value > 0 && Number.isFinite(value));
  const high = positive.reduce((most, value) => Math.max(most, value), 0);
  const low = positive.reduce((least, value) => Math.min(least, value), high);
  const logarithmic = high > 10 * low;
  const label = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 4 });
  return { ...(logarithmic ? logAxis(low, high) : linearAxis(0, high, label)), logarithmic };
}

/**
 * Percentiles by how rare the values beyond them are. A percentile p is at log10(1 / (1 - p)) nines: 0 is the minimum,
 * 1 is 90 %, 2 is 99 %.
 */
export function percentileAxis(nines: number): Axis {
  const end = Math.max(1, nines);
  const ticks: Tick[] = [
    { value: 0, label: 'min' },
    { value: Math.log10(2), label: '50 %' },
  ];
  for (let whole = 1; whole <= end; whole++) ticks.push({ value: whole, label: `${percentOfNines(whole)} %` });
  return { position: (value) => value / end, ticks };
}

/** The percentile of so many nines, with as many digits as distinguish it from its neighbours. */
export function percentOfNines(nines: number): string {
  return String(Number((100 - 100 * 10 ** -nines).toFixed(Math.floor(nines))));
}

/** The smallest of 1, 2 and 5 times a power of ten that is not below `least`. */
function tickStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const mantissa = [1, 2, 5, 10].find((candidate) => candidate * power >= least * (1 - 1e-9))!;
  return Number((mantissa * power).toPrecision(1));
}
