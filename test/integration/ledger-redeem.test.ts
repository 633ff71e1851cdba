/**
 * A payer's channel from its making to its money, as users do it: `channel create`, a node with a wallet, claims, `redeem`,
 * and a payer that closes. On the test ledger, over real sockets.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type ServingNode, serve } from '../../dist/src/serve.js';
import { claimBytes } from '../../protocol/claim.ts';
import { defaultChannelId } from '../../src/channel/parse.ts';
import { keySigner } from '../../src/client/keys/key-file.ts';
import { run as channel } from '../../tools/channel.ts';
import { run as redeem } from '../../tools/redeem.ts';
import { TestLedger } from '../support/ledger/test-ledger.ts';
import { type TestWallet, testWallet } from '../support/ledger/test-wallet.ts';

const XRP = 1_000_000n;
const payer = testWallet('payer');
const payee = testWallet('payee');
const folder = mkdtempSync(join(tmpdir(), 'claimwire-redeem-'));
const silent = { info: () => {}, warn: () => {}, error: () => {} };
let ledger: TestLedger;
let serving: ServingNode;
let out = '';

function walletFile(name: string, { seed }: TestWallet): string {
  const path = join(folder, name);
  writeFileSync(path, `# for tests\n${seed}\n`);
  chmodSync(path, 0o600);
  return path;
}

beforeAll(async () => {
  const accounts = { [payer.address]: 1_000n * XRP, [payee.address]: 1_000n * XRP };
  ledger = await TestLedger.start({ accounts, closeEveryMs: 50, closeSeconds: 1 });
  const host = { host: '127.0.0.1', port: 0 };
  serving = await serve({
    data: join(folder, 'data'),
    udp: host,
    http: host,
    lanes: 1,
    keyCacheBytes: 32 << 20,
    channelsMax: 64,
    logger: silent,
    ledger: { urls: [ledger.url], account: payee.address },
    redeem: { wallet: { file: walletFile('payee.wallet', payee) } },
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});
afterAll(async () => {
  await serving?.stop();
  await ledger?.stop();
  rmSync(folder, { recursive: true });
});

function capture(): void {
  out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text, done?: unknown) => {
    out += text;
    if (typeof done === 'function') done();
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
}

const key = { privateKey: payer.privateKey.slice(2), publicKey: payer.publicKey };

/** The payer's claim, as its client would sign it. */
async function pay(ledgerChannelId: Uint8Array, amount: bigint): Promise<void> {
  const fields = { channelId: defaultChannelId(ledgerChannelId), sequence: 1, amount, timestamp: 0 };
  const claim = claimBytes({ ...fields, signature: new Uint8Array(64) });
  keySigner(key).signClaim(claim, 0, ledgerChannelId, 'xrpl');
  expect(await serving.node.submit(claim)).toMatchObject({ committed: amount });
}

async function create(): Promise<Uint8Array> {
  const terms = ['--destination', payee.address, '--amount', String(10n * XRP), '--settle-delay', '1d'];
  const wallet = ['--ledger', ledger.url, '--wallet', walletFile('payer.wallet', payer)];
  expect(await channel(['create', ...terms, ...wallet, '--key', payer.publicKey])).toBe(0);
  const id = out.trim();
  expect(ledger.channels.find(({ index }) => index === id)).toMatchObject({ Amount: '10000000', SettleDelay: 86_400 });
  return new Uint8Array(Buffer.from(id, 'hex'));
}

const balanceOf = (ledgerChannelId: Uint8Array) =>
  ledger.channels.find(({ index }) => index === Buffer.from(ledgerChannelId).toString('hex').toUpperCase())?.Balance;

test('a channel is made, opened, paid on, funded, redeemed by command, and redeemed by itself when its payer closes', async () => {
  capture();
  const id = await create();
  await serving.ledger!.openFromLedger(id);
  await pay(id, 3n * XRP);
  const admin = ['--http', serving.http, '--token-file', join(folder, 'data', 'admin-token')];
  capture();
  expect(await redeem(['--all', ...admin])).toBe(0);
  expect(out).toContain('paid: 3000000 drops for a fee of 10, tesSUCCESS');
  expect(balanceOf(id)).toBe('3000000');

  capture();
  const hex = Buffer.from(id).toString('hex');
  const wallet = ['--ledger', ledger.url, '--wallet', walletFile('payer.wallet', payer)];
  expect(await channel(['fund', '--ledger-channel', hex, '--amount', String(2n * XRP), ...wallet, '--prepare'])).toBe(
    0,
  );
  expect(JSON.parse(out)).toMatchObject({ TransactionType: 'PaymentChannelFund', Amount: '2000000' });
  expect(out).not.toContain('TxnSignature');
  expect(await channel(['fund', '--ledger-channel', hex, '--amount', String(2n * XRP), ...wallet])).toBe(0);

  await pay(id, 7n * XRP);
  const { Sequence } = ledger.account(payer.address);
  const close = { TransactionType: 'PaymentChannelClaim', Channel: hex.toUpperCase(), Flags: 0x20000, Sequence };
  expect(ledger.submit(payer.sign(close))).toBe('tesSUCCESS');
  await vi.waitFor(() => expect(balanceOf(id)).toBe('7000000'), { timeout: 9_000, interval: 20 });
  const fees = ledger.transactions.filter(({ tx }) => tx.Account === payee.address);
  expect(fees.map(({ result }) => result)).toEqual(['tesSUCCESS', 'tesSUCCESS']);

  await pay(id, 8n * XRP);
  const handle = String(defaultChannelId(id));
  expect(await redeem([handle, '--close', ...admin])).toBe(0);
  expect(balanceOf(id)).toBeUndefined();
  // All was paid: nothing of it may be listed as exposed for ever.
  const told = { exists: false, redeemed: 8n * XRP };
  await vi.waitFor(() => expect(serving.ledger!.state(BigInt(handle))).toMatchObject(told), { interval: 20 });
});
