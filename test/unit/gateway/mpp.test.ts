/**
 * mppx as the slow twin: what the gateway writes is byte for byte what mppx writes, and each reads the other's. And the
 * method for mppx's own servers, which charges through the node.
 */
import { Mppx, Transport } from 'mppx/server/core';
import { expect, test } from 'vitest';
import { Challenges } from '../../../src/gateway/challenges.ts';
import { xrplSession } from '../../../src/gateway/mpp.ts';
import { credentialOf, parseCredential, receiptText, requestText } from '../../../src/gateway/scheme.ts';
import { authorization, FakePaidNode, gatewayRig, REALM, RECIPIENT, TestPayer } from '../../support/gateway-rig.ts';

const SECRET = 'a secret of thirty-two characters';
const asIs = { parse: (value: unknown) => value };
const withoutExpires = { parse: ({ expires: _, ...request }: Record<string, unknown>) => request };
const plain = {
  name: 'xrpl',
  intent: 'session',
  schema: { request: withoutExpires, credential: { payload: asIs } },
  verify() {},
};
// biome-ignore lint/suspicious/noExplicitAny: mppx's types want its own schemas
type Loose = any;
const mppx: Loose = Mppx.create({ methods: [plain as Loose], realm: REALM, secretKey: SECRET });
const http: Loose = Transport.http();
const merchant = { realm: REALM, recipient: RECIPIENT, network: 'testnet' };
const at = Date.parse('2026-11-21T12:00:00.000Z');
const clock = { wall: () => at, monotonic: () => at, every: () => () => {} };
const system = { clock, random: (count: number) => Buffer.alloc(count, 5) };
const challenges = new Challenges({
  merchant,
  secret: Buffer.from(SECRET),
  challengeSeconds: 300,
  sessionSeconds: 600,
  system,
});

function parametersOf(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value!]));
}

test.each([
  [25n, '', 0n],
  [100_000_000_000_000_000n, 'AB'.repeat(32), 99_999_999_999_999_999n],
])('a challenge of %s drops is the one that mppx makes', async (price, channelId, cumulative) => {
  const { id, text } = challenges.issue(price, channelId, cumulative);
  const request = JSON.parse(Buffer.from(parametersOf(text).request!, 'base64url').toString());
  // In another order, which canonical JSON does not show.
  const mixed = Object.fromEntries(Object.entries(request).reverse());
  const theirs = await mppx.challenge.xrpl.session({ ...mixed, expires: '2026-11-21T12:05:00.000Z' });
  const answer = await http.respondChallenge({ challenge: theirs, input: new Request('http://a/') });
  expect(answer.headers.get('www-authenticate')).toBe(text);
  expect([theirs.id, answer.headers.get('cache-control')]).toEqual([id, 'no-store']);
});

test("mppx reads the gateway's credential as the gateway does, and takes its challenge for its own", async () => {
  const payer = new TestPayer('alice');
  const challenge = parametersOf(challenges.issue(25n, payer.id, 25n).text);
  const header = payer.pay(challenge, 50n, {}, 'did:pkh:xrpl:testnet:rX');
  const ours = parseCredential(credentialOf(header, 'Payment')!);
  if (typeof ours === 'string') throw new Error(ours);
  const theirs = http.getCredential(new Request('http://a/', { headers: { authorization: header } }));
  expect(theirs).toEqual({
    ...ours,
    challenge: { ...ours.challenge, request: JSON.parse(Buffer.from(challenge.request!, 'base64url').toString()) },
  });
  expect(requestText({ ...theirs.challenge.request, ...theirs.challenge.request.methodDetails })).toBe(
    challenge.request,
  );
  expect(challenges.fault(ours.challenge, 25n)).toBeUndefined();
});

test('a receipt is the one that mppx writes', async () => {
  const receipt = {
    method: 'xrpl',
    reference: `${'AB'.repeat(32)}:75`,
    externalId: 'the-challenge',
    status: 'success',
    timestamp: '2026-11-21T12:00:00.000Z',
  };
  const response = await http.respondReceipt({ receipt, response: new Response('x') });
  const ours = receiptText('AB'.repeat(32), 75n, receipt.timestamp, 'the-challenge');
  expect(response.headers.get('payment-receipt')).toBe(ours);
});

test('what mppx refuses to read, the gateway refuses to read', () => {
  const bad = ['', 'e30', 'bnVsbA', 'W10', '!!!', Buffer.from('{"challenge":{}}').toString('base64url')];
  for (const text of bad) {
    expect(typeof parseCredential(text), text).toBe('string');
    const headers = { authorization: `Payment ${text}` };
    let theirs: unknown;
    try {
      theirs = http.getCredential(new Request('http://a/', { headers }));
    } catch {
      theirs = null;
    }
    expect(theirs, text).toBeNull();
  }
});

async function app(node = new FakePaidNode()) {
  const method = await xrplSession({ node, meter: node, recipient: RECIPIENT, network: 'testnet' });
  const server: Loose = Mppx.create({ methods: [method as Loose], realm: REALM, secretKey: SECRET });
  const handle = async (authorization?: string): Promise<Response> => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const result = await server.session({ amount: '25' })(new Request('http://api.example/', { headers }));
    return result.status === 402 ? result.challenge : result.withReceipt(new Response('served'));
  };
  const challenge = async () => parametersOf((await handle()).headers.get('www-authenticate')!);
  return { node, handle, challenge };
}

test('claimwire/mpp: an app on mppx is paid through the node', async () => {
  const { node, handle, challenge } = await app();
  const payer = new TestPayer('alice');
  node.open(payer);
  const paid = await handle(payer.pay(await challenge(), 25n));
  expect([paid.status, await paid.text(), node.spent(payer.channelId)]).toEqual([200, 'served', 25n]);
  const receipt = JSON.parse(Buffer.from(paid.headers.get('payment-receipt')!, 'base64url').toString());
  expect(receipt).toMatchObject({ method: 'xrpl', reference: `${payer.id}:25` });
});

test('claimwire/mpp: what is refused has the type of its problem', async () => {
  const { node, handle, challenge } = await app();
  const payer = new TestPayer('alice');
  const problem = async (header: string) => {
    const reply = await handle(header);
    expect(reply.status).toBe(402);
    return ((await reply.json()) as { type: string }).type.replace('https://paymentauth.org/problems/', '');
  };
  expect(await problem(payer.pay(await challenge(), 25n))).toBe('session/channel-not-found');
  node.open(payer);
  const used = payer.pay(await challenge(), 25n);
  expect((await handle(used)).status).toBe(200);
  expect(await problem(used)).toBe('verification-failed');
  expect(await problem(payer.pay(await challenge(), 49n))).toBe('session/delta-too-small');
  const forged = new TestPayer('stranger').sign(50n);
  expect(await problem(payer.pay(await challenge(), 50n, { signature: forged }))).toBe('session/invalid-signature');
  expect(await problem(authorization({ challenge: await challenge(), payload: {} }))).toBe('malformed-credential');
  expect(node.spent(payer.channelId)).toBe(25n);
});

test("a voucher for the gateway's challenge is read alike by both", async () => {
  await using rig = await gatewayRig({ secret: Buffer.from(SECRET) });
  const payer = new TestPayer('alice');
  const header = payer.pay(await rig.challenge(), 25n);
  const theirs = http.getCredential(new Request('http://a/', { headers: { authorization: header } }));
  expect(theirs.challenge).toMatchObject({ realm: REALM, method: 'xrpl', intent: 'session' });
});
