/** The bottleneck over several looks of a machine on which others work too. */
import { expect, test } from 'vitest';
import { steadyBottleneck } from '../../../../bench/framework/steady-bottleneck.ts';
import type { Bottleneck, BottleneckKind } from '../../../../src/metrics/bottleneck.ts';

const of = (kind: BottleneckKind, evidence = 'x'): Bottleneck => ({
  kind,
  says: kind,
  evidence: [evidence],
  change: '',
});

test('one look that says another thing does not count', () => {
  const looks = [of('disk-sync', 'first'), of('core-taken'), of('disk-sync', 'last'), of('disk-sync', 'newest')];
  expect(steadyBottleneck(looks, of('payers'))).toMatchObject({
    kind: 'disk-sync',
    evidence: ['newest', 'named in 3 of 4 looks; the others: core-taken 1'],
    looks: 4,
    named: 3,
  });
});

test('without a cause that most looks name, the whole time decides, and it is said', () => {
  const looks = [of('disk-sync'), of('core-taken'), of('disk-sync'), of('payers')];
  expect(steadyBottleneck(looks, of('core-taken', 'whole'))).toMatchObject({
    kind: 'core-taken',
    evidence: [
      'whole',
      'no cause in most of the looks; over all of them this one, named in 1 of 4 looks; the others: disk-sync 2, payers 1',
    ],
    named: 1,
  });
});
