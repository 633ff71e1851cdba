/** Vouchers in the header: what is asked, what is taken, what is refused and why, and that nobody is charged twice. */
import { expect, test } from 'vitest';
import { Routes } from '../../../src/gateway/routes.ts';
import { addressOf } from '../../../src/gateway/voucher.ts';
import { derFromCompact } from '../../../src/ledger/xrpl.ts';
import {
  authorization,
  challengesOf,
  gatewayRig,
  RECIPIENT,
  type Reply,
  type Rig,
  requestOf,
  TestPayer,
} from '../../support/gateway-rig.ts';
import { withHighS } from '../../support/throwaway-claims.ts';

const PROBLEM = /^https:\/\/paymentauth\.org\/problems\/(.*)$/;
const problemOf = (reply: Reply): string => PROBLEM.exec(JSON.parse(reply.body).type)?.[1] ?? reply.body;
const receiptOf = (reply: Reply) =>
  JSON.parse(Buffer.from(String(reply.headers['payment-receipt']), 'base64url').toString());

async function rigWithPayer(name = 'alice', type: 'secp256k1' | 'ed25519' = 'secp256k1') {
  const rig = await gatewayRig();
  const payer = new TestPayer(name, type);
  rig.node.open(payer);
  return { rig, payer };
}
const paid = (rig: Rig, header: string, path = '/') => rig.get(path, { headers: { authorization: header } });

test('an unpaid request is asked for its price and goes no further', async () => {
  await using rig = await gatewayRig();
  const reply = await rig.get('/');
  expect(reply.status).toBe(402);
  expect(reply.headers).toMatchObject({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
  expect(problemOf(reply)).toBe('payment-required');
  const { Payment, 'Claimwire-Session': session } = challengesOf(reply);
  expect(Object.keys(Payment!)).toEqual(['id', 'realm', 'method', 'intent', 'request', 'expires']);
  expect(Payment).toMatchObject({ realm: 'api.example', method: 'xrpl', intent: 'session' });
  expect(requestOf(Payment!)).toEqual({
    amount: '25',
    channelId: '',
    currency: 'XRP',
    methodDetails: { cumulativeAmount: '0', network: 'testnet', reference: expect.stringMatching(/^[0-9a-f]{32}$/) },
    recipient: RECIPIENT,
  });
  expect(Object.keys(session!)).toEqual(['realm', 'nonce', 'expires']);
  expect(rig.seen).toEqual([]);
  expect(rig.gateway.counters.problems['payment-required']).toBe(1);
});

test.each(['secp256k1', 'ed25519'] as const)('a voucher of %s pays, with receipt and next challenge', async (type) => {
  await using rig = await gatewayRig();
  const payer = new TestPayer('alice', type);
  rig.node.open(payer);
  const source = `did:pkh:xrpl:testnet:${addressOf(payer.signer.publicKey)}`;
  const reply = await paid(rig, payer.pay(await rig.challenge(), 25n, {}, source));
  expect([reply.status, reply.body]).toEqual([200, 'hello ']);
  expect(reply.headers['cache-control']).toBe('private');
  expect(receiptOf(reply)).toMatchObject({ method: 'xrpl', reference: `${payer.id}:25`, status: 'success' });
  expect(rig.seen[0]!.headers).toMatchObject({ 'payment-channel': payer.id, 'payment-drops': '25' });
  expect(rig.seen[0]!.headers.authorization).toBeUndefined();
  // The second round trip is spared, and the id's hex case does not matter.
  const next = challengesOf(reply).Payment!;
  expect(requestOf(next)).toMatchObject({ channelId: payer.id, methodDetails: { cumulativeAmount: '25' } });
  expect((await paid(rig, payer.pay(next, 50n, { channelId: payer.id.toLowerCase() }))).status).toBe(200);
  expect(rig.node.spent(payer.channelId)).toBe(50n);
  expect(rig.gateway.counters).toMatchObject({ paidByVoucher: 2, drops: 50n });
});

test('a voucher for no more than leaves have paid is taken to the node: it is the first that can be redeemed', async () => {
  await using rig = await gatewayRig();
  const payer = new TestPayer('alice');
  rig.node.open(payer, { committed: 40n });
  rig.node.rows.get(payer.channelId)!.rooted = { committed: 10n, sequence: 1, timestampBits: 0n };
  const amounts: bigint[] = [];
  const { submit } = rig.node;
  rig.node.submit = (claim) => {
    amounts.push(new DataView(claim.buffer, claim.byteOffset).getBigUint64(13));
    return submit.call(rig.node, claim);
  };
  await paid(rig, payer.pay(await rig.challenge(), 30n));
  expect(amounts).toEqual([30n]);
});

test('what is malformed says so, and nothing throws', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const challenge = await rig.challenge();
  const bad: string[] = [
    'Payment !!!',
    'Payment e30',
    `Payment ${'A'.repeat(9_000)}`,
    `Payment ${Buffer.from('[[').toString('base64url')}`,
    authorization({ challenge, payload: {} }),
    authorization({ challenge, payload: [] }),
    authorization({ challenge: { ...challenge, request: 1 }, payload: { action: 'voucher' } }),
    payer.pay(challenge, 25n, { amount: '-25' }),
    payer.pay(challenge, 25n, { amount: '0' }),
    payer.pay(challenge, 25n, { amount: 25 }),
    payer.pay(challenge, 25n, { amount: '100000000000000001' }),
    payer.pay(challenge, 25n, { channelId: 'AB' }),
    payer.pay(challenge, 25n, { signature: 'zz' }),
    payer.pay(challenge, 25n, { signature: '00'.repeat(500) }),
    authorization({ challenge, payload: { action: 'open', transaction: '1' } }),
  ];
  for (const header of bad)
    expect(problemOf(await paid(rig, header)), header.slice(0, 60)).toBe('malformed-credential');
  expect(rig.gateway.counters.problems['malformed-credential']).toBe(bad.length);
  expect(rig.node.spent(payer.channelId)).toBe(0n);
});

test('a challenge of another server, price, recipient or time is refused', async () => {
  let now = 1_700_000_000_000;
  const clock = { wall: () => now, monotonic: () => now, every: () => () => {} };
  const system = { clock, random: (count: number) => Buffer.alloc(count, 7) };
  await using rig = await gatewayRig({ system });
  await using other = await gatewayRig({ system: { ...system, random: (count: number) => Buffer.alloc(count, 8) } });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const challenge = await rig.challenge();
  const request = Buffer.from(JSON.stringify({ ...requestOf(challenge), amount: '1' })).toString('base64url');
  for (const wrong of [
    await other.challenge(),
    { ...challenge, request },
    { ...challenge, realm: 'elsewhere' },
    { ...challenge, expires: new Date(now + 1e9).toISOString() },
    { ...challenge, id: `${challenge.id}=` },
  ])
    expect(problemOf(await paid(rig, payer.pay(wrong, 25n)))).toBe('invalid-challenge');
  now += 300_000;
  expect(problemOf(await paid(rig, payer.pay(challenge, 25n)))).toBe('invalid-challenge');
  expect(rig.node.spent(payer.channelId)).toBe(0n);
});

test('channels that are unknown, ended or too small, and signatures of others, are told apart', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const stranger = new TestPayer('stranger');
  const ended = new TestPayer('ended');
  const soon = new TestPayer('soon');
  rig.node.open(ended, { state: 'closed' });
  rig.node.open(soon, { expiresAt: rig.node.ruleSeconds + 299 });
  const challenge = await rig.challenge();
  const problem = async (header: string) => problemOf(await paid(rig, header));
  expect(await problem(stranger.pay(challenge, 25n))).toBe('session/channel-not-found');
  // The same handle, another channel.
  const twin = `${payer.id.slice(0, 16)}${'0'.repeat(48)}`;
  expect(await problem(payer.pay(challenge, 25n, { channelId: twin }))).toBe('session/channel-not-found');
  expect(await problem(ended.pay(challenge, 25n))).toBe('session/channel-finalized');
  expect(await problem(soon.pay(challenge, 25n))).toBe('session/channel-finalized');
  expect(await problem(payer.pay(challenge, 1_000_001n))).toBe('session/amount-exceeds-deposit');
  expect(await problem(payer.pay(challenge, 25n, { signature: payer.sign(26n) }))).toBe('session/invalid-signature');
  expect(await problem(payer.pay(challenge, 25n, { signature: stranger.sign(25n) }))).toBe('session/invalid-signature');
  const compact = Buffer.from(payer.claim(25n).subarray(21, 85)).toString('hex');
  expect(await problem(payer.pay(challenge, 25n, { signature: compact }))).toBe('session/invalid-signature');
  const high = derFromCompact(withHighS(payer.claim(25n)).subarray(21, 85));
  expect(await problem(payer.pay(challenge, 25n, { signature: high }))).toBe('session/invalid-signature');
  expect(await problem(payer.pay(challenge, 25n, {}, `did:pkh:xrpl:testnet:${RECIPIENT}`))).toBe('verification-failed');
  const other = `did:pkh:xrpl:mainnet:${addressOf(payer.signer.publicKey)}`;
  expect(await problem(payer.pay(challenge, 25n, {}, other))).toBe('verification-failed');
  expect([rig.node.spent(payer.channelId), rig.seen.length]).toEqual([0n, 0]);
});

test('an amount that pays less than the price is short, for the first claim too', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const challenge = await rig.challenge();
  const first = await paid(rig, payer.pay(challenge, 24n));
  expect(problemOf(first)).toBe('session/delta-too-small');
  expect((await paid(rig, payer.pay(challenge, 25n))).status).toBe(200);
  expect(problemOf(await paid(rig, payer.pay(challenge, 49n)))).toBe('session/delta-too-small');
  expect(problemOf(await paid(rig, payer.pay(challenge, 24n)))).toBe('verification-failed');
  expect(rig.node.spent(payer.channelId)).toBe(25n);
});

test('what was spent is not told to who only names the channel', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const challenge = await rig.challenge();
  await paid(rig, payer.pay(challenge, 25n));
  const reply = await paid(rig, payer.pay(challenge, 26n, { signature: new TestPayer('stranger').sign(26n) }));
  expect(problemOf(reply)).toBe('session/invalid-signature');
  expect(requestOf(challengesOf(reply).Payment!)).toMatchObject({ methodDetails: { cumulativeAmount: '0' } });
});

test('committed money is not spent by who has another signature: the node says ALREADY without a look at it', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  await rig.node.submit(payer.claim(1_000n));
  const challenge = await rig.challenge();
  const forged = payer.pay(challenge, 500n, { signature: new TestPayer('stranger').sign(500n) });
  expect(problemOf(await paid(rig, forged))).toBe('session/invalid-signature');
  expect(rig.node.spent(payer.channelId)).toBe(0n);
});

test('what a voucher has left over is not spent by who has another signature for its amount', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  expect((await paid(rig, payer.pay(await rig.challenge(), 1_000n))).status).toBe(200);
  const forged = payer.pay(await rig.challenge(), 1_000n, { signature: new TestPayer('stranger').sign(1_000n) });
  const { status, body } = await paid(rig, forged);
  expect([status, body]).toEqual([402, expect.stringContaining('session/invalid-signature')]);
  expect((await paid(rig, payer.pay(await rig.challenge(), 1_000n))).status).toBe(200);
  expect(rig.node.spent(payer.channelId)).toBe(50n);
});

test('a claim that was read on its way by UDP, or on the ledger, is no voucher; its payer pays by a newer one', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  await rig.node.submit(payer.claim(500n));
  await rig.node.submit(payer.claim(1_000n));
  for (const amount of [500n, 1_000n]) {
    const reply = await paid(rig, payer.pay(await rig.challenge(), amount));
    expect(problemOf(reply)).toBe('session/delta-too-small');
    expect(requestOf(challengesOf(reply).Payment!)).toMatchObject({ methodDetails: { cumulativeAmount: '1000' } });
  }
  expect(rig.node.spent(payer.channelId)).toBe(0n);
  expect((await paid(rig, payer.pay(await rig.challenge(), 1_025n))).status).toBe(200);
  expect(rig.node.spent(payer.channelId)).toBe(25n);
});

test('a claim that comes by UDP just before the voucher that somebody made of it pays for no request', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const submit = rig.node.submit.bind(rig.node);
  rig.node.submit = async (claim) => {
    await submit(payer.claim(500n));
    return submit(claim);
  };
  const reply = await paid(rig, payer.pay(await rig.challenge(), 500n));
  expect(problemOf(reply)).toBe('session/delta-too-small');
  expect([rig.node.channel(payer.channelId)!.committed, rig.node.spent(payer.channelId)]).toEqual([500n, 0n]);
});

test('the node is not asked for a voucher above the deposit', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  rig.node.submit = () => Promise.reject(new Error('nobody asks the node'));
  const reply = await paid(rig, payer.pay(await rig.challenge(), 1_000_001n));
  expect([reply.status, problemOf(reply)]).toEqual([402, 'session/amount-exceeds-deposit']);
});

test('a node that answers COMMITTED for a claim that is not in its books is not believed', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  rig.node.submit = async () => {
    rig.node.commit([payer.channelId, 5_000n]);
    return { status: 'COMMITTED', committed: 5_000n };
  };
  const forged = payer.pay(await rig.challenge(), 4_000n, { signature: new TestPayer('stranger').sign(4_000n) });
  expect(problemOf(await paid(rig, forged))).toBe('session/invalid-signature');
  // Nor does it make a voucher of a claim that went by UDP.
  expect(problemOf(await paid(rig, payer.pay(await rig.challenge(), 4_000n)))).toBe('session/delta-too-small');
  expect(rig.node.spent(payer.channelId)).toBe(0n);
});

test('an amount that was raised without a claim is spent by nobody with a signature of zeros', async () => {
  const { rig, payer } = await rigWithPayer('carol', 'ed25519');
  await using _ = rig;
  rig.node.commit([payer.channelId, 500n]);
  const zeros = async (amount: bigint) => payer.pay(await rig.challenge(), amount, { signature: '00'.repeat(64) });
  expect(problemOf(await paid(rig, await zeros(500n)))).toBe('session/invalid-signature');
  // The ledger pays it just now.
  rig.node.submit = async () => {
    rig.node.commit([payer.channelId, 600n]);
    return { status: 'ALREADY', committed: 600n };
  };
  expect(problemOf(await paid(rig, await zeros(600n)))).toBe('session/invalid-signature');
  expect(rig.node.spent(payer.channelId)).toBe(0n);
});

test('a repeated credential gets the stored answer and is charged once; elsewhere it gets nothing', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const header = payer.pay(await rig.challenge(), 25n);
  const replies = await Promise.all([paid(rig, header), paid(rig, header)]);
  expect(replies.map(({ status, body }) => [status, body])).toEqual([
    [200, 'hello '],
    [200, 'hello '],
  ]);
  expect((await paid(rig, header)).headers['payment-receipt']).toBe(replies[0]!.headers['payment-receipt']);
  expect(problemOf(await paid(rig, header, '/other'))).toBe('verification-failed');
  expect([rig.seen.length, rig.node.spent(payer.channelId), rig.gateway.counters.replayed]).toEqual([1, 25n, 2]);
});

test('a long answer is not stored: its credential is refused when it comes again', async () => {
  await using rig = await gatewayRig({ service: (_, response) => response.end('x'.repeat(20_000)) });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const header = payer.pay(await rig.challenge(), 25n);
  expect((await paid(rig, header)).body.length).toBe(20_000);
  expect(problemOf(await paid(rig, header))).toBe('verification-failed');
  expect([rig.seen.length, rig.node.spent(payer.channelId)]).toEqual([1, 25n]);
});

test('two requests with one amount: one is served, the other gets its money back', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const headers = [payer.pay(await rig.challenge(), 25n), payer.pay(await rig.challenge(), 25n)];
  const statuses = (await Promise.all(headers.map((header) => paid(rig, header)))).map(({ status }) => status);
  expect(statuses.sort()).toEqual([200, 402]);
  expect(rig.node.spent(payer.channelId)).toBe(25n);
});

test('a request is charged once and refunded when the service gives no answer', async () => {
  await using rig = await gatewayRig({
    service: (incoming, response) => (incoming.url === '/dies' ? incoming.socket.destroy() : response.end('fine')),
  });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const reply = await paid(rig, payer.pay(await rig.challenge(), 25n), '/dies');
  expect(reply.status).toBe(502);
  expect(rig.node.spent(payer.channelId)).toBe(0n);
  expect(rig.gateway.counters).toMatchObject({ refunded: 1, drops: 0n, upstreamFailed: 1 });
  // Its money is still there: the same amount pays the next request.
  const next = challengesOf(reply).Payment!;
  expect(requestOf(next)).toMatchObject({ methodDetails: { cumulativeAmount: '0' } });
  expect((await paid(rig, payer.pay(next, 25n))).status).toBe(200);
  expect(rig.node.spent(payer.channelId)).toBe(25n);
});

test('open and close without a ledger say what the server lacks', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  const challenge = await rig.challenge();
  const open = await paid(rig, authorization({ challenge, payload: { action: 'open', transaction: '12AB' } }));
  expect(problemOf(open)).toBe('session/channel-not-found');
  expect(open.body).toContain('--ledger');
  expect((await paid(rig, payer.pay(challenge, 25n, { action: 'close' }))).status).toBe(403);
});

test('a voucher pays up to its amount, whatever else is charged while it is looked at', async () => {
  const { rig, payer } = await rigWithPayer();
  await using _ = rig;
  expect((await paid(rig, payer.pay(await rig.challenge(), 1_000n))).status).toBe(200);
  const { charge } = rig.node;
  rig.node.charge = async (...call) => {
    rig.node.charge = charge;
    await charge.call(rig.node, payer.channelId, 25n);
    return charge.call(rig.node, ...call);
  };
  expect(problemOf(await paid(rig, payer.pay(await rig.challenge(), 50n)))).toBe('session/delta-too-small');
  expect([rig.node.spent(payer.channelId), rig.seen.length, rig.gateway.counters.drops]).toEqual([50n, 1, 25n]);
});

test('the challenge of a cheap resource pays for no dear one', async () => {
  const routes = Routes.parse([
    { path: '/cheap', price: 1 },
    { path: '/dear', price: 25 },
  ]);
  await using rig = await gatewayRig({ routes });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const header = payer.pay(await rig.challenge('/cheap'), 25n);
  expect(problemOf(await paid(rig, header, '/dear'))).toBe('invalid-challenge');
  expect((await paid(rig, header, '/cheap')).status).toBe(200);
});
