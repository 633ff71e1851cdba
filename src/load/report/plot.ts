/**
 * One SVG plot of lines over common values of x. Around each x lies a band that shows the points there and, in a tooltip,
 * their values, without a script. A line breaks at values that cannot be drawn. Pure, any thread.
 */
import type { Axis } from './axes.ts';
import { html, type Markup, NOTHING } from './html.ts';

const WIDTH = 960;
const LEFT = 62;
/** Room for the names of levels beside the lines. */
const RIGHT = 84;
const TOP = 30;
const BOTTOM = 42;

/** From this many points on, a point is shown only while the pointer is in its band. */
const SHOWN_POINTS_MAX = 40;

/** Classes of the style sheet for lines and points. */
type Ink = 'blue' | 'orange' | 'orange dashed' | 'purple dotted' | 'faint';

export interface Series {
  label: string;
  ink: Ink;
  values: readonly number[];
}

/** A line across the whole plot: a level at a value of y, or a place at a value of x. */
export interface Rule {
  value: number;
  label: string;
}

/** A part of the x axis with a name, such as a step of a ramp. */
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
  /** The x of every point, ascending. Each series has a value for each, and so have the tooltips. */
  at: readonly number[];
  tips: readonly string[];
  series: readonly Series[];
  /** Faint lines without points. */
  guides?: readonly { at: readonly number[]; values: readonly number[] }[];
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
${(plot.guides ?? []).map(({ at, values }) => renderLine('faint', at, values, area))}
${plot.series.map(({ ink, values }) => renderLine(ink, plot.at, values, area))}
${(plot.levels ?? []).map((level) => renderLevel(level, area))}
${(plot.places ?? []).map((place) => renderPlace(place, area))}
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

/** A point without a neighbour that can be drawn has no line; its band shows it. */
function renderLine(ink: string, at: readonly number[], values: readonly number[], area: Area): Markup {
  let path = '';
  let pen = 'M';
  for (const [index, value] of values.entries()) {
    const y = area.y(value);
    if (Number.isFinite(y)) path += `${pen}${area.x(at[index]!)} ${y}`;
    pen = Number.isFinite(y) ? 'L' : 'M';
  }
  return path === '' ? NOTHING : html`<path class="line ${ink}" d="${path}"/>`;
}

function renderLevel({ value, label }: Rule, area: Area): Markup {
  const at = area.y(value);
  return html`<path class="rule" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/><text class="note" x="${WIDTH - RIGHT + 6}" y="${at + 4}">${label}</text>`;
}

function renderPlace({ value, label }: Rule, area: Area): Markup {
  const at = area.x(value);
  const left = at > WIDTH / 2;
  return html`<path class="place" d="M${at} ${area.top - 14}V${area.bottom}"/><text class="note" x="${left ? at - 6 : at + 6}" y="${area.top - 6}" text-anchor="${left ? 'end' : 'start'}">${label}</text>`;
}

/** The name appears only where it has room. */
function renderStretch({ from, to, label }: Stretch, area: Area): Markup {
  const [left, right] = [area.x(from), area.x(to)];
  const name =
    right - left < 9 * label.length
      ? NOTHING
      : html`<text x="${round((left + right) / 2)}" y="${area.top - 6}" text-anchor="middle">${label}</text>`;
  return html`<path class="grid" d="M${right} ${area.top - 16}V${area.bottom}"/>${name}`;
}

/** A band reaches half the way to each neighbour. */
function renderBand({ at, tips, series }: Plot, index: number, area: Area): Markup {
  const x = area.x(at[index]!);
  const from = index === 0 ? LEFT : (area.x(at[index - 1]!) + x) / 2;
  const to = index === at.length - 1 ? WIDTH - RIGHT : (x + area.x(at[index + 1]!)) / 2;
  const dots = series.map(({ ink, values }) => {
    const isDrawn = (near: number) => Number.isFinite(area.y(values[near] ?? Number.NaN));
    if (!isDrawn(index)) return NOTHING;
    const isShown = at.length < SHOWN_POINTS_MAX || !(isDrawn(index - 1) || isDrawn(index + 1));
    return html`<circle class="${ink}${isShown ? ' shown' : ''}" cx="${x}" cy="${area.y(values[index]!)}" r="3.5"/>`;
  });
  return html`<g class="band"><title>${tips[index]!}</title><rect x="${round(from)}" y="${area.top}" width="${round(Math.max(0, to - from))}" height="${area.bottom - area.top}"/><path d="M${x} ${area.top}V${area.bottom}"/>${dots}</g>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
