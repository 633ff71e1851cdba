/**
 * Figures with units: reads them from the command line, and formats them for a terminal.
 *
 * Counts and rates go by thousands (1k, 2M), sizes by 1,024 (512M, 1G), durations end in ms, s, m, h or d. Each option
 * says what a figure without a unit means.
 */
import { usage } from './args.ts';

const COUNT_UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };
const SIZE_UNITS: Record<string, number> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const MS_UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
/** Smaller figures are written out. */
const PORT_MAX = 65_535;
const LETTERS = ['', 'k', 'M', 'G'];

/** Reads the text of an option (options.ts). */
export type Reader<Value> = (text: string, flag: string) => Value;

/** A whole number, like 1000, 1k or 2M. */
export function count(minimum: number, maximum: number): Reader<number> {
  const example = maximum > PORT_MAX ? ', like 1000 or 1k' : '';
  return (text, flag) => {
    const value = scaled(text, COUNT_UNITS);
    if (Number.isSafeInteger(value) && value! >= minimum && value! <= maximum) return value!;
    return usage(
      `${flag}: expected a whole number from ${minimum} to ${maximum}${example}, got ${JSON.stringify(text)}`,
    );
  };
}

/** A number of at least `minimum`, like 0.5, 1000 or 200k; `/s` may follow. */
export function rate(minimum: number, maximum: number): Reader<number> {
  return (text, flag) => {
    const value = scaled(text.replace(/\/s$/, ''), COUNT_UNITS);
    if (value !== undefined && value >= minimum && value <= maximum) return value;
    return usage(
      `${flag}: expected a rate from ${minimum} to ${maximum} a second, like 1000 or 200k, got ${JSON.stringify(text)}`,
    );
  };
}

/** A number within bounds, like 0.5 or 2. */
export function decimal(minimum: number, maximum: number): Reader<number> {
  return (text, flag) => {
    const value = scaled(text, { '': 1 });
    if (value !== undefined && value >= minimum && value <= maximum) return value;
    return usage(`${flag}: expected a number from ${minimum} to ${maximum}, like 1.5, got ${JSON.stringify(text)}`);
  };
}

/** Bytes, like 4096, 512M or 1G: powers of 1,024. */
export function size(text: string, flag: string): number {
  const value = scaled(text.replace(/(?<=[kmgt])i?b$/i, ''), SIZE_UNITS);
  if (Number.isSafeInteger(value)) return value!;
  return usage(`${flag}: expected a size like 512M or 1G, got ${JSON.stringify(text)}`);
}

/**
 * Milliseconds of a duration, like 500ms, 5s, 2m or 1h.
 * @param bare the unit of a figure without one
 * @param minimum and `maximum` are in that unit too
 */
export function duration(bare: 'ms' | 's', minimum: number, maximum: number): Reader<number> {
  return (text, flag) => {
    const [, digits, unit] = /^(\d{1,12}(?:\.\d{1,9})?)(ms|s|min|m|h|d)?$/.exec(text) ?? [];
    const ms = Number(digits) * MS_UNITS[unit ?? bare]!;
    const scale = MS_UNITS[bare]!;
    if (ms >= minimum * scale && ms <= maximum * scale) return ms;
    const range = `from ${minimum}${bare} to ${maximum}${bare}`;
    return usage(`${flag}: expected a duration ${range}, like 500ms, 5s or 2m, got ${JSON.stringify(text)}`);
  };
}

/** A number and the unit after it; undefined when the text is something else. */
function scaled(text: string, units: Record<string, number>): number | undefined {
  const [, digits, letter] = /^(\d{1,15}(?:\.\d{1,9})?)([a-z]?)$/i.exec(text) ?? [];
  const unit = units[letter?.toLowerCase() ?? 'none'];
  if (digits === undefined || unit === undefined) return undefined;
  // 1.1k is 1100, not 1100.0000000000002.
  const value = Number(digits) * unit;
  return Math.abs(value - Math.round(value)) < 1e-6 ? Math.round(value) : value;
}

/** Three digits and a letter: 999, 1.23k, 45.6k, 115k, 1.05M. */
export function countText(value: number): string {
  let power = 0;
  let rest = value;
  // 999.6 would be written as 1000.
  while (rest >= 999.5 && power < LETTERS.length - 1) {
    rest /= 1_000;
    power++;
  }
  const digits = power === 0 ? (Number.isInteger(rest) ? 0 : 1) : rest < 9.995 ? 2 : rest < 99.95 ? 1 : 0;
  return `${rest.toFixed(digits)}${LETTERS[power]}`;
}

/** 850 ms, 4.2 s, 3 min 5 s, 2 h 10 min. */
export function durationText(ms: number): string {
  if (ms < 1_000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
