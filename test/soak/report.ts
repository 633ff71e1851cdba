/** A soak's result as text, and as one page with a chart for each series. Pure. */
import { linearAxis, timeAxis } from '../../src/load/report/axes.ts';
import { formatCompact, html, type Markup } from '../../src/load/report/html.ts';
import { renderPlot } from '../../src/load/report/plot.ts';
import { STYLE } from '../../src/load/report/style.ts';
import { type Sample, SERIES, type SeriesName, type Verdict } from './judge.ts';
import type { PressureCounts } from './pressure.ts';

export interface SoakResult {
  startedAt: string;
  machine: string;
  seconds: number;
  seed: number;
  /** Claims a second of each of two payers. */
  rate: number;
  flags: readonly string[];
  isFlat: boolean;
  faults: string[];
  verdicts: Verdict[];
  counts: Omit<PressureCounts, 'faults'>;
  samples: Sample[];
}

const figure = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });

export function soakText(result: SoakResult): string {
  const { seconds, seed, rate, verdicts, faults, counts, isFlat, machine } = result;
  return [
    `soak: ${Math.round(seconds)} s, ${rate} claims/s each over UDP and TCP, seed ${seed}; ${machine}`,
    `  ${counts.claimsAcknowledged} claims acknowledged to ${counts.payers} payers (${counts.payersKilled} killed), ${counts.connections} connections, ${counts.adminCalls} admin calls`,
    ...verdicts.map((verdict) => `  ${verdict.isFlat ? 'flat    ' : 'NOT FLAT'}  ${verdictText(verdict)}`),
    ...faults.map((fault) => `  FAULT     ${fault}`),
    isFlat ? 'PASS' : 'FAIL',
    '',
  ].join('\n');
}

function verdictText({ name, median, growth, allowance, lowest, highest }: Verdict): string {
  const { title, unit } = SERIES[name];
  return `${title}: median ${figure(median)} ${unit} (${figure(lowest)} to ${figure(highest)}), slope ${figure(growth)} of ${figure(allowance)} allowed`;
}

export function soakPage(result: SoakResult): string {
  const { verdicts, isFlat, startedAt, faults } = result;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>claimwire soak: ${isFlat ? 'Pass' : 'Fail'}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<header>
<h1>Soak of ${startedAt}</h1>
<p>${soakText(result).split('\n')[0]!}; ${soakText(result).split('\n')[1]!.trim()}</p>
</header>
<div class="verdict ${isFlat ? 'pass' : 'fail'}"><strong>${isFlat ? 'Pass' : 'Fail'}</strong><ul>${verdicts.map((verdict) => html`<li>${verdict.isFlat ? 'Flat' : 'Not flat'}. ${verdictText(verdict)}</li>`)}${faults.map((fault) => html`<li>${fault}</li>`)}</ul></div>
${verdicts.map(({ name }) => chart(name, result.samples))}
</main>
</body>
</html>
`.source;
}

function chart(name: SeriesName, samples: readonly Sample[]): Markup {
  const { title, unit, scale } = SERIES[name];
  const at = samples.map(({ seconds }) => seconds);
  const values = samples.map((sample) => sample[name] * scale);
  const end = at.at(-1) ?? 1;
  const x = timeAxis(end);
  return html`<section><h2>${title}</h2>${renderPlot({
    label: title,
    height: 220,
    x,
    xTitle: x.unit,
    y: linearAxis(0, Math.max(1, ...values), formatCompact, 4),
    yTitle: unit,
    at,
    tips: values.map((value, index) => `${figure(at[index]!)} s\n${figure(value)} ${unit}`),
    series: [{ label: title, ink: 'blue', values }],
  })}</section>`;
}
