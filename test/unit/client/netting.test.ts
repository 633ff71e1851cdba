/** The netting report: its sums, its table, and numbers that cannot be. */
import { expect, it } from 'vitest';
import { netting, nettingText } from '../../../src/client/netting.ts';

const BEN = { peer: 'Ben', pays: { claimed: 100n, committed: 90n }, earns: { committed: 150n }, redeemed: 40n };
const CAT = { peer: 'Cat', pays: { claimed: 7n, committed: 7n }, earns: { committed: 0n } };

it('adds up what is owed and earned, peer by peer and in all', () => {
  expect(netting([BEN, CAT])).toEqual({
    peers: [
      { peer: 'Ben', owed: 100n, acknowledged: 90n, earned: 150n, redeemable: 110n, net: 50n },
      { peer: 'Cat', owed: 7n, acknowledged: 7n, earned: 0n, redeemable: 0n, net: -7n },
    ],
    total: { owed: 107n, acknowledged: 97n, earned: 150n, redeemable: 110n, net: 43n },
  });
});

it('prints a table', () => {
  expect(nettingText(netting([BEN, CAT])).split('\n')).toEqual([
    'peer  owed  acknowledged  earned  redeemable  net',
    'Ben    100            90     150         110   50',
    'Cat      7             7       0           0   -7',
    'all    107            97     150         110   43',
  ]);
  expect(nettingText(netting([])).split('\n')).toHaveLength(2);
});

it('refuses more redeemed than earned, and less than nothing', () => {
  for (const redeemed of [151n, -1n])
    expect(() => netting([{ ...BEN, redeemed }])).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID', message: expect.stringContaining('150 drops earned from Ben') }),
    );
});
