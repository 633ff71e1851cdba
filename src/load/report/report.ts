/** A load run as one page of HTML with inline style and SVG, without script or network. Pure, any thread. */
import { checkText, sumOf } from '../bounds.ts';
import type { LoadResult, LoadStep, Reconciliation } from '../result.ts';
import { renderOverTime, renderPercentiles, renderRamp } from './charts.ts';
import {
  formatCompact,
  formatCount,
  formatDecimal,
  formatMs,
  formatSetMs,
  formatShare,
  html,
  type Markup,
  NOTHING,
} from './html.ts';
import { STYLE } from './style.ts';
import { renderCounts, renderDelivery, renderLatencyTable, renderSettings, renderSteps } from './tables.ts';

const WORDS = { PASS: 'Pass', FAIL: 'Fail', INTERRUPTED: 'Interrupted' } as const;

export function renderReport(result: LoadResult): string {
  const word = WORDS[result.outcome];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>claimwire load: ${word}, ${result.to}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<h1>Load run against ${result.to}</h1>
<p>${describe(result)}</p>
</header>
<div class="verdict ${result.pass ? 'pass' : 'fail'}"><strong>${word}</strong><ul><li>${result.checks.map(checkText).join(', ')}</li>${result.verdict.map((sentence) => html`<li>${sentence}</li>`)}</ul></div>
${renderMeasured(result)}
${section('On the way', renderDelivery(result.delivery))}
${section('Reconciliation', renderReconciliation(result.reconciliation))}
${section('Settings and machine', renderSettings(result))}
</main>
</body>
</html>
`.source;
}

function renderMeasured(result: LoadResult): Markup {
  const { steps, settings } = result;
  const step = shownStep(result);
  if (step === undefined) return html`<p class="empty">No step was measured.</p>`;
  const ramp = steps.length > 1;
  const at = ramp ? ` ${shownStepName(result, step)}` : '';
  const overTime = renderOverTime(result);
  return html`${renderTiles(step, settings.sloMs, at)}
${ramp ? section('Ramp', html`${chart(renderRamp(result))}${renderSteps(result)}`) : NOTHING}
<div class="pair">
${section(ramp ? 'Claims, all steps' : 'Claims', renderCounts(steps))}
${section(`Latency${at}`, renderLatencyTable(step, settings.sloMs))}
</div>
${section(`Latency by percentile${at}`, chart(renderPercentiles(step, settings.sloMs)))}
${section('Throughput over time', chart(overTime.throughput))}
${section('Latency over time', chart(overTime.latency))}`;
}

/** The step at the knee, or the step with the highest acknowledged rate where there is no knee. */
function shownStep({ steps, knee }: LoadResult): LoadStep | undefined {
  const atKnee = steps.find(({ requestedRate }) => knee !== null && requestedRate === knee.requestedRate);
  return atKnee ?? steps.toSorted((left, right) => right.ackedRate - left.ackedRate)[0];
}

function shownStepName({ knee }: LoadResult, { requestedRate, achievedRate }: LoadStep): string {
  const rate = `${formatCompact(requestedRate ?? achievedRate)}/s`;
  return knee?.requestedRate === requestedRate ? `at the knee, ${rate}` : `at ${rate}`;
}

function describe({ steps, sender, startedAt, settings, target }: LoadResult): string {
  const seconds = sumOf(steps, (step) => step.seconds);
  return [
    `${steps.length > 1 ? `${steps.length} steps, ` : ''}${formatCount(seconds)} s measured`,
    `${formatCount(settings.channels)} channels`,
    `sender ${sender}`,
    ...(target === null ? [] : [`backend ${target.backend}`, `layout ${target.layout}`]),
    startedAt,
  ].join(' · ');
}

/** The bars share one scale, up to the largest of the three rates. */
function renderTiles(step: LoadStep, sloMs: number, at: string): Markup {
  const { requestedRate, achievedRate, ackedRate, latency } = step;
  const largest = Math.max(requestedRate ?? 0, achievedRate, ackedRate);
  const tile = (name: string, rate: number | null, note: string) =>
    html`<div class="tile"><span>${name}</span><b>${rate === null ? 'max' : formatCount(rate)}</b><i><u style="width:${bar(rate ?? largest, largest)}%"></u></i><span>${note}</span></div>`;
  const over = latency.p99Ms > sloMs;
  const sloBar = html`<i><u class="${over ? 'over' : ''}" style="width:${bar(Math.min(latency.p99Ms, sloMs), sloMs)}%"></u></i>`;
  const slo = `${over ? 'over' : 'within'} the SLO of ${formatSetMs(sloMs)}`;
  return html`<div class="tiles">
${tile('Requested', requestedRate, requestedRate === null ? 'as fast as it goes' : `claims/s${at}`)}
${tile('Sent', achievedRate, requestedRate === null ? 'claims/s' : `${formatShare(achievedRate, requestedRate)} of requested`)}
${tile('Acknowledged', ackedRate, `${formatShare(ackedRate, achievedRate)} of sent`)}
<div class="tile"><span>p99 latency, corrected</span><b>${latency.count > 0 ? `${formatMs(latency.p99Ms)} ms` : 'none'}</b>${sloBar}<span>${latency.count > 0 ? slo : 'nothing acknowledged'}</span></div>
</div>`;
}

/** A bar's length in percent; 0 where the share is not a number. */
function bar(value: number, largest: number): number {
  const share = value / largest;
  return share > 0 ? Math.round(1000 * share) / 10 : 0;
}

function renderReconciliation(reconciliation: Reconciliation | null): Markup {
  if (reconciliation === null)
    return html`<p>Not reconciled: the node was not asked for its committed amounts, or its admin interface did not answer.</p>`;
  const { channels, acknowledgedDrops, committedDrops, short } = reconciliation;
  const amounts = html`<b>${formatDecimal(acknowledgedDrops)}</b> drops acknowledged over ${formatCount(channels)} channels, <b>${formatDecimal(committedDrops)}</b> drops committed at the node`;
  return short === 0
    ? html`<p>Every acknowledged amount is at the node: ${amounts}.</p>`
    : html`<p class="verdict fail"><strong>${formatCount(short)} of ${formatCount(channels)} channels hold less than was acknowledged</strong>${amounts}.</p>`;
}

function section(title: string, content: Markup): Markup {
  return html`<section><h2>${title}</h2>${content}</section>`;
}

function chart(content: Markup): Markup {
  return html`<div class="chart scroll">${content}</div>`;
}
