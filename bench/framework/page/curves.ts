/** A curve of the report: measured points, the fitted model as a faint line, its parameters and errors. Pure, any thread. */
import { linearAxis, logAxis } from '../../../src/load/report/axes.ts';
import { formatCompact, html, type Markup, NOTHING } from '../../../src/load/report/html.ts';
import { renderLegend, renderPlot, type Series } from '../../../src/load/report/plot.ts';
import type { CurveReport, ModelReport } from '../schema.ts';
import { figure, share } from './numbers.ts';

const HEIGHT = 280;
/** What a model may be off on points that it never saw. */
const ERROR_MAX = 0.15;

export function renderCurve(curve: CurveReport): Markup {
  const { title, xName, yName, note, points, model, isLog } = curve;
  const xs = points.map(({ x }) => x);
  const ys = [...points.map(({ y }) => y), ...(model?.line ?? []).map(({ y }) => y)];
  const measured: Series = { label: 'measured', ink: 'blue', values: points.map(({ y }) => y) };
  const legend = [
    measured,
    ...(model === undefined ? [] : [{ label: `model: ${model.formula}`, ink: 'faint' as const }]),
  ];
  return html`<h3>${title}</h3>${model === undefined ? NOTHING : renderModel(model)}
<div class="chart scroll">${renderLegend(legend)}${renderPlot({
    label: title,
    height: HEIGHT,
    x: isLog ? logAxis(Math.min(...xs), Math.max(...xs)) : linearAxis(0, Math.max(...xs), axisLabel, 8),
    y: linearAxis(0, Math.max(...ys), axisLabel),
    xTitle: xName,
    yTitle: yName,
    at: xs,
    tips: points.map(({ x, y, low, high }) => {
      const interval = low === undefined || high === undefined ? '' : `\n95 %: ${figure(low)} to ${figure(high)}`;
      return `${xName} ${figure(x)}\n${yName} ${figure(y)}${interval}`;
    }),
    series: [measured],
    guides: model === undefined ? [] : [{ at: model.line.map(({ x }) => x), values: model.line.map(({ y }) => y) }],
  })}</div><p class="caption">${note}</p>`;
}

function axisLabel(value: number): string {
  return Math.abs(value) >= 1_000 ? formatCompact(value) : String(Number(value.toPrecision(3)));
}

function renderModel({ formula, parameters, fitError, heldOutError }: ModelReport): Markup {
  const named = Object.entries(parameters).map(([name, value]) => `${name} = ${Number(value.toPrecision(4))}`);
  const error =
    heldOutError === undefined
      ? 'too few points to hold any out'
      : `held-out error ${share(heldOutError.mean)} on average, ${share(heldOutError.worst)} at worst, ${heldOutError.points} points`;
  const isGood = heldOutError !== undefined && heldOutError.mean < ERROR_MAX;
  return html`<p class="small">${formula}: ${named.join(', ')}. Fit error ${share(fitError.mean)}; <b>${error}</b>${heldOutError === undefined || isGood ? NOTHING : html` <span class="label">over ${share(ERROR_MAX)}: do not rely on it</span>`}</p>`;
}
