/**
 * HTML by templates, and the formats of the report's figures. A template escapes every value but Markup, which only a
 * template makes, so nothing gets into a page unescaped. Pure, any thread.
 */
import assert from 'node:assert/strict';

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text that is HTML already. */
export class Markup {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

type Piece = Markup | string | number | readonly Markup[];

export function html(literals: TemplateStringsArray, ...pieces: Piece[]): Markup {
  let source = literals[0]!;
  for (const [index, piece] of pieces.entries()) source += render(piece) + literals[index + 1]!;
  return new Markup(source);
}

export const NOTHING = new Markup('');

function render(piece: Piece): string {
  if (piece instanceof Markup) return piece.source;
  if (typeof piece === 'string') return piece.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
  if (typeof piece === 'number') {
    assert(Number.isFinite(piece), `a number in the report is ${piece}`);
    return String(piece);
  }
  return piece.map((markup) => markup.source).join('\n');
}

/** Shown where there is no figure. */
const NO_FIGURE = '–';

export function formatCount(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : NO_FIGURE;
}

/** At least four digits, one more than the histogram's three. */
export function formatMs(value: number): string {
  if (!Number.isFinite(value)) return NO_FIGURE;
  const decimals = value < 10 ? 3 : value < 100 ? 2 : value < 1000 ? 1 : 0;
  return value.toLocaleString('en-US', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** Milliseconds that the user set, with no more digits than were given. */
export function formatSetMs(value: number): string {
  return `${value.toLocaleString('en-US', { maximumFractionDigits: 6 })} ms`;
}

/** A part of a whole in percent; only nothing reads as 0, and only all as 100. */
export function formatShare(part: number, whole: number): string {
  if (!(whole > 0) || !Number.isFinite(part)) return NO_FIGURE;
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 0.01) return '< 0.01 %';
  if (percent > 99.99 && percent < 100) return '> 99.99 %';
  return `${percent.toLocaleString('en-US', { maximumFractionDigits: percent < 1 || percent > 99 ? 2 : 1 })} %`;
}

/** For axes and labels: 1.2M, 450k, 80. */
export function formatCompact(value: number): string {
  if (!Number.isFinite(value)) return NO_FIGURE;
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
  if (value >= 1e3) return `${Number((value / 1e3).toPrecision(4))}k`;
  return String(Number(value.toPrecision(4)));
}

/** A decimal string of any length in groups of three. */
export function formatDecimal(digits: string): string {
  return /^\d+$/.test(digits) ? digits.replace(/\B(?=(\d{3})+$)/g, ',') : digits;
}
