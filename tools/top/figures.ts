/** How `claimwire top` and `claimwire stats` write figures: short, of a steady width, with their unit. */
import type { Percentiles } from '../../src/metrics/sample.ts';
import { countText } from '../units.ts';

const DROPS_PER_XRP = 1_000_000n;

/** 182k/s; 0 is written as such, so that what happens stands out. */
export function rateText(perSecond: number): string {
  if (!(perSecond > 0)) return '0';
  return `${perSecond < 10 ? Number(perSecond.toFixed(1)) : countText(Math.round(perSecond))}/s`;
}

/** 85 µs, 1.24 ms, 3.1 s; a dash for what was not seen. */
export function timeText(milliseconds: number): string {
  if (!(milliseconds > 0)) return '-';
  if (milliseconds < 0.9995) return `${Math.max(1, Math.round(milliseconds * 1_000))} µs`;
  if (milliseconds < 999.5)
    return `${milliseconds < 9.995 ? milliseconds.toFixed(2) : milliseconds.toFixed(milliseconds < 99.95 ? 1 : 0)} ms`;
  return `${(milliseconds / 1_000).toFixed(1)} s`;
}

const BYTE_LETTERS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytesText(bytes: number): string {
  let rest = bytes;
  let power = 0;
  while (rest >= 999.5 && power < BYTE_LETTERS.length - 1) {
    rest /= 1_024;
    power++;
  }
  return `${power > 0 && rest < 9.95 ? rest.toFixed(1) : Math.round(rest)} ${BYTE_LETTERS[power]}`;
}

/** With thousands separators. */
export function grouped(value: number | bigint): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Decimal drops as XRP with thousands separators: 12,345.67 XRP; small sums in drops. */
export function dropsText(drops: string): string {
  if (!/^\d{1,30}$/.test(drops)) return '-';
  const amount = BigInt(drops);
  if (amount < DROPS_PER_XRP) return `${grouped(amount)} drops`;
  const cents = String((amount % DROPS_PER_XRP) / 10_000n).padStart(2, '0');
  return `${grouped(amount / DROPS_PER_XRP)}.${cents} XRP`;
}

const PERCENTILES = ['p50', 'p90', 'p99', 'p999', 'max'] as const satisfies readonly (keyof Percentiles)[];
const PERCENTILE_HEADS = ['p50', 'p90', 'p99', 'p99.9', 'max'];
const TIME_COLUMNS = 9;

/** The percentiles below their heads, each at the right end of its column. */
export function percentileCells(values: Percentiles): string {
  return PERCENTILES.map((name) => timeText(values[name]).padStart(TIME_COLUMNS)).join(' ');
}
export function percentileHeads(): string {
  return PERCENTILE_HEADS.map((name) => name.padStart(TIME_COLUMNS)).join(' ');
}

/** "badSignature 12/s, unknownChannel 3/s": the most frequent first. */
export function reasonsText(reasons: Readonly<Record<string, number>>): string {
  const some = Object.entries(reasons)
    .filter(([, rate]) => rate > 0)
    .sort(([, left], [, right]) => right - left);
  return some.length === 0 ? 'none' : some.map(([name, rate]) => `${name} ${rateText(rate)}`).join(', ');
}

const BARS = '▁▂▃▄▅▆▇█';

const SCALE_COLUMNS = 10;

/** The last values, each as a bar of its height against the highest one of them, which is told behind; `columns` wide. */
export function sparkline(values: readonly number[], columns: number, textOf: (value: number) => string): string {
  const shown = values.slice(-Math.max(columns - SCALE_COLUMNS, 1));
  const most = Math.max(...shown, 0);
  const bars = shown
    .map((value) => {
      if (!(value > 0)) return ' ';
      return BARS[Math.min(BARS.length - 1, Math.floor((value / most) * BARS.length))];
    })
    .join('');
  return `${bars} ≤ ${textOf(most)}`;
}

/** [#####.....], full where `share` is 1. */
export function bar(share: number, cells: number): string {
  const full = Math.round(Math.min(Math.max(Number.isFinite(share) ? share : 0, 0), 1) * cells);
  return `[${'#'.repeat(full)}${'.'.repeat(cells - full)}]`;
}
