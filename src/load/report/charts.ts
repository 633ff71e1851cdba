/**
 * The report's charts: latency by percentile, throughput and latency over time, a ramp and its knee. Pure, any thread.
 */
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import type { Latency, LoadInterval, LoadResult, LoadStep } from '../result.ts';
import { latencyAxis, linearAxis, percentileAxis, percentOfNines, timeAxis } from './axes.ts';
import { formatCompact, formatCount, formatMs, formatSetMs, html, type Markup, NOTHING } from './html.ts';
import { type Plot, type Rule, renderLegend, renderPlot, type Series, type Stretch } from './plot.ts';

/** Points of the percentile curve for each nine: 90 %, 99 %, 99.9 %, … */
const POINTS_PER_NINE = 20;
/** More points over time would be closer than two pixels, so neighbours are merged into one. */
const TIME_POINTS_MAX = 480;
/** An SLO more than this many times the highest value is not drawn, since it would flatten the curves. */
const LEVEL_REACH = 10;
const NO_LATENCY = html`<p class="empty">Nothing was acknowledged: there is no latency to draw.</p>`;

export function renderPercentiles(step: LoadStep, sloMs: number): Markup {
  const nines = curveNines(Math.max(step.latency.count, step.uncorrected.count));
  if (nines.length === 0) return NO_LATENCY;
  const corrected = nines.map(latencyAt(step.latency));
  const uncorrected = nines.map(latencyAt(step.uncorrected));
  const series: Series[] = [
    { label: 'from the intended send time (corrected)', ink: 'blue', values: corrected },
    { label: 'from the actual send time (uncorrected)', ink: 'orange dashed', values: uncorrected },
  ];
  return html`${renderLegend(series)}${renderPlot({
    label: 'Latency by percentile',
    height: 340,
    x: percentileAxis(nines.at(-1)!),
    xTitle: 'percentile of claims, each further nine takes the same room',
    at: nines,
    tips: nines.map((nine, index) => {
      const name = index === nines.length - 1 ? 'maximum' : index === 0 ? 'minimum' : `${percentOfNines(nine)} %`;
      return `${name}\ncorrected ${formatMs(corrected[index]!)} ms\nuncorrected ${formatMs(uncorrected[index]!)} ms`;
    }),
    series,
    ...latencyScale([...corrected, ...uncorrected], sloMs, 'latency'),
  })}`;
}

/** From the minimum, at 0, in even steps to the maximum, which is the last of `count` claims. */
function curveNines(count: number): number[] {
  if (count === 0) return [];
  const end = Math.log10(count);
  return [...Array.from({ length: Math.ceil(end * POINTS_PER_NINE) }, (_, index) => index / POINTS_PER_NINE), end];
}

/** Milliseconds at so many nines. The upper end of a bucket may lie above the highest value in it. */
function latencyAt(latency: Latency): (nines: number) => number {
  if (latency.count === 0) return () => Number.NaN;
  const histogram = decodeFromCompressedBase64(latency.hdr);
  return (nines) => Math.min(latency.maxMs, histogram.getValueAtPercentile(100 - 100 * 10 ** -nines) / 1000);
}

/** An interval of a step, placed in the whole run. */
interface Moment extends LoadInterval {
  seconds: number;
  requestedRate: number | null;
}

type OverTime = Pick<Plot, 'x' | 'xTitle' | 'at' | 'stretches'>;

export function renderOverTime({ steps, settings }: LoadResult): { throughput: Markup; latency: Markup } {
  const { moments, stretches, endSeconds } = layOut(steps);
  if (moments.length === 0) {
    const empty = html`<p class="empty">No interval was measured.</p>`;
    return { throughput: empty, latency: empty };
  }
  const x = timeAxis(endSeconds);
  const merged = merge(moments);
  const common = {
    x,
    xTitle: steps.length > 1 ? `measured ${x.unit}, warm-up left out; rates asked for above` : `measured ${x.unit}`,
    at: merged.map(({ seconds }) => seconds),
    ...(steps.length > 1 ? { stretches } : {}),
  };
  const note =
    merged.length < moments.length
      ? html`<p class="caption">Each point is ${Math.ceil(moments.length / TIME_POINTS_MAX)} intervals: mean rates, highest latencies.</p>`
      : NOTHING;
  return {
    throughput: html`${renderThroughput(merged, stretches, steps, common)}${note}`,
    latency: html`${renderLatency(merged, settings.sloMs, common)}${note}`,
  };
}

function renderThroughput(
  moments: readonly Moment[],
  stretches: Stretch[],
  steps: LoadStep[],
  common: OverTime,
): Markup {
  const acked: Series = { label: 'acknowledged', ink: 'blue', values: moments.map((moment) => moment.ackedPerSecond) };
  const sent: Series = { label: 'sent', ink: 'orange dashed', values: moments.map((moment) => moment.sentPerSecond) };
  const guides = steps.flatMap(({ requestedRate: rate }, index) => {
    const { from, to } = stretches[index]!;
    return rate === null ? [] : { at: [from, to], values: [rate, rate] };
  });
  const requested = guides.length > 0 ? [{ label: 'requested', ink: 'faint' as const }] : [];
  const high = most([...guides, acked, sent].flatMap(({ values }) => values));
  return html`${renderLegend([acked, sent, ...requested])}${renderPlot({
    label: 'Throughput over time',
    height: 260,
    y: linearAxis(0, high, formatCompact, 6),
    yTitle: 'claims/s',
    tips: moments.map(({ seconds, sentPerSecond, ackedPerSecond, requestedRate }) => {
      const asked = requestedRate === null ? '' : `requested ${formatCount(requestedRate)}/s\n`;
      return `${formatSeconds(seconds)}\n${asked}sent ${formatCount(sentPerSecond)}/s\nacknowledged ${formatCount(ackedPerSecond)}/s`;
    }),
    // The line of what was acknowledged is drawn over the line of what was sent, so one line means all is well.
    series: [sent, acked],
    guides,
    ...common,
  })}`;
}

function renderLatency(moments: readonly Moment[], sloMs: number, common: OverTime): Markup {
  const valuesOf = (name: 'p50Ms' | 'p99Ms' | 'maxMs') =>
    moments.map(({ [name]: value }) => (value > 0 ? value : Number.NaN));
  const series: Series[] = [
    { label: 'p50', ink: 'blue', values: valuesOf('p50Ms') },
    { label: 'p99', ink: 'orange', values: valuesOf('p99Ms') },
    { label: 'maximum', ink: 'purple dotted', values: valuesOf('maxMs') },
  ];
  const values = series.flatMap((line) => line.values.filter(Number.isFinite));
  if (values.length === 0) return NO_LATENCY;
  return html`${renderLegend(series)}${renderPlot({
    label: 'Latency over time',
    height: 300,
    tips: moments.map(({ seconds, p50Ms, p99Ms, maxMs }) =>
      maxMs > 0
        ? `${formatSeconds(seconds)}\np50 ${formatMs(p50Ms)} ms\np99 ${formatMs(p99Ms)} ms\nmaximum ${formatMs(maxMs)} ms`
        : `${formatSeconds(seconds)}\nnothing acknowledged`,
    ),
    series,
    ...latencyScale(values, sloMs, 'latency'),
    ...common,
  })}<p class="caption">Corrected, by the interval in which claims were acknowledged; a gap is an interval in which none were.</p>`;
}

export function renderRamp({ steps, knee, settings }: LoadResult): Markup {
  const ramp = steps
    .map((step) => ({ step, rate: step.requestedRate ?? step.achievedRate }))
    .sort((left, right) => left.rate - right.rate);
  const rates = ramp.map(({ rate }) => rate);
  const x = linearAxis(Math.min(...rates), Math.max(...rates), formatCompact, 10);
  const ends = [x.ticks[0]!.value, x.ticks.at(-1)!.value];
  const acked: Series = { label: 'acknowledged', ink: 'blue', values: ramp.map(({ step }) => step.ackedRate) };
  const p99Ms = ramp.map(({ step }) => (step.latency.count > 0 ? step.latency.p99Ms : Number.NaN));
  const p99: Series = { label: 'p99, corrected', ink: 'orange', values: p99Ms };
  const common = {
    x,
    at: rates,
    xTitle: 'claims/s requested',
    places: knee === null ? [] : [{ value: knee.requestedRate, label: `knee: ${formatCompact(knee.requestedRate)}` }],
    tips: ramp.map(
      ({ step, rate }) =>
        `requested ${formatCount(rate)}/s\nacknowledged ${formatCount(step.ackedRate)}/s\np99 ${step.latency.count > 0 ? `${formatMs(step.latency.p99Ms)} ms` : 'none'}\nunanswered ${formatCount(step.unanswered)}`,
    ),
  };
  return html`${renderLegend([acked, { label: 'all that was requested', ink: 'faint' }, p99])}${renderPlot({
    label: 'Acknowledged rate by requested rate',
    height: 270,
    y: linearAxis(0, most([ends[1]!, ...acked.values]), formatCompact),
    yTitle: 'claims/s acknowledged',
    series: [acked],
    guides: [{ at: ends, values: ends }],
    ...common,
  })}${renderPlot({
    label: 'p99 latency by requested rate',
    height: 250,
    series: [p99],
    ...latencyScale(p99Ms, settings.sloMs, 'p99 latency'),
    ...common,
  })}`;
}

/** Puts the steps one after the other. A step whose last interval ends later than the step lasts until then. */
function layOut(steps: readonly LoadStep[]): { moments: Moment[]; stretches: Stretch[]; endSeconds: number } {
  let from = 0;
  const moments: Moment[] = [];
  const stretches: Stretch[] = [];
  for (const { requestedRate, seconds, intervals } of steps) {
    for (const interval of intervals) moments.push({ ...interval, seconds: from + interval.atSeconds, requestedRate });
    const to = from + Math.max(seconds, intervals.at(-1)?.atSeconds ?? 0);
    stretches.push({ from, to, label: requestedRate === null ? 'max' : formatCompact(requestedRate) });
    from = to;
  }
  return { moments, stretches, endSeconds: from };
}

function merge(moments: readonly Moment[]): readonly Moment[] {
  const group = Math.ceil(moments.length / TIME_POINTS_MAX);
  if (group <= 1) return moments;
  return Array.from({ length: Math.ceil(moments.length / group) }, (_, index) => {
    const members = moments.slice(index * group, (index + 1) * group);
    const mean = (rates: number[]) => rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
    return {
      ...members.at(-1)!,
      sentPerSecond: mean(members.map(({ sentPerSecond }) => sentPerSecond)),
      ackedPerSecond: mean(members.map(({ ackedPerSecond }) => ackedPerSecond)),
      p50Ms: most(members.map(({ p50Ms }) => p50Ms)),
      p99Ms: most(members.map(({ p99Ms }) => p99Ms)),
      maxMs: most(members.map(({ maxMs }) => maxMs)),
    };
  });
}

/** The y axis of latencies, and the SLO as a level where it is near enough to be drawn. */
function latencyScale(valuesMs: readonly number[], sloMs: number, name: string) {
  const isDrawn = sloMs <= LEVEL_REACH * most(valuesMs);
  const levels: Rule[] = isDrawn ? [{ value: sloMs, label: `SLO ${formatSetMs(sloMs)}` }] : [];
  const y = latencyAxis([...valuesMs, ...levels.map(({ value }) => value)]);
  return { y, levels, yTitle: y.logarithmic ? `${name}, ms (logarithmic)` : `${name}, ms` };
}

function formatSeconds(seconds: number): string {
  return `${Number(seconds.toFixed(3))} s`;
}

/** The highest finite value; 0 where there is none. */
function most(values: readonly number[]): number {
  return values.filter(Number.isFinite).reduce((high, value) => Math.max(high, value), 0);
}
