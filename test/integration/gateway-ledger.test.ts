/**
 * A gateway that is connected to the ledger: a payer that nobody knows opens a channel over HTTP, pays, tops up and closes, and
 * the payee has its money on the ledger. On the test ledger, over real sockets; the payer is mppx's own client.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gateway, Routes } from 'claimwire';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type ServingNode, serve } from '../../dist/src/serve.js';
import { defaultChannelId } from '../../src/channel/parse.ts';
import { ask, authorization, challengesOf, listening, type Reply, requestOf } from '../support/gateway-rig.ts';
import { channelIndex } from '../support/ledger/entries.ts';
import { TestLedger } from '../support/ledger/test-ledger.ts';
import { type TestWallet, testWallet } from '../support/ledger/test-wallet.ts';
import { type MppxChallenge, type MppxMethod, mppxFetch } from '../support/mppx-client.ts';

const XRP = 1_000_000n;
const PRICE = 1_000n;
const payee = testWallet('payee');
const [alice, bob] = [testWallet('alice'), testWallet('bob', 'ed25519')];
const folder = mkdtempSync(join(tmpdir(), 'claimwire-gateway-'));
const silent = { info() {}, warn() {}, error() {} };
const service = createServer((_, response) => response.end('served'));
let ledger: TestLedger;
let serving: ServingNode;
let gateway: Gateway;
let url: string;

beforeAll(async () => {
  const accounts = Object.fromEntries([payee, alice, bob].map(({ address }) => [address, 1_000n * XRP]));
  ledger = await TestLedger.start({ accounts, closeEveryMs: 50, closeSeconds: 1 });
  const file = join(folder, 'payee.wallet');
  writeFileSync(file, payee.seed);
  chmodSync(file, 0o600);
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
    redeem: { wallet: { file } },
  });
  gateway = await Gateway.start({
    node: serving.node,
    meter: serving.node,
    ledger: serving.ledger,
    listen: host,
    upstream: `http://127.0.0.1:${await listening(service)}`,
    routes: Routes.flat(PRICE),
    merchant: { realm: '127.0.0.1', recipient: payee.address, network: 'testnet' },
    logger: silent,
  });
  url = `http://127.0.0.1:${gateway.address.port}/`;
});
afterAll(async () => {
  await gateway?.close();
  await serving?.stop();
  await ledger?.stop();
  service.closeAllConnections();
  service.close();
  rmSync(folder, { recursive: true });
});

/** A signed PaymentChannelCreate, as a payer's wallet makes it. */
function creation(payer: TestWallet, amount: bigint, change: object = {}): string {
  return payer.sign({
    TransactionType: 'PaymentChannelCreate',
    Destination: payee.address,
    Amount: String(amount),
    SettleDelay: 86_400,
    PublicKey: payer.publicKey,
    Sequence: ledger.account(payer.address).Sequence,
    LastLedgerSequence: ledger.chain.last.index + 60,
    ...change,
  });
}

/** The SDK's method: it opens where no channel is named, over an id of zeros; it tops up on the ledger; it pays; it closes. */
class SdkMethod implements MppxMethod {
  deposit = 3n * PRICE;
  channelId = '';
  readonly payloads: Record<string, string>[] = [];
  readonly #wallet: TestWallet;

  constructor(wallet: TestWallet) {
    this.#wallet = wallet;
  }

  source = ({ request }: MppxChallenge) => `did:pkh:xrpl:${request.methodDetails.network}:${this.#wallet.address}`;

  async pay({ request }: MppxChallenge, { close }: { close?: boolean }): Promise<Record<string, string>> {
    const payload = await this.#payload(request, close ?? false);
    this.payloads.push(payload);
    return payload;
  }

  async #payload(request: MppxChallenge['request'], close: boolean): Promise<Record<string, string>> {
    const { amount: price, methodDetails } = request;
    if (request.channelId !== '') this.channelId = request.channelId;
    if (this.channelId === '') {
      const signature = this.#wallet.signClaim('0'.repeat(64), BigInt(price));
      return { action: 'open', transaction: creation(this.#wallet, this.deposit), amount: price, signature };
    }
    const spent = request.channelId === '' ? this.spent : BigInt(methodDetails.cumulativeAmount);
    const amount = close ? spent : spent + BigInt(price);
    if (amount > this.deposit) await this.#topUp(amount - this.deposit);
    this.spent = amount;
    const signature = this.#wallet.signClaim(this.channelId, amount);
    return { action: close ? 'close' : 'voucher', channelId: this.channelId, amount: String(amount), signature };
  }

  spent = 0n;

  /** By a PaymentChannelFund of its own, until the gateway has seen it. */
  async #topUp(drops: bigint): Promise<void> {
    const { Sequence } = ledger.account(this.#wallet.address);
    const fields = { TransactionType: 'PaymentChannelFund', Channel: this.channelId, Amount: String(drops), Sequence };
    expect(ledger.submit(this.#wallet.sign(fields))).toBe('tesSUCCESS');
    this.deposit += drops;
    await vi.waitFor(() => expect(rowOf(this.channelId).capacity).toBe(this.deposit), { timeout: 5_000, interval: 20 });
  }
}

/** Few questions a second go to the ledger: a 503 says to come again. */
async function paidBy(authorization: string): Promise<Reply> {
  for (;;) {
    const reply = await ask(gateway.address.port, '/', { headers: { authorization } });
    if (reply.status !== 503) return reply;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const rowOf = (id: string) => serving.node.channel(defaultChannelId(Buffer.from(id, 'hex')))!;

test.each([
  ['secp256k1', alice],
  ['ed25519', bob],
])("mppx's own client opens a channel, pays, tops up and closes, with a key of %s", async (_, wallet) => {
  const before = ledger.balance(payee.address);
  const method = new SdkMethod(wallet);
  const paid = await mppxFetch(method);
  const first = await paid(url);
  expect([first.status, await first.text()]).toEqual([200, 'served']);
  expect(method.payloads.map(({ action }) => action)).toEqual(['open', 'voucher']);
  expect(ledger.channels.find(({ index }) => index === method.channelId)).toMatchObject({
    Account: wallet.address,
    Destination: payee.address,
    Amount: String(3n * PRICE),
  });
  for (let count = 2; count <= 5; count++) expect((await paid(url)).status).toBe(200);
  const { channelId } = rowOf(method.channelId);
  expect([method.deposit, serving.node.spent(channelId)]).toEqual([5n * PRICE, 5n * PRICE]);

  const closed = await paid(url, { context: { close: true } });
  expect([closed.status, await closed.json()]).toEqual([
    200,
    { closed: true, paid: String(5n * PRICE), hash: expect.stringMatching(/^[0-9A-F]{64}$/) },
  ]);
  expect(ledger.channels.some(({ index }) => index === method.channelId)).toBe(false);
  expect(ledger.balance(payee.address) - before).toBe(5n * PRICE - 10n);
  expect(gateway.counters.opened).toBe(gateway.counters.closed);
});

test('a first claim over the id that the channel will have pays at once, and the same open again is charged no second time', async () => {
  const { Sequence } = ledger.account(alice.address);
  const id = channelIndex(alice.address, payee.address, Sequence);
  const { Payment: challenge } = challengesOf(await ask(gateway.address.port, '/'));
  const open = { action: 'open', transaction: creation(alice, 4n * PRICE), amount: String(PRICE) };
  const header = authorization({ challenge, payload: { ...open, signature: alice.signClaim(id, PRICE) } });
  const replies = await Promise.all([1, 2].map(() => paidBy(header)));
  expect(replies.map(({ status, body }) => [status, body])).toEqual(Array(2).fill([200, 'served']));
  expect(serving.node.spent(rowOf(id).channelId)).toBe(PRICE);
  expect(ledger.account(alice.address).Sequence).toBe(Sequence + 1);

  // The transaction is on the ledger for all to see: a stranger who sends it learns nothing of what was spent.
  const stranger = authorization({
    challenge,
    payload: { action: 'open', transaction: open.transaction, amount: '0' },
  });
  const reply = await paidBy(stranger);
  expect([reply.status, requestOf(challengesOf(reply).Payment!)]).toMatchObject([402, { channelId: '' }]);
});

test('what would make no channel to the payee is refused, and never submitted', async () => {
  const { Sequence } = ledger.account(bob.address);
  const { Payment: challenge } = challengesOf(await ask(gateway.address.port, '/'));
  const transaction = creation(bob, XRP, { Destination: alice.address });
  const header = authorization({ challenge, payload: { action: 'open', transaction } });
  const reply = await paidBy(header);
  expect([reply.status, JSON.parse(reply.body)]).toMatchObject([
    402,
    { type: expect.stringMatching(/channel-not-found$/), detail: expect.stringContaining(payee.address) },
  ]);
  expect(ledger.account(bob.address).Sequence).toBe(Sequence);
});
