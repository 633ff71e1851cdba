/**
 * The connection to the ledger, against servers of the test ledger: what it reads, and what it does when a server drops it,
 * hangs, stands still, is on another network or another fork, or is hostile.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { LedgerConnection } from '../../../src/ledger/ledger-port.ts';
import { connectLedger } from '../../../src/ledger/xrpl-connection.ts';
import { TestLedger } from '../../support/ledger/test-ledger.ts';
import { createTestChannel, testWallet } from '../../support/ledger/test-wallet.ts';

const payer = testWallet('payer');
const payee = testWallet('payee');
const START = 1_800_000_000;
const DEPOSIT = 1_000_000n;

let ledger: TestLedger;
let channel: string;
let connection: LedgerConnection;
let warnings: string[];

const logger = {
  info: () => {},
  warn: (message: string) => warnings.push(message),
  error: (message: string) => warnings.push(message),
};

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}
function claim(drops: bigint, fields: Record<string, unknown> = {}) {
  return payee.sign({
    TransactionType: 'PaymentChannelClaim',
    Channel: channel,
    Balance: String(drops),
    Amount: String(drops),
    Signature: payer.signClaim(channel, drops),
    PublicKey: payer.publicKey,
    Sequence: ledger.account(payee.address).Sequence,
    ...fields,
  });
}

beforeEach(async () => {
  warnings = [];
  const accounts = { [payer.address]: 100_000_000n, [payee.address]: 50_000_000n };
  ledger = await TestLedger.start({ accounts, startsAt: START });
  channel = createTestChannel(ledger, payer, payee, { drops: DEPOSIT, settleDelay: 3600 });
});
afterEach(async () => {
  await connection?.close();
  await ledger.stop();
});

describe('a good server', () => {
  beforeEach(async () => {
    connection = await connectLedger({ urls: [ledger.url], logger });
  });

  test('a channel, with the ledger that it is from', async () => {
    expect(await connection.networkId()).toBe(0);
    expect(connection.url).toBe(ledger.url);
    expect(await connection.channel(bytes(channel))).toEqual({
      ledger: { index: 1001, closedAt: START + 4 },
      channel: {
        ledgerChannelId: bytes(channel),
        account: payer.address,
        destination: payee.address,
        publicKey: bytes(payer.publicKey),
        amount: DEPOSIT,
        balance: 0n,
        settleDelay: 3600,
        expiration: 0,
        cancelAfter: 0,
      },
    });
    expect((await connection.channel(bytes('00'.repeat(32)))).channel).toBeUndefined();
  });

  test('a claim: preliminary, then final, and whoever listens is told', async () => {
    const ledgers: number[] = [];
    const touched: string[] = [];
    connection.onLedger(({ index }) => ledgers.push(index));
    connection.onChannelTouched(payee.address, (id) => touched.push(Buffer.from(id).toString('hex').toUpperCase()));
    const account = await connection.account(payee.address);
    expect(account).toEqual({ sequence: 1, balance: 50_000_000n });
    expect(await connection.fee()).toBe(10n);
    expect(await connection.submit(claim(300_000n))).toEqual({ preliminary: 'tesSUCCESS' });
    const { hash } = ledger.chain.open.transactions[0]!;
    expect(await connection.transaction(hash)).toBeUndefined();
    ledger.closeLedger();
    await vi.waitFor(() => expect(touched).toEqual([channel]));
    expect(ledgers.at(-1)).toBe(1002);
    expect(connection.validated).toEqual({ index: 1002, closedAt: START + 8 });
    expect(await connection.transaction(hash)).toEqual({
      hash,
      ledgerIndex: 1002,
      result: 'tesSUCCESS',
      channel: { ledgerChannelId: bytes(channel), amount: DEPOSIT, balance: 300_000n, deleted: false },
    });
    const { channels } = await connection.channelsTo(payee.address);
    expect(channels).toMatchObject([{ balance: 300_000n }]);
  });
});
