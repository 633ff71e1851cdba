/** The report's tables: figures, optimisations, extrapolation, limits and failures. Pure, any thread. */
import { html, type Markup, NOTHING } from '../../../src/load/report/html.ts';
import type { BenchReport, FigureReport, OptimisationReport } from '../schema.ts';
import type { Summary } from '../statistics.ts';
import { figure, times } from './numbers.ts';

const GAIN_WIDTH = 170;
/** Of fewer rounds an interval says nothing. */
export const RUNS_MIN = 3;
/** The ends of the drawing of gains, logarithmic. */
const GAIN_LOW = 0.5;
const GAIN_HIGH = 64;
const COLUMNS = ['Figure', 'unit', 'median', '95 % interval', 'mean', 'sd', 'minimum', 'maximum', 'runs', 'outliers'];

export function renderFigures(figures: readonly FigureReport[]): Markup {
  const parts = [...new Set(figures.map(({ part }) => part))];
  return html`<table><thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>
${parts.map((part) => html`<tr class="part"><th colspan="${COLUMNS.length}" scope="colgroup">${part}</th></tr>${figures.filter((one) => one.part === part).map(renderFigure)}`)}
</tbody></table>`;
}

function renderFigure({ name, unit, floor, runs, outliers, mean, sd, min, max, ...rest }: FigureReport): Markup {
  const cells = [
    figure(rest.median),
    intervalText({ ...rest, runs }),
    figure(mean),
    figure(sd),
    figure(min),
    figure(max),
    String(runs),
  ];
  return html`<tr><th scope="row">${floor === undefined ? name : html`<b>${name}</b><br><span class="small">to ${floor}</span>`}</th><td>${unit}</td>${cells.map((cell) => html`<td>${cell}</td>`)}<td>${outliers.length === 0 ? 'none' : `${outliers.length}: ${outliers.slice(0, 3).map(figure).join(', ')}${outliers.length > 3 ? ' …' : ''}`}</td></tr>`;
}

export function renderOptimisations(optimisations: readonly OptimisationReport[]): Markup {
  const names = [
    'Optimisation',
    'gain',
    `${GAIN_LOW} to ${GAIN_HIGH} times`,
    'with it',
    'without it',
    'cost in memory',
    'cost in latency',
    'lines',
  ];
  return html`<table><thead><tr>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>
${optimisations.map(renderOptimisation)}
</tbody></table>
<p class="caption">A gain is how many times as fast it is with it as without it, in the same rounds, and its 95 % interval. The line in the drawing is at 1: an interval that crosses it shows no gain. Lines are code without comments, of the files that mostly serve it.</p>`;
}

function renderOptimisation({
  name,
  on,
  off,
  measured,
  why,
  memory,
  latency,
  lines,
  files,
}: OptimisationReport): Markup {
  const count = html`<td title="${files.join(', ')}">${lines === 0 ? '–' : lines}</td>`;
  const costs = html`<td class="text">${memory}</td><td class="text">${latency}</td>${count}`;
  if (measured === undefined)
    return html`<tr><th scope="row" class="text">${name}</th><td class="text" colspan="4">${why ?? ''}</td>${costs}</tr>`;
  const { gain, unit } = measured;
  const side = (what: string, summary: Summary) =>
    html`<td class="text wide">${figure(summary.median)} ${unit}<br><span class="small">${what}</span></td>`;
  return html`<tr><th scope="row" class="text">${name}</th><td><b>${times(gain.median)}</b><br><span class="small">${gainText(gain)}</span></td><td>${gain.runs < RUNS_MIN ? NOTHING : renderGain(gain)}</td>${side(on, measured.with)}${side(off, measured.without)}${costs}</tr>`;
}

/** The interval of a gain, or why there is none. */
export function gainText({ runs, interval }: Summary): string {
  return runs < RUNS_MIN
    ? `${runs} ${runs === 1 ? 'round' : 'rounds'}: too few for an interval`
    : `${times(interval.low)} to ${times(interval.high)}`;
}

function renderGain({ median, interval }: Summary): Markup {
  const x = (value: number) => {
    const share = Math.log(Math.min(GAIN_HIGH, Math.max(GAIN_LOW, value)) / GAIN_LOW) / Math.log(GAIN_HIGH / GAIN_LOW);
    return Math.round(10 * (4 + share * (GAIN_WIDTH - 8))) / 10;
  };
  const label = `${times(median)}, between ${times(interval.low)} and ${times(interval.high)}`;
  return html`<svg class="gain" viewBox="0 0 ${GAIN_WIDTH} 18" role="img" aria-label="${label}"><path class="one" d="M${x(1)} 0V18"/><path d="M${x(interval.low)} 9H${x(interval.high)}"/><circle cx="${x(median)}" cy="9" r="4"/></svg>`;
}

function intervalText({ interval, runs }: Pick<Summary, 'interval' | 'runs'>): string {
  if (runs < RUNS_MIN) return 'too few runs';
  return `${figure(interval.low)} – ${figure(interval.high)}`;
}

export function renderExtrapolation({ extrapolation, machine }: BenchReport): Markup {
  if (extrapolation === null)
    return html`<p class="empty">No extrapolation: threads or a whole node were not measured in this run.</p>`;
  const { byCores, byRate, assumptions } = extrapolation;
  const rates = ['claims/s', 'cores', 'Mbit/s in', 'Mbit/s out', 'MB/s of disk', 'GiB of memory'];
  return html`<h3>What the models say of other machines <span class="label">EXTRAPOLATION</span></h3>
<p>Measured were ${machine.cores} cores. Every line in italics is beyond that: what the models say, not what was seen.</p>
<div class="pair">
<table><thead><tr><th scope="col">Cores</th><th scope="col">claims/s</th></tr></thead><tbody>
${byCores.map(({ cores, claimsPerSecond, isExtrapolation }) => html`<tr class="${isExtrapolation ? 'extrapolated' : ''}"><th scope="row">${cores}</th><td>${roundly(claimsPerSecond)}${isExtrapolation ? ' extrapolated' : ''}</td></tr>`)}
</tbody></table>
<div class="scroll"><table><thead><tr>${rates.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>
${byRate.map(({ claimsPerSecond, cores, ...rest }) => html`<tr class="${cores === null || cores > machine.cores ? 'extrapolated' : ''}"><th scope="row">${figure(claimsPerSecond)}</th><td>${cores ?? 'over 128'}</td><td>${roundly(rest.inMbitPerSecond)}</td><td>${roundly(rest.outMbitPerSecond)}</td><td>${roundly(rest.diskMBPerSecond)}</td><td>${roundly(rest.memoryGiB)}</td></tr>`)}
</tbody></table></div>
</div>
<div class="caption"><ul>${assumptions.map((line) => html`<li>${line}</li>`)}</ul></div>`;
}

/** Two digits, since an extrapolation has no more; a dash where there is no model. */
function roundly(value: number | null): string {
  return value === null ? '–' : figure(Number(value.toPrecision(2)));
}

export function renderReadiness({ limits, failures, alarms }: BenchReport['readiness']): Markup {
  return html`<h3>Limits, and what is counted when one is reached</h3>
${
  limits.length === 0
    ? NOTHING
    : html`<div class="scroll"><table class="settings"><thead><tr><th scope="col">What</th><th scope="col">bound</th><th scope="col">setting</th><th scope="col">counted as</th></tr></thead><tbody>
${limits.map(({ what, bound, setting, reached }) => html`<tr><td>${what}</td><td>${bound}</td><td>${setting}</td><td>${reached}</td></tr>`)}
</tbody></table></div>`
}
<h3>When something fails</h3>
<table class="settings"><tbody>
${failures.map(({ what, does }) => html`<tr><th scope="row" class="text">${what}</th><td>${does}</td></tr>`)}
</tbody></table>
<h3>Alarms</h3>
<p>${alarms}</p>`;
}
