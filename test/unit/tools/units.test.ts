/** Figures with units, in and out. */
import { describe, expect, it } from 'vitest';
import { count, countText, duration, durationText, rate, size } from '../../../tools/units.ts';

const read = (reader: (text: string, flag: string) => number, text: string): number | string => {
  try {
    return reader(text, '--flag');
  } catch (error) {
    return (error as Error).message;
  }
};

describe('in', () => {
  it.each([
    ['1000', 1_000],
    ['1k', 1_000],
    ['1.5k', 1_500],
    ['1.1k', 1_100],
    ['2M', 2_000_000],
    ['0.0001k', /^--flag: expected a whole number from 0 to 4000000, like 1000 or 1k, got "0.0001k"$/],
    ['5m', /got "5m"$/],
    ['-1', /got "-1"$/],
    ['1kk', /got "1kk"$/],
    ['', /got ""$/],
    ['1e3', /got "1e3"$/],
  ])('count %s', (text, value) => {
    const got = read(count(0, 4_000_000), text);
    if (value instanceof RegExp) expect(got).toMatch(value);
    else expect(got).toBe(value);
  });

  it.each([
    ['0.5', 0.5],
    ['200k', 200_000],
    ['200k/s', 200_000],
    ['1.2M/s', 1_200_000],
    ['fast', /^--flag: expected a rate from 0.001 to 10000000 a second, like 1000 or 200k, got "fast"$/],
  ])('rate %s', (text, value) => {
    const got = read(rate(0.001, 10_000_000), text);
    if (value instanceof RegExp) expect(got).toMatch(value);
    else expect(got).toBe(value);
  });

  it.each([
    ['4096', 4_096],
    ['512M', 512 * 2 ** 20],
    ['1G', 2 ** 30],
    ['1GiB', 2 ** 30],
    ['64kb', 65_536],
    ['512 M', /^--flag: expected a size like 512M or 1G, got "512 M"$/],
    ['1.5', /got "1.5"$/],
  ])('size %s', (text, value) => {
    const got = read(size, text);
    if (value instanceof RegExp) expect(got).toMatch(value);
    else expect(got).toBe(value);
  });

  it.each([
    ['10', 10_000],
    ['500ms', 500],
    ['5s', 5_000],
    ['2m', 120_000],
    ['2min', 120_000],
    ['1h', 3_600_000],
    ['0.25', 250],
    ['2d', /^--flag: expected a duration from 0s to 86400s, like 500ms, 5s or 2m, got "2d"$/],
    ['5 s', /got "5 s"$/],
    ['soon', /got "soon"$/],
  ])('duration %s', (text, value) => {
    const got = read(duration('s', 0, 86_400), text);
    if (value instanceof RegExp) expect(got).toMatch(value);
    else expect(got).toBe(value);
  });
});

describe('out', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [999.6, '1.00k'],
    [1_234, '1.23k'],
    [12_345, '12.3k'],
    [123_456, '123k'],
    [999_999, '1.00M'],
    [1_000_000, '1.00M'],
  ])('count %d is %s', (value, text) => expect(countText(value)).toBe(text));

  it.each([
    [1.25, '1.3 ms'],
    [850, '850 ms'],
    [4_200, '4.2 s'],
    [59_990, '1 min 0 s'],
    [185_000, '3 min 5 s'],
    [7_800_000, '2 h 10 min'],
  ])('%d ms are %s', (value, text) => expect(durationText(value)).toBe(text));
});
