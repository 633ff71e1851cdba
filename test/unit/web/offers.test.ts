import { expect, test } from 'vitest';
import { OfferRate } from '../../../src/web/offers.ts';

const passed = (rate: OfferRate, addresses: string[], now: number) =>
  addresses.filter((address) => rate.pass(address, now)).length;

test('each address has a quarter of the rate, and all together the whole', () => {
  const rate = new OfferRate(8);
  // At once what comes in two seconds.
  expect(passed(rate, Array(20).fill('10.0.0.1'), 1_000)).toBe(4);
  expect(passed(rate, Array(20).fill('10.0.0.1'), 1_500)).toBe(1);
  const others = Array.from({ length: 100 }, (_, index) => `10.0.1.${index}`);
  expect(passed(rate, others, 1_500)).toBeLessThanOrEqual(16);
  expect(passed(rate, ['10.0.2.1'], 1_500)).toBe(0);
});

test('with IPv6 a /64 is one address, since whoever has one there has them all', () => {
  const rate = new OfferRate(8);
  const same = Array.from({ length: 20 }, (_, index) => `2001:db8:1:2::${(index + 1).toString(16)}`);
  expect(passed(rate, same, 1_000)).toBe(4);
  expect(passed(rate, ['2001:db8:1:3::1'], 1_000)).toBe(1);
});
