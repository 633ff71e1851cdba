/** What a gateway sets at its node: claims may wait for each other a little, unless somebody has set that otherwise. */
import { expect, test } from 'vitest';
import type { Setting } from '../../../src/control/tune-control.ts';
import { suitNode } from '../../../src/gateway/node-settings.ts';

test.each<[string, Pick<Setting, 'value' | 'max'>[], unknown[]]>([
  ['as it started', [{ value: 0, max: 16 }], [['groupWaitMs', 2]]],
  ['that was tuned', [{ value: 1, max: 16 }], []],
  ['without the setting', [], []],
])('a node %s', (_name, settings, expected) => {
  const sets: unknown[] = [];
  suitNode({
    settings: () => settings.map((bounds) => ({ name: 'groupWaitMs', min: 0, ...bounds })),
    set: (name, value) => void sets.push([name, value]),
  });
  expect(sets).toEqual(expected);
});
