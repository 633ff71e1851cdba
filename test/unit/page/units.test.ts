/** Figures of the live page as text. */
import { expect, test } from 'vitest';
import {
  bytesText,
  countText,
  dropsText,
  durationText,
  msText,
  percentText,
  shortDrops,
  wordsOf,
  xrpText,
} from '../../../src/page/units.ts';

test.each([
  [
    countText,
    [0, 0.42, 7, 12.5, 12_345, 999_999, 1_234_567, 45_600_000, 2e9],
    '0 0.4 7 13 12,345 999,999 1.23 M 45.6 M 2.00 G',
  ],
  [msText, [0, 0.0123, 0.456, 9.87, 12.34, 1_234.5], '0 0.012 0.46 9.87 12.3 1,235'],
  [percentText, [0, 0.007, 0.0999, 0.5, 1.86], '0 % 0.7 % 10.0 % 50 % 186 %'],
  [bytesText, [0, 512, 2_048, 1_610_612_736, 2 ** 50], '0 B 512 B 2.0 KiB 1.5 GiB 1024 TiB'],
  [durationText, [-1, 0, 119, 120, 3_599, 7_500, 400_000], '0 s 0 s 119 s 2 min 59 min 2 h 5 min 4 d 15 h'],
] as const)('%o', (textOf, values, texts) => {
  expect(values.map((value) => textOf(value)).join(' ')).toBe(texts);
});

test('amounts have all their digits, however many', () => {
  expect(['0', '999', '1000', '18446744073709551615'].map(dropsText)).toEqual([
    '0',
    '999',
    '1,000',
    '18,446,744,073,709,551,615',
  ]);
  expect(['0', '1', '1500000', '18446744073709551615'].map(xrpText)).toEqual([
    '0 XRP',
    '0.000001 XRP',
    '1.5 XRP',
    '18,446,744,073,709.551615 XRP',
  ]);
  expect([shortDrops('999999999'), shortDrops('1000000000')]).toEqual([
    ['999,999,999', 'drops'],
    ['1,000', 'XRP'],
  ]);
  expect(wordsOf('badSignature')).toBe('bad signature');
});
