/**
 * The report's charts: latency by percentile, throughput and latency over time, a ramp and its knee. Pure, any thread.
 */
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import type { Latency, LoadInterval, LoadResult, LoadStep } from '../result.ts';
import { type Axis, latencyAxis, linearAxis, percentileAxis, percentOfNines, timeAxis } from './axes.ts';
import { formatCompact, formatCount, formatMs, formatSetMs, html, type Markup, NOTHING } from './html.ts';
import { type Rule, renderLegend, renderPlot, type Series, type Stretch } from './plot.ts';

/** Points of the percentile curve for each factor of ten in rarity. */
const POINTS_PER_NINE = 20;
/** More points over time than this would be narrower than two pixels: neighbours are drawn as one. */
const TIME_POINTS_MAX = 480;
/** A level further above everything measured than this is not drawn: it would flatten the curves. */
const LEVEL_REACH = 10;

export function renderPercentiles(step: LoadStep, sloMs: number | null): Markup {
  const curves = [decode(step.latency), decode(step.uncorrected)] as const;
  const nines = curveNines(Math.max(step.latency.count, step.uncorrected.count));
  if (nines.length === 0) return html`<p class="empty">Nothing was acknowledged: there is no latency to draw.</p>`;
  const [corrected, uncorrected] = curves.map((valueAt) => nines.map(valueAt)) as [number[], number[]];
  const levels = sloLevel(sloMs, [...corrected, ...uncorrected]);
  const y = latencyAxis([...corrected, ...uncorrected, ...levels.map(({ value }) => value)]);
  const series: Series[] = [
    { label: 'from the intended send time (corrected)', ink: 'blue', values: corrected },
    { label: 'from the actual send time (uncorrected)', ink: 'orange dashed', values: uncorrected },
  ];
  return html`${renderLegend(series)}${renderPlot({
    label: 'Latency by percentile',
    height: 340,
    x: percentileAxis(nines.at(-1)!),
    y,
    xTitle: 'percentile of claims, each further nine takes the same room',
    yTitle: latencyTitle(y),
    at: nines,
    tips: nines.map((nine, index) => {
      const name = index === nines.length - 1 ? 'maximum' : index === 0 ? 'minimum' : `${percentOfNines(nine)} %`;
      return `${name}\ncorrected ${formatMs(corrected[index]!)} ms\nuncorrected ${formatMs(uncorrected[index]!)} ms`;
    }),
    series,
    levels,
  })}`;
}

/** From the minimum on in even steps of nines; the last claim of all, the maximum, ends the curve. */
function curveNines(count: number): number[] {
  if (count === 0) return [];
  const end = Math.log10(count);
  const nines: number[] = [];
  for (let index = 0; index / POINTS_PER_NINE < end; index++) nines.push(index / POINTS_PER_NINE);
  return [...nines, end];
}

/** Milliseconds at so many nines. A bucket's upper end may lie above the highest value in it. */
function decode(latency: Latency): (nines: number) => number {
  if (latency.count === 0) return () => Number.NaN;
  const histogram = decodeFromCompressedBase64(latency.hdr);
  return (nines) => Math.min(latency.maxMs, histogram.getValueAtPercentile(100 - 100 * 10 ** -nines) / 1000);
}

/** A point over the whole run. */
interface Moment extends LoadInterval {
  seconds: number;
  requestedRate: number | null;
}

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

interface OverTime {
  x: Axis;
  xTitle: string;
  at: number[];
  stretches?: Stretch[];
}

function renderThroughput(moments: Moment[], stretches: Stretch[], steps: LoadStep[], common: OverTime): Markup {
  const series: Series[] = [
    { label: 'acknowledged', ink: 'blue', values: moments.map(({ ackedPerSecond }) => ackedPerSecond) },
    { label: 'sent', ink: 'orange dashed', values: moments.map(({ sentPerSecond }) => sentPerSecond) },
  ];
  const requested = steps.flatMap(({ requestedRate }) => requestedRate ?? []);
  const guides = steps.flatMap(({ requestedRate }, index): [number, number][][] => {
    const { from, to } = stretches[index]!;
    return requestedRate === null
      ? []
      : [
          [
            [from, requestedRate],
            [to, requestedRate],
          ],
        ];
  });
  const legend = requested.length > 0 ? [...series, { label: 'requested', ink: 'faint' as const }] : series;
  const high = most([...requested, ...series.flatMap(({ values }) => values)]);
  return html`${renderLegend(legend)}${renderPlot({
    label: 'Throughput over time',
    height: 260,
    y: linearAxis(0, high, formatCompact, 6),
    yTitle: 'claims/s',
    tips: moments.map(({ seconds, sentPerSecond, ackedPerSecond, requestedRate }) =>
      [
        `${formatSeconds(seconds)}`,
        ...(requestedRate === null ? [] : [`requested ${formatCount(requestedRate)}/s`]),
        `sent ${formatCount(sentPerSecond)}/s`,
        `acknowledged ${formatCount(ackedPerSecond)}/s`,
      ].join('\n'),
    ),
    // What was acknowledged is drawn over what was sent: where they are one line, all is well.
    series: series.toReversed(),
    guides,
    ...common,
  })}`;
}

function renderLatency(moments: Moment[], sloMs: number | null, common: OverTime): Markup {
  const measured = (value: number) => (value > 0 ? value : Number.NaN);
  const series: Series[] = [
    { label: 'p50', ink: 'blue', values: moments.map(({ p50Ms }) => measured(p50Ms)) },
    { label: 'p99', ink: 'orange', values: moments.map(({ p99Ms }) => measured(p99Ms)) },
    { label: 'maximum', ink: 'purple dotted', values: moments.map(({ maxMs }) => measured(maxMs)) },
  ];
  const values = series.flatMap((line) => line.values.filter(Number.isFinite));
  if (values.length === 0) return html`<p class="empty">Nothing was acknowledged: there is no latency to draw.</p>`;
  const levels = sloLevel(sloMs, values);
  const y = latencyAxis([...values, ...levels.map(({ value }) => value)]);
  return html`${renderLegend(series)}${renderPlot({
    label: 'Latency over time',
    height: 300,
    y,
    yTitle: latencyTitle(y),
    tips: moments.map(({ seconds, p50Ms, p99Ms, maxMs }) =>
      maxMs > 0
        ? `${formatSeconds(seconds)}\np50 ${formatMs(p50Ms)} ms\np99 ${formatMs(p99Ms)} ms\nmaximum ${formatMs(maxMs)} ms`
        : `${formatSeconds(seconds)}\nnothing acknowledged`,
    ),
    series,
    levels,
    ...common,
  })}<p class="caption">Corrected, by the interval in which claims were acknowledged; a gap is an interval in which none were.</p>`;
}

export function renderRamp({ steps, knee, settings }: LoadResult): Markup {
  const ramp = steps
    .map((step) => ({ step, rate: step.requestedRate ?? step.achievedRate }))
    .sort((left, right) => left.rate - right.rate);
  const rates = ramp.map(({ rate }) => rate);
  const x = linearAxis(Math.min(...rates), Math.max(...rates), formatCompact, 10);
  const [first, last] = [x.ticks[0]!.value, x.ticks.at(-1)!.value];
  const places: Rule[] =
    knee === null ? [] : [{ value: knee.requestedRate, label: `knee: ${formatCompact(knee.requestedRate)}` }];
  const acked: Series = { label: 'acknowledged', ink: 'blue', values: ramp.map(({ step }) => step.ackedRate) };
  const p99Ms = ramp.map(({ step }) => (step.latency.count > 0 ? step.latency.p99Ms : Number.NaN));
  const p99: Series = { label: 'p99, corrected', ink: 'orange', values: p99Ms };
  const levels = sloLevel(settings.sloMs, p99Ms.filter(Number.isFinite));
  const y = latencyAxis([...p99Ms, ...levels.map(({ value }) => value)]);
  const common = {
    x,
    at: rates,
    xTitle: 'claims/s requested',
    places,
    tips: ramp.map(
      ({ step, rate }) =>
        `requested ${formatCount(rate)}/s\nacknowledged ${formatCount(step.ackedRate)}/s\np99 ${step.latency.count > 0 ? `${formatMs(step.latency.p99Ms)} ms` : 'none'}\nunanswered ${formatCount(step.unanswered)}`,
    ),
  };
  return html`${renderLegend([acked, { label: 'all that was requested', ink: 'faint' }, p99])}${renderPlot({
    label: 'Acknowledged rate by requested rate',
    height: 270,
    y: linearAxis(0, most([last, ...acked.values]), formatCompact),
    yTitle: 'claims/s acknowledged',
    series: [acked],
    guides: [
      [
        [first, first],
        [last, last],
      ],
    ],
    ...common,
  })}${renderPlot({
    label: 'p99 latency by requested rate',
    height: 250,
    y,
    yTitle: latencyTitle(y).replace('latency', 'p99 latency'),
    series: [p99],
    levels,
    ...common,
  })}`;
}

/** Steps one after the other; a step lasts to its last interval where that is later than its end. */
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

function merge(moments: readonly Moment[]): Moment[] {
  const group = Math.ceil(moments.length / TIME_POINTS_MAX);
  if (group <= 1) return [...moments];
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

function sloLevel(sloMs: number | null, valuesMs: readonly number[]): Rule[] {
  if (sloMs === null || !(sloMs <= LEVEL_REACH * most(valuesMs))) return [];
  return [{ value: sloMs, label: `SLO ${formatSetMs(sloMs)}` }];
}

function latencyTitle({ logarithmic }: { logarithmic: boolean }): string {
  return logarithmic ? 'latency, ms (logarithmic)' : 'latency, ms';
}

function formatSeconds(seconds: number): string {
  return `${Number(seconds.toFixed(3))} s`;
}

/** 0 for none; what is not finite is left out. */
function most(values: readonly number[]): number {
  return values.reduce((high, value) => (value > high && Number.isFinite(value) ? value : high), 0);
}
