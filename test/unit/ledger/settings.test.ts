/** Settings of the ledger: what is refused at start. Test's thread. */
import { expect, test } from 'vitest';
import { type LedgerOptions, resolveLedger } from '../../../src/ledger/settings.ts';
import { PAYEE } from '../../support/ledger-rig.ts';

const resolve = (change: Partial<LedgerOptions> = {}) =>
  resolveLedger({ urls: ['wss://s1.example'], account: PAYEE, ...change });

test('defaults', () => {
  expect(resolve()).toMatchObject({ minSettleDelaySeconds: 3_600, pollSeconds: 60, autoOpen: false });
  expect(resolve({ urls: ['ws://127.0.0.1:6006'] }).urls).toEqual(['ws://127.0.0.1:6006']);
});

test.each<[Partial<LedgerOptions>, RegExp]>([
  [{ urls: [] }, /ledger: expected 1 to 16 servers, got 0/],
  [{ urls: ['ws://s1.example'] }, /expected a URL like wss:.*or ws:\/\/ on this machine/],
  [{ urls: ['https://s1.example'] }, /expected a URL like wss/],
  [{ account: 'rHb9' }, /account: expected a classic XRP Ledger address/],
  [{ pollSeconds: 601 }, /ledger-poll: expected at most a 6th of the shortest SettleDelay/],
  [{ networkId: -1 }, /ledger-network: expected a whole number/],
  [{ minSettleDelaySeconds: 0 }, /min-settle-delay: expected a whole number from 1/],
])('%o is refused', (change, message) => {
  expect(() => resolve(change)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(message) }),
  );
});
