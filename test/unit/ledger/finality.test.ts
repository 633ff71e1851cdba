/** When a transaction is final: found in a validated ledger, or in none that could have it. A connection of the test's. */
import { expect, test } from 'vitest';
import { untilFinal } from '../../../src/ledger/finality.ts';
import type { FinalTransaction, LedgerConnection } from '../../../src/ledger/ledger-port.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const SUBMITTED = { hash: 'AB', blob: '00', firstLedger: 10, lastLedger: 12 };
const FOUND: FinalTransaction = { hash: 'AB', ledgerIndex: 12, result: 'tesSUCCESS' };

/** A transaction that is looked for while ledgers are validated one by one. */
function begin() {
  const validated = { index: 10, closedAt: 0 };
  const server = { found: undefined as FinalTransaction | undefined };
  let tell = () => {};
  const connection = {
    url: 'ws://one',
    validated,
    knowsLedgers: async () => true,
    transaction: async () => server.found,
    submit: async () => ({ preliminary: 'tesSUCCESS' }),
    onLedger: (listener: () => void) => {
      tell = listener;
      return () => {};
    },
  } as unknown as LedgerConnection;
  let result: FinalTransaction | 'never' | undefined;
  const signal = new AbortController().signal;
  const ended = untilFinal(SUBMITTED, { connection, clock: new ManualClock(), signal }).then(({ final }) => {
    result = final;
  });
  const turns = () => new Promise(setImmediate);
  return {
    server,
    ended,
    result: () => result,
    validate: async (index: number) => {
      await turns();
      validated.index = index;
      tell();
      await turns();
    },
  };
}

test('it may come in the last ledger of its time: until that is validated it is not given up', async () => {
  const { server, result, validate } = begin();
  await validate(11);
  expect(result()).toBeUndefined();
  server.found = FOUND;
  await validate(12);
  expect(result()).toEqual(FOUND);
});

test('it is given up once a ledger after its last one is validated, and no earlier one has it', async () => {
  const { result, validate } = begin();
  for (const index of [11, 12]) await validate(index);
  expect(result()).toBeUndefined();
  await validate(13);
  expect(result()).toBe('never');
});
