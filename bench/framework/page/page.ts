/** A report of `claimwire bench` as one page of HTML with inline style and SVG, without script or network. Pure, any thread. */
import { html, type Markup, NOTHING } from '../../../src/load/report/html.ts';
import { STYLE } from '../../../src/load/report/style.ts';
import type { BenchReport } from '../schema.ts';
import { renderCurve } from './curves.ts';
import { figure, share } from './numbers.ts';
import { renderExtrapolation, renderFigures, renderOptimisations, renderReadiness } from './tables.ts';

/** What this page has beside the look of the load report. */
const OWN_STYLE = html`
main{max-width:1280px}
nav{margin-top:14px;display:flex;flex-wrap:wrap;gap:4px 18px}
a{color:var(--blue)}
h3{font-size:15px;margin:26px 0 6px}
td.text,th.text{text-align:left;white-space:normal;min-width:180px}
td.wide{min-width:220px}
.extrapolated{color:var(--soft);font-style:italic}
.label{display:inline-block;padding:1px 8px;border:1px solid var(--orange);border-radius:10px;color:var(--orange);font-size:12px;letter-spacing:.04em}
.gain{display:block;width:170px;height:18px}
.gain path{stroke:var(--blue);stroke-width:2}
.gain circle{fill:var(--blue)}
.gain .one{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 2}
.part th{padding-top:14px;font-weight:600;text-align:left}
.small{font-size:12px;color:var(--soft)}
`;

export function renderPage(report: BenchReport): string {
  const { machine, quick, startedAt, seconds } = report;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>claimwire bench: ${machine.processor}</title>
<style>${STYLE}${OWN_STYLE}</style>
</head>
<body>
<main>
<header>
<h1>claimwire bench on ${machine.processor}</h1>
<p>${machine.cores} cores · ${machine.memoryGiB.toFixed(0)} GiB · ${machine.system} · Node ${machine.node} · kernel ${machine.kernel} · ${machine.filesystem} · ${quick ? 'quick run' : 'full run'} of ${seconds.toFixed(0)} s · ${startedAt}</p>
</header>
${renderTiles(report)}
${renderBottleneck(report)}
<nav aria-label="Parts"><a href="#baseline">1 Baseline</a><a href="#optimisations">2 Optimisations</a><a href="#scaling">3 Scaling</a><a href="#readiness">4 Readiness</a></nav>
${section('baseline', '1 Baseline of every part', html`<div class="scroll">${renderFigures(report.figures)}</div>${notes(report.notes)}`)}
${section('optimisations', '2 Every optimisation, with it and without it', html`<div class="scroll">${renderOptimisations(report.optimisations)}</div>`)}
${section('scaling', '3 Scaling, and models of it', html`${report.curves.map(renderCurve)}${renderExtrapolation(report)}`)}
${section('readiness', '4 Readiness', renderReadiness(report.readiness))}
${report.skipped.length === 0 ? NOTHING : section('skipped', 'Left out of this run', list(report.skipped))}
</main>
</body>
</html>
`.source;
}

function renderTiles({ figures, curves }: BenchReport): Markup {
  const value = (name: string) => figures.find((one) => one.name === name)?.median;
  const tile = (name: string, shown: string, note: string, part?: number) =>
    html`<div class="tile"><span>${name}</span><b>${shown}</b>${part === undefined ? NOTHING : html`<i><u style="width:${Math.round(100 * Math.min(1, Math.max(0, part)))}%"></u></i>`}<span>${note}</span></div>`;
  const rate = value('node.claimsPerSecond');
  const ofVerify = value('path.shareOfVerify');
  const verify = value('verify.perSecond');
  const errors = curves.flatMap(({ model }) => (model?.heldOutError === undefined ? [] : [model.heldOutError.mean]));
  const worst = errors.length === 0 ? undefined : Math.max(...errors);
  return html`<div class="tiles">
${tile('A whole node', rate === undefined ? 'not measured' : figure(rate), 'claims/s, durable and acknowledged')}
${tile('path.shareOfVerify', ofVerify === undefined ? 'not measured' : share(ofVerify), 'of what the cores could verify', ofVerify)}
${tile('Verification', verify === undefined ? 'not measured' : figure(verify), 'claims/s of one core')}
${tile('Models', worst === undefined ? 'none' : share(worst), `largest mean error on held-out points, of ${errors.length} models`)}
</div>`;
}

function renderBottleneck({ bottleneck }: BenchReport): Markup {
  if (bottleneck === null) return NOTHING;
  const { says, evidence, change, kind } = bottleneck;
  return html`<div class="verdict pass"><strong>Bottleneck at full load: ${kind}</strong>${says} ${change}<ul>${evidence.map((line) => html`<li>${line}</li>`)}</ul></div>`;
}

function section(id: string, title: string, content: Markup): Markup {
  return html`<section id="${id}"><h2>${title}</h2>${content}</section>`;
}

function notes(lines: readonly string[]): Markup {
  return html`<div class="caption">${list(lines)}</div>`;
}

function list(lines: readonly string[]): Markup {
  return html`<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>`;
}
