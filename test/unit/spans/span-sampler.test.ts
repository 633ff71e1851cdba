/** The limit of spans a second. */
import { expect, test } from 'vitest';
import { SpanSampler } from '../../../src/spans/span-sampler.ts';
import { ManualClock } from '../../support/manual-clock.ts';

test('each second has its own number, and what is over it is counted', () => {
  const clock = new ManualClock();
  const sampler = new SpanSampler({ ratio: 1, perSecondMax: 3 }, clock, () => 0.5);
  const taken = () => Array.from({ length: 10 }, () => sampler.takes(undefined)).filter(Boolean).length;
  expect([taken(), taken()]).toEqual([3, 0]);
  clock.advance(1_000);
  expect(taken()).toBe(3);
  expect(sampler.limited).toBe(24);
  sampler.stop();
  expect(clock.pending).toBe(0);
});
