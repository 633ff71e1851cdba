/** A payer's channel on the test ledger: made, funded, named by its id, and what is refused before it costs a fee. */
import { expect, test } from 'vitest';
import { hashes } from 'xrpl';
import {
  type ChannelTerms,
  type FundingOptions,
  ledgerChannelIdOf,
  prepareCreate,
  prepareFund,
  submitFunding,
} from '../../../src/ledger/funding.ts';
import type { LedgerTransaction } from '../../../src/ledger/signing.ts';
import { type ChainConnection, LedgerRig, PAYEE, PAYER } from '../../support/chain-rig.ts';
import { testWallet } from '../../support/ledger/test-wallet.ts';

const XRP = 1_000_000n;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex').toUpperCase();

function optionsOf(rig: LedgerRig, connection: ChainConnection = rig.connect()): FundingOptions {
  const signal = new AbortController().signal;
  return { connection, account: PAYER.address, feeMaxDrops: 100n, clock: rig.clock, signal };
}

const terms = (change: Partial<ChannelTerms> = {}): ChannelTerms => ({
  destination: PAYEE.address,
  amount: 50n * XRP,
  settleDelaySeconds: 86_400,
  publicKey: Buffer.from(PAYER.publicKey, 'hex'),
  cancelAfter: 0,
  ...change,
});

async function submit(rig: LedgerRig, transaction: LedgerTransaction, options: FundingOptions) {
  const signed = await rig.wallet(PAYER).sign(transaction);
  return rig.until(submitFunding(transaction, signed, options));
}

test('a channel is made and funded; its id is the one that the ledger gives it', async () => {
  const rig = new LedgerRig();
  const options = optionsOf(rig);
  const cancelAfter = rig.now + 1_000_000;
  const create = await prepareCreate(terms({ cancelAfter }), options);
  expect(create).toMatchObject({ Amount: '50000000', SettleDelay: 86_400, Fee: '10', Sequence: 1, Flags: 0 });
  const { ledgerChannelId, final } = await submit(rig, create, options);
  expect(final.result).toBe('tesSUCCESS');
  const { channel } = await options.connection.channel(ledgerChannelId);
  expect(channel).toMatchObject({ amount: 50n * XRP, destination: PAYEE.address, settleDelay: 86_400, cancelAfter });
  expect(hex(channel!.publicKey)).toBe(PAYER.publicKey);

  const expiration = rig.now + 90_000;
  const fund = await prepareFund({ ledgerChannelId, amount: 7n * XRP, expiration }, options);
  await submit(rig, fund, options);
  const funded = await options.connection.channel(ledgerChannelId);
  expect(funded.channel).toMatchObject({ amount: 57n * XRP, expiration });
});

test('the id of a channel is what xrpl.js takes it for', () => {
  for (const sequence of [1, 41_000_000, 0xffff_ffff])
    expect(hex(ledgerChannelIdOf(PAYER.address, PAYEE.address, sequence))).toBe(
      hashes.hashPaymentChannel(PAYER.address, PAYEE.address, sequence),
    );
});

test('what would cost a fee and fail is refused before', async () => {
  const rig = new LedgerRig();
  const options = optionsOf(rig);
  const nobody = testWallet('nobody').address;
  const refuses = async (attempt: Promise<unknown>, text: string) =>
    expect(attempt).rejects.toMatchObject({ code: 'LEDGER_REFUSED', message: expect.stringContaining(text) });
  await refuses(prepareCreate(terms({ destination: nobody }), options), `got none at ${nobody}`);
  await refuses(prepareCreate(terms({ destination: PAYER.address }), options), "another account than the payer's");
  await refuses(prepareCreate(terms({ amount: 1_000n * XRP }), options), 'expected 1000000010 drops, got 1000000000');
  await refuses(prepareCreate(terms(), { ...options, account: nobody }), 'expected it on the ledger');
  await refuses(prepareCreate(terms(), { ...options, feeMaxDrops: 9n }), 'expected at most 9 drops, got 10');

  const row = await rig.channel({ settleDelay: 60 });
  const { ledgerChannelId } = row;
  const fund = { ledgerChannelId, amount: XRP, expiration: 0 };
  await refuses(prepareFund(fund, { ...options, account: PAYEE.address }), `expected one of ${PAYEE.address}`);
  await refuses(prepareFund({ ...fund, expiration: rig.now + 30 }, options), 'its SettleDelay');
  await refuses(prepareFund({ ...fund, ledgerChannelId: new Uint8Array(32) }, options), 'got none');
  await rig.askToClose(row);
  await rig.step(60);
  await refuses(prepareFund(fund, options), 'expected one that has not ended');
  expect(rig.transactionsOf(PAYER.address)).toHaveLength(2);
});

test('what the ledger refuses, or never validates, is told with its hash', async () => {
  const rig = new LedgerRig();
  const options = optionsOf(rig);
  const create = await prepareCreate(terms({ amount: 999n * XRP }), options);
  await expect(submit(rig, create, options)).rejects.toMatchObject({
    code: 'LEDGER_REFUSED',
    message: expect.stringMatching(/^[0-9A-F]{64}: expected tesSUCCESS, got tecUNFUNDED/),
  });
  const lost = await prepareCreate(terms(), options);
  rig.losesSubmissions = true;
  await expect(submit(rig, lost, options)).rejects.toThrow(/expected it validated, got nothing up to ledger \d+/);
});
