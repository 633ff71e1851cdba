/**
 * One SVG plot of lines over a common x. Every x has a band that shows its points and, in a tooltip, its values: no
 * script. Lines break at values that cannot be drawn. Pure, any thread.
 */
import type { Axis } from './axes.ts';
import { html, type Markup, NOTHING } from './html.ts';

const WIDTH = 960;
const LEFT = 62;
/** Room for the names of levels, which would lie on the lines otherwise. */
const RIGHT = 84;
const TOP = 30;
const BOTTOM = 42;

/** Fewer points than this are shown; more only where the pointer is. */
const SHOWN_POINTS_MAX = 40;

/** Classes of the style sheet, for lines and points. */
type Ink = 'blue' | 'orange' | 'orange dashed' | 'purple dotted' | 'faint';

export interface Series {
  label: string;
  ink: Ink;
  values: readonly number[];
}

/** A level or a place marked across the plot. */
export interface Rule {
  value: number;
  label: string;
}

/** A stretch of x with its own name, e.g. a step of a ramp. */
export interface Stretch {
  from: number;
  to: number;
  label: string;
}

export interface Plot {
  label: string;
  height: number;
  x: Axis;
  y: Axis;
  xTitle: string;
  yTitle: string;
  /** x of every point, ascending; each series has a value for each. */
  at: readonly number[];
  /** Tooltip of every point. */
  tips: readonly string[];
  series: readonly Series[];
  /** Lines without points, as pairs of x and y. */
  guides?: readonly [number, number][][];
  levels?: readonly Rule[];
  places?: readonly Rule[];
  stretches?: readonly Stretch[];
}

interface Area {
  x(value: number): number;
  y(value: number): number;
  top: number;
  bottom: number;
}

export function renderPlot(plot: Plot): Markup {
  const top = TOP + (plot.stretches ? 16 : 0);
  const bottom = plot.height - BOTTOM;
  const area: Area = {
    x: (value) => round(LEFT + plot.x.position(value) * (WIDTH - LEFT - RIGHT)),
    y: (value) => round(bottom - plot.y.position(value) * (bottom - top)),
    top,
    bottom,
  };
  return html`<svg viewBox="0 0 ${WIDTH} ${plot.height}" role="img" aria-label="${plot.label}">
${renderAxes(plot, area)}
${(plot.stretches ?? []).map((stretch) => renderStretch(stretch, area))}
${(plot.guides ?? []).map((guide) => renderLine('faint', guide, area))}
${plot.series.map(({ ink, values }) =>
  renderLine(
    ink,
    plot.at.map((x, index) => [x, values[index]!]),
    area,
  ),
)}
${(plot.levels ?? []).map(({ value, label }) => renderLevel(value, label, area))}
${(plot.places ?? []).map(({ value, label }) => renderPlace(value, label, area))}
${plot.at.map((_, index) => renderBand(plot, index, area))}
</svg>`;
}

export function renderLegend(series: readonly Pick<Series, 'label' | 'ink'>[]): Markup {
  return html`<div class="legend">${series.map(
    ({ label, ink }) =>
      html`<span><svg viewBox="0 0 28 8" width="28" height="8" aria-hidden="true"><path class="line ${ink}" d="M2 4H26"/></svg>${label}</span>`,
  )}</div>`;
}

function renderAxes({ x, y, xTitle, yTitle, height }: Plot, area: Area): Markup {
  return html`<text class="title" x="0" y="12">${yTitle}</text>
<text class="title" x="${WIDTH - RIGHT}" y="${height - 4}" text-anchor="end">${xTitle}</text>
${y.ticks.map(({ value, label }) => {
  const at = area.y(value);
  return html`<path class="grid" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/><text x="${LEFT - 8}" y="${at + 4}" text-anchor="end">${label}</text>`;
})}
${x.ticks.map(({ value, label }) => {
  const at = area.x(value);
  return html`<path class="tick" d="M${at} ${area.bottom}v5"/><text x="${at}" y="${area.bottom + 18}" text-anchor="middle">${label}</text>`;
})}
<path class="axis" d="M${LEFT} ${area.bottom}H${WIDTH - RIGHT}"/>`;
}

/** A value with no drawable neighbour makes no line: its point is shown. */
function renderLine(ink: string, points: readonly (readonly [number, number])[], area: Area): Markup {
  let path = '';
  let pen = 'M';
  for (const [x, y] of points) {
    const down = area.y(y);
    if (!Number.isFinite(down)) {
      pen = 'M';
      continue;
    }
    path += `${pen}${area.x(x)} ${down}`;
    pen = 'L';
  }
  return path === '' ? NOTHING : html`<path class="line ${ink}" d="${path}"/>`;
}

function renderLevel(value: number, label: string, area: Area): Markup {
  const at = area.y(value);
  return html`<path class="rule" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/><text class="note" x="${WIDTH - RIGHT + 6}" y="${at + 4}">${label}</text>`;
}

function renderPlace(value: number, label: string, area: Area): Markup {
  const at = area.x(value);
  const left = at > WIDTH / 2;
  return html`<path class="place" d="M${at} ${area.top - 14}V${area.bottom}"/><text class="note" x="${left ? at - 6 : at + 6}" y="${area.top - 6}" text-anchor="${left ? 'end' : 'start'}">${label}</text>`;
}

/** Named only where the name has room. */
function renderStretch({ from, to, label }: Stretch, area: Area): Markup {
  const [left, right] = [area.x(from), area.x(to)];
  const name =
    right - left < 9 * label.length
      ? NOTHING
      : html`<text x="${round((left + right) / 2)}" y="${area.top - 6}" text-anchor="middle">${label}</text>`;
  return html`<path class="grid" d="M${right} ${area.top - 16}V${area.bottom}"/>${name}`;
}

/** As wide as half the way to the neighbours. */
function renderBand({ at, tips, series }: Plot, index: number, area: Area): Markup {
  const x = area.x(at[index]!);
  const from = index === 0 ? LEFT : (area.x(at[index - 1]!) + x) / 2;
  const to = index === at.length - 1 ? WIDTH - RIGHT : (x + area.x(at[index + 1]!)) / 2;
  const dots = series.map(({ ink, values }) => {
    const [before, y, after] = [index - 1, index, index + 1].map((near) => area.y(values[near] ?? Number.NaN)) as [
      number,
      number,
      number,
    ];
    const shown = at.length < SHOWN_POINTS_MAX || !(Number.isFinite(before) || Number.isFinite(after));
    return Number.isFinite(y)
      ? html`<circle class="${ink}${shown ? ' shown' : ''}" cx="${x}" cy="${y}" r="3.5"/>`
      : NOTHING;
  });
  return html`<g class="band"><title>${tips[index]!}</title><rect x="${round(from)}" y="${area.top}" width="${round(Math.max(0, to - from))}" height="${area.bottom - area.top}"/><path d="M${x} ${area.top}V${area.bottom}"/>${dots}</g>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
