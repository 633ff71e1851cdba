/** The cores between two looks, and a look at this very process. */
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { coresBetween, lookAtProcessors } from '../../../src/metrics/machine-figures.ts';

test('processor time between two looks becomes cores: own, waited for, and of others', () => {
  const before = { atSeconds: 10, ran: 100, waited: 5, machineBusy: 1_000 };
  const after = { atSeconds: 12, ran: 103, waited: 6, machineBusy: 1_004 };
  expect(coresBetween(before, after)).toMatchObject({ ownCores: 1.5, waitedCores: 0.5, otherCores: 0.5 });
});

test('a thread that ended takes its time with it, which makes no negative cores', () => {
  const before = { atSeconds: 1, ran: 50, waited: 9, machineBusy: 10 };
  const cores = coresBetween(before, { atSeconds: 1, ran: 20, waited: 1, machineBusy: 10 });
  expect(cores).toMatchObject({ ownCores: 0, waitedCores: 0, otherCores: 0 });
});

test.skipIf(!existsSync('/proc/self/schedstat'))('a look at this process sees that it works', () => {
  const before = lookAtProcessors();
  for (const end = performance.now() + 30; performance.now() < end; );
  const after = lookAtProcessors();
  expect(after.ran).toBeGreaterThan(before.ran);
  expect(after.machineBusy).toBeGreaterThanOrEqual(before.machineBusy);
  expect(lookAtProcessors(2 ** 30)).toMatchObject({ ran: 0, waited: 0 });
});
