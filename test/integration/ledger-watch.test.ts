/**
 * A whole node on the test ledger: channels are opened from there and follow it, by real claims over UDP and real
 * transactions. Runs the compiled node; no test waits for a real SettleDelay, since the ledger's time is the test's.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type ServingNode, serve } from '../../dist/src/serve.js';
import { claimBytes } from '../../protocol/claim.ts';
import { statusName } from '../../protocol/layout.ts';
import { Secp256k1Signer } from '../../src/client/keys/signer.ts';
import { AdminClient } from '../../src/http/client.ts';
import { TestLedger } from '../support/ledger/test-ledger.ts';
import { createTestChannel, testWallet } from '../support/ledger/test-wallet.ts';
import { WirePeer } from '../support/wire.ts';

const ROOT = mkdtempSync(join(tmpdir(), 'claimwire-ledger-watch-'));
const payer = testWallet('payer');
const payee = testWallet('payee');
const signer = new Secp256k1Signer(new Uint8Array(Buffer.from(payer.privateKey.slice(-64), 'hex')));
const PORT = { host: '127.0.0.1', port: 0 };
const logger = { info: () => {}, warn: () => {}, error: () => {} };

let ledger: TestLedger;
let serving: ServingNode | undefined;
let peer: WirePeer;
let folders = 0;
const now = () => Math.floor(Date.now() / 1_000);

beforeEach(async () => {
  folders++;
  ledger = await startLedger(now());
});
afterEach(async () => {
  peer?.close();
  await serving?.stop();
  serving = undefined;
  await ledger.stop();
});
afterAll(() => rmSync(ROOT, { recursive: true, force: true }));

function startLedger(startsAt: number): Promise<TestLedger> {
  return TestLedger.start({ accounts: { [payer.address]: 900_000_000n, [payee.address]: 50_000_000n }, startsAt });
}

async function start(options: { autoOpen?: boolean } = {}): Promise<AdminClient> {
  const data = join(ROOT, String(folders));
  const settings = { data, udp: PORT, http: PORT, lanes: 1, channelsMax: 256, segmentBytes: 1 << 20, logger };
  serving = await serve({
    ...settings,
    ledger: { urls: [ledger.url], account: payee.address, pollSeconds: 1, ...options },
  });
  peer = await WirePeer.to(serving.node.udp);
  return AdminClient.open({ http: `http://${serving.http}`, tokenFile: join(data, 'admin-token') });
}

/** Signs and sends a claim of a channel of the ledger. The status of its ack. */
async function pay(channel: string, amount: bigint): Promise<string> {
  const id = new Uint8Array(Buffer.from(channel, 'hex'));
  const channelId = BigInt(`0x${channel.slice(0, 16)}`);
  const signature = new Uint8Array(64);
  const claim = claimBytes({ channelId, sequence: 1, amount, signature, timestamp: Number(amount) });
  signer.signClaim(claim, 0, id, 'xrpl');
  return statusName((await peer.ask(claim)).status);
}

function transact(fields: Record<string, unknown>, wallet = payer): void {
  const { Sequence } = ledger.account(wallet.address);
  expect(ledger.submit(wallet.sign({ Sequence, ...fields }))).toBe('tesSUCCESS');
  ledger.closeLedger();
}

test('a channel is opened by its id alone, and follows its deposit, its payouts, its close and its end on the ledger', async () => {
  const channel = createTestChannel(ledger, payer, payee, { drops: 1_000n });
  const admin = await start();
  const row = await admin.openFromLedger(channel);
  expect(row).toMatchObject({ capacity: '1000', committed: '0', expiresAt: null, state: 'open' });
  expect(row.ledger).toMatchObject({ deposited: '1000', redeemed: '0', exposure: '0', exists: true });
  expect(await pay(channel, 600n)).toBe('COMMITTED');
  expect(await pay(channel, 1_001n)).toBe('OVER_CAPACITY');
  transact({ TransactionType: 'PaymentChannelFund', Channel: channel, Amount: '4000' });
  await vi.waitFor(async () => expect((await admin.channel(channel)).capacity).toBe('5000'));
  expect(await pay(channel, 1_001n)).toBe('COMMITTED');
  // Somebody else redeems a claim that this node never had.
  const signed = { Signature: payer.signClaim(channel, 2_000n), PublicKey: payer.publicKey };
  transact(
    { TransactionType: 'PaymentChannelClaim', Channel: channel, Balance: '2000', Amount: '2000', ...signed },
    payee,
  );
  await vi.waitFor(async () => expect((await admin.channel(channel)).committed).toBe('2000'));
  expect(await pay(channel, 1_999n)).toBe('ALREADY');
  expect(await pay(channel, 2_500n)).toBe('COMMITTED');
  expect((await admin.channel(channel)).ledger).toMatchObject({ redeemed: '2000', exposure: '500' });
  // Of 2,500 drops 999 were paid to somebody else: a service may sell the rest, and then all is spent.
  const { node } = serving!;
  const handle = BigInt(`0x${channel.slice(0, 16)}`);
  expect(await node.charge(handle, 1_501n)).toMatchObject({ drops: 1_501n, spent: 2_500n });
  await expect(node.charge(handle, 1n, { wait: false })).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
  const before = ledger.now;
  transact({ TransactionType: 'PaymentChannelClaim', Channel: channel, Flags: 0x20000 });
  await vi.waitFor(async () => expect((await admin.channel(channel)).expiresAt).not.toBeNull());
  expect(Date.parse((await admin.channel(channel)).expiresAt!) / 1_000).toBe(before + 3_600);
  // An hour later any transaction ends it.
  ledger.advance(3_700);
  transact({ TransactionType: 'PaymentChannelClaim', Channel: channel });
  await vi.waitFor(async () => expect((await admin.channel(channel)).state).toBe('closed'));
  expect(await pay(channel, 2_600n)).toBe('CHANNEL_CLOSED');
});

test('what the ledger does not have, or has for another payee, is refused with its reason', async () => {
  const admin = await start();
  const foreign = createTestChannel(ledger, payee, payer);
  const short = createTestChannel(ledger, payer, payee, { settleDelay: 60 });
  await expect(admin.openFromLedger('AB'.repeat(32))).rejects.toThrow(/expected it in validated ledger \d+, got none/);
  await expect(admin.openFromLedger(foreign)).rejects.toMatchObject({ code: 'LEDGER_REFUSED' });
  await expect(admin.openFromLedger(short)).rejects.toThrow(/expected a SettleDelay of at least 3600 s, got 60 s/);
});

test('claims are refused while the ledger is not seen for as long as SettleDelay allows, also after a restart', async () => {
  await ledger.stop();
  // The channel's lease ends 3,000 s after the ledger that it was seen in: 2 s from now.
  ledger = await startLedger(now() - 2_998);
  const channel = createTestChannel(ledger, payer, payee, { drops: 1_000n });
  let admin = await start();
  await admin.openFromLedger(channel);
  expect(await pay(channel, 1n)).toBe('COMMITTED');
  let amount = 1n;
  const next = () => pay(channel, ++amount);
  await vi.waitFor(async () => expect(await next()).toBe('CHANNEL_CLOSED'), { timeout: 15_000, interval: 500 });
  ledger.server.refusing = true;
  ledger.dropConnections();
  peer.close();
  await serving!.stop();
  admin = await start();
  expect(await next()).toBe('CHANNEL_CLOSED');
  // The lease is not the channel's own expiry.
  expect((await admin.channel(channel)).expiresAt).toBeNull();
  ledger.server.refusing = false;
  ledger.advance(2_900);
  await vi.waitFor(async () => expect(await next()).toBe('COMMITTED'), { timeout: 15_000, interval: 500 });
});

test('with --auto-open claims of an unknown channel bring it in', async () => {
  await start({ autoOpen: true });
  const channel = createTestChannel(ledger, payer, payee, { drops: 1_000n });
  await vi.waitFor(async () => expect(await pay(channel, 5n)).toBe('COMMITTED'), { timeout: 15_000, interval: 200 });
});
