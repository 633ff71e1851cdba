/** One chart over time: lines by uPlot, a legend with the latest values, and the same said in words for who cannot see it. */
import type uPlotType from 'uplot';
import type { Sample } from '../metrics/sample.ts';
import { make, setText } from './dom.ts';
import type { History } from './history.ts';

/** Loaded by a script of its own, before the modules. */
declare const uPlot: typeof uPlotType;

interface Series {
  name: string;
  pick: (sample: Sample) => number | null;
  /** The class that has its colour. */
  colour: 'series-accent' | 'series-soft' | 'series-bad';
  isDashed?: boolean;
  isFilled?: boolean;
}

interface ChartOptions {
  host: HTMLElement;
  legend: HTMLElement;
  title: string;
  series: readonly Series[];
  text: (value: number) => string;
  /** Values lie far apart: each power of ten has as much room. */
  isLogarithmic?: boolean;
  /** Of the axis, which has less room. */
  tick: (value: number) => string;
}

const HEIGHT_MIN = 120;
/** Shown at least. */
const SECONDS_MIN = 30;
const FONT = '11px system-ui, sans-serif';
const DASH = [5, 4];

export class Chart {
  readonly #options: ChartOptions;
  readonly #history: History;
  readonly #values: HTMLElement[] = [];
  #plot: uPlotType | undefined;
  #spokenAt = 0;

  constructor(options: ChartOptions, history: History) {
    this.#options = options;
    this.#history = history;
    const { host, legend, series } = options;
    host.setAttribute('role', 'img');
    host.setAttribute('aria-label', `${options.title}: no samples yet`);
    for (const { name, colour, isDashed } of series) {
      const value = make('b', '–');
      this.#values.push(value);
      const line = make(`i.${colour}${isDashed ? '.dashed' : ''}`);
      line.setAttribute('aria-hidden', 'true');
      legend.append(make('li', line, name, value));
    }
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(host);
  }

  /** Draws what the history has. */
  draw(): void {
    const columns = this.#history.columns(this.#options.series.map(({ pick }) => pick));
    this.#plot ??= this.#make(columns);
    const end = columns[0].at(-1) ?? Date.now() / 1e3;
    this.#plot.setData(columns as uPlotType.AlignedData, false);
    this.#plot.batch(() => {
      this.#plot!.setScale('x', { min: end - this.#secondsOf(columns[0]), max: end });
      const values = (columns.slice(1) as (number | null)[][]).flat().filter((value) => value !== null);
      this.#plot!.setScale('y', this.#options.isLogarithmic ? powersAround(values) : { min: 0, max: topOf(values) });
    });
    this.#tell(columns.slice(1) as (number | null)[][]);
  }

  /** Makes it anew in the page's present colours. */
  recolour(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    this.draw();
  }

  /** Of a young node, what there is: a line in a corner tells nothing. */
  #secondsOf(times: readonly number[]): number {
    const known = (times.at(-1) ?? 0) - (times[0] ?? 0);
    return Math.min(this.#history.window, Math.max(SECONDS_MIN, known));
  }

  #size(): { width: number; height: number } {
    const { clientWidth, clientHeight } = this.#options.host;
    return { width: Math.max(1, clientWidth), height: Math.max(HEIGHT_MIN, clientHeight) };
  }

  #tell(rows: readonly (readonly (number | null)[])[]): void {
    const { title, series, text, host } = this.#options;
    const at = this.#plot?.cursor.idx;
    rows.forEach((row, index) => {
      const value = row[at ?? row.length - 1];
      setText(this.#values[index]!, value === null || value === undefined ? '–' : text(value));
    });
    // Who listens is not told anew every second.
    if (Date.now() - this.#spokenAt < 5_000) return;
    this.#spokenAt = Date.now();
    const words = series.map(({ name }, index) => {
      const values = rows[index]!.filter((value) => value !== null);
      if (values.length === 0) return `${name}: none`;
      const range = values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, 0]);
      return `${name}: now ${text(values.at(-1)!)}, between ${text(range[0]!)} and ${text(range[1]!)}`;
    });
    host.setAttribute('aria-label', `${title}, the last ${this.#history.window / 60} minutes. ${words.join('. ')}.`);
  }

  #make(data: [number[], ...(number | null)[][]]): uPlotType {
    const { host, series, tick, isLogarithmic } = this.#options;
    const [line, soft] = [colourOf(host, 'var(--line)'), colourOf(host, 'var(--soft)')];
    const grid = { stroke: line, width: 1 };
    const axis = { stroke: soft, font: FONT, grid, ticks: { show: false } };
    const plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: true }, y: isLogarithmic ? { distr: 3, log: 10 } : {} },
        axes: [
          { ...axis, space: 70, size: 26, values: (_, times) => times.map(timeText) },
          {
            ...axis,
            ...(isLogarithmic ? { splits: (_, __, low, high) => powersFrom(low, high) } : {}),
            space: 34,
            size: 54,
            values: (_, values) => values.map((value) => (value === null ? '' : tick(value))),
          },
        ],
        series: [
          {},
          ...series.map(({ name, colour, isDashed, isFilled }) => {
            const stroke = colourOf(host, colour === 'series-accent' ? 'var(--accent)' : `var(--${colour.slice(7)})`);
            return {
              label: name,
              stroke,
              width: isDashed ? 1.25 : 1.5,
              points: { show: false },
              ...(isDashed ? { dash: DASH } : {}),
              ...(isFilled ? { fill: faint(stroke) } : {}),
            };
          }),
        ],
        hooks: {
          setCursor: [() => this.#tell(this.#history.columns(series.map(({ pick }) => pick)).slice(1) as never)],
        },
      },
      data as uPlotType.AlignedData,
      host,
    );
    return plot;
  }
}

/** The powers of ten below and above all values, at least one of room between them. */
function powersAround(values: readonly number[]): { min: number; max: number } {
  const logs = values.filter((value) => value > 0).map((value) => Math.log10(value));
  if (logs.length === 0) return { min: 0.1, max: 10 };
  const low = logs.reduce((least, value) => Math.min(least, value));
  const high = logs.reduce((most, value) => Math.max(most, value));
  const min = Math.floor(low);
  return { min: 10 ** min, max: 10 ** Math.max(min + 1, Math.ceil(high)) };
}

/** A line of the grid for each power of ten, and none between. */
function powersFrom(low: number, high: number): number[] {
  const first = Math.round(Math.log10(low));
  return Array.from({ length: Math.round(Math.log10(high)) - first + 1 }, (_, index) => 10 ** (first + index));
}

/** A round number above all values, so that the axis does not move with each sample. */
function topOf(values: readonly number[]): number {
  const most = values.reduce((high, value) => Math.max(high, value), 0);
  if (most === 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((each) => each * power >= most * 1.05) ?? 15;
  return step * power;
}

function timeText(seconds: number): string {
  return new Date(seconds * 1e3).toLocaleTimeString('en-GB');
}

/** A colour of the style sheet as a canvas takes it: light or dark is decided by then. */
function colourOf(host: HTMLElement, colour: string): string {
  const probe = make('span');
  probe.style.color = colour;
  host.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function faint(colour: string): string {
  return colour.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.1)');
}
