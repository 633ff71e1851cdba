/** xrpl.js's own client uses the test ledger as it would use rippled, so that the shapes of answers are rippled's. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Client, type SubmittableTransaction, type TransactionMetadata, Wallet } from 'xrpl';
import { TestLedger } from '../../support/ledger/test-ledger.ts';
import { createTestChannel, testWallet } from '../../support/ledger/test-wallet.ts';

const payer = Wallet.fromSeed(testWallet('payer').seed);
const payee = Wallet.fromSeed(testWallet('payee', 'ed25519').seed);
const NETWORK_ID = 21_337;

let ledger: TestLedger;
let client: Client;

beforeEach(async () => {
  // submitAndWait sleeps a second between its questions.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const accounts = { [payer.address]: 100_000_000n, [payee.address]: 50_000_000n };
  ledger = await TestLedger.start({ accounts, networkId: NETWORK_ID });
  client = new Client(ledger.url);
  await client.connect();
});
afterEach(async () => {
  vi.useRealTimers();
  await client.disconnect();
  await ledger.stop();
});

/** Fills in, signs, submits and waits until it is validated, while ledgers close. */
async function validated(wallet: Wallet, tx: SubmittableTransaction) {
  let done = false;
  const sent = client.submitAndWait(tx, { wallet }).finally(() => {
    done = true;
  });
  while (!done) {
    await vi.advanceTimersByTimeAsync(1000);
    await new Promise((resolve) => setImmediate(resolve));
    if (ledger.chain.open.transactions.length > 0) ledger.closeLedger();
  }
  const { result } = await sent;
  expect(result.validated).toBe(true);
  return { tx: result.tx_json, meta: result.meta as TransactionMetadata };
}

async function objects() {
  const { result } = await client.request({
    command: 'account_objects',
    account: payee.address,
    type: 'payment_channel',
    ledger_index: 'validated',
  });
  expect(result.validated).toBe(true);
  return result.account_objects;
}

test('a channel from its creation to its end, filled in, signed and waited for by xrpl.js', async () => {
  const created = await validated(payer, {
    TransactionType: 'PaymentChannelCreate',
    Account: payer.address,
    Destination: payee.address,
    Amount: '1000000',
    SettleDelay: 3600,
    PublicKey: payer.publicKey,
  });
  expect(created.meta.TransactionResult).toBe('tesSUCCESS');
  expect(created.tx).toMatchObject({ NetworkID: NETWORK_ID, Fee: '12' });
  const [listed] = await objects();
  const channel = listed!.index;
  expect(
    created.meta.AffectedNodes.some((node) => 'CreatedNode' in node && node.CreatedNode.LedgerIndex === channel),
  ).toBe(true);

  await validated(payer, {
    TransactionType: 'PaymentChannelFund',
    Account: payer.address,
    Channel: channel,
    Amount: '500000',
  });
  const Signature = testWallet('payer').signClaim(channel, 1_200_000n);
  const claim = {
    TransactionType: 'PaymentChannelClaim' as const,
    Account: payee.address,
    Channel: channel,
    Balance: '1200000',
    Amount: '1200000',
    Signature,
    PublicKey: payer.publicKey,
  };
  const claimed = await validated(payee, claim);
  expect(claimed.meta.TransactionResult).toBe('tesSUCCESS');
  expect(await objects()).toMatchObject([{ Amount: '1500000', Balance: '1200000' }]);
  expect((await validated(payee, claim)).meta.TransactionResult).toBe('tecUNFUNDED_PAYMENT');

  const { result } = await client.request({
    command: 'account_channels',
    account: payer.address,
    destination_account: payee.address,
    ledger_index: 'validated',
  });
  expect(result.channels).toMatchObject([{ channel_id: channel, amount: '1500000', balance: '1200000' }]);

  await validated(payer, {
    TransactionType: 'PaymentChannelClaim',
    Account: payer.address,
    Channel: channel,
    Flags: 0x20000,
  });
  const entry = await client.request({ command: 'ledger_entry', payment_channel: channel, ledger_index: 'validated' });
  expect(entry.result.node).toMatchObject({ LedgerEntryType: 'PayChannel', Expiration: expect.any(Number) });
  ledger.advance(3600);
  await validated(payer, { TransactionType: 'PaymentChannelClaim', Account: payer.address, Channel: channel });
  expect(await objects()).toEqual([]);
  await expect(
    client.request({ command: 'ledger_entry', payment_channel: channel, ledger_index: 'validated' }),
  ).rejects.toMatchObject({ data: { error: 'entryNotFound', validated: true } });
});

test('streams: a ledger, and the transactions of an account', async () => {
  const heard: string[] = [];
  client.on('ledgerClosed', ({ ledger_index, ledger_time }) =>
    heard.push(`ledger ${ledger_index} ${typeof ledger_time}`),
  );
  client.on('transaction', ({ validated: final, meta }) =>
    heard.push(`transaction ${final} ${(meta as TransactionMetadata).TransactionResult}`),
  );
  await client.request({ command: 'subscribe', streams: ['ledger'], accounts: [payee.address] });
  ledger.submit(
    testWallet('payee', 'ed25519').sign({ TransactionType: 'AccountSet', Sequence: 1, NetworkID: NETWORK_ID }),
  );
  ledger.submit(testWallet('payer').sign({ TransactionType: 'AccountSet', Sequence: 1, NetworkID: NETWORK_ID }));
  ledger.closeLedger();
  await client.request({ command: 'unsubscribe', streams: ['ledger'], accounts: [payee.address] });
  ledger.closeLedger();
  await client.request({ command: 'ping' });
  expect(heard).toEqual(['ledger 1001 number', 'transaction true tesSUCCESS']);
});

test('a page and its marker', async () => {
  for (let made = 0; made < 13; made += 1) createTestChannel(ledger, testWallet('payer'), payee, { drops: 1000n });
  const seen = new Set<string>();
  let marker: unknown;
  do {
    const { result } = await client.request({
      command: 'account_objects',
      account: payee.address,
      limit: 10,
      ledger_index: 'validated',
      ...(marker !== undefined && { marker }),
    });
    expect(result.account_objects.length).toBeLessThanOrEqual(10);
    for (const { index } of result.account_objects) seen.add(index);
    marker = result.marker;
  } while (marker !== undefined);
  expect(seen.size).toBe(13);
});
