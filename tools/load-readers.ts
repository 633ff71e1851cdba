/** Readers for the texts of options that only `claimwire load` has. */
import { type Arrivals, parseArrivals, parseRamp } from '../src/load/schedule.ts';
import { parseSkew } from '../src/load/skew.ts';
import { usage } from './args.ts';
import { type Reader, rate } from './units.ts';

const RATE_MAX = 100_000_000;

export const readRate = rate(0.001, RATE_MAX);

/** Reads FROM:TO:STEP, each like 50k. */
export function readRamp(text: string, flag: string): number[] {
  const plain = text.replace(/[^:]+/g, (part) => (/^\d.*[a-z]$/i.test(part) ? String(readRate(part, flag)) : part));
  return (
    parseRamp(plain) ?? usage(`${flag}: expected FROM:TO:STEP like 10000:100000:10000 or 10k:100k:10k, got ${text}`)
  );
}

export function readArrivals(text: string, flag: string): Arrivals {
  return parseArrivals(text) ?? usage(`${flag}: expected constant, poisson or burst:N, got ${JSON.stringify(text)}`);
}

export function readSkew(text: string, flag: string): number {
  return parseSkew(text) ?? usage(`${flag}: expected uniform or zipf:S like zipf:1.0, got ${text}`);
}

export function decimal(minimum: number, maximum: number): Reader<number> {
  return (text, flag) => {
    const value = /^\d{1,12}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= minimum && value <= maximum) return value;
    return usage(`${flag}: expected a number from ${minimum} to ${maximum}, got ${JSON.stringify(text)}`);
  };
}

/** Reads a fraction from 0 to 1, or a percentage from 0% to 100%. */
export function share(text: string, flag: string): number {
  return text.endsWith('%') ? decimal(0, 100)(text.slice(0, -1), flag) / 100 : decimal(0, 1)(text, flag);
}
