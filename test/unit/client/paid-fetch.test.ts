/** A fetch that pays from a channel, against a gateway; and against servers that ask for too much. */
import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import type { Signer } from '../../../src/client/keys/signer.ts';
import { type PaidFetchOptions, paidFetch, sessionAuthorization } from '../../../src/client/paid-fetch.ts';
import { gatewayRig, listening, REALM, type Rig, TestPayer } from '../../support/gateway-rig.ts';

function fetchOf(payer: TestPayer, options: Partial<PaidFetchOptions> = {}) {
  const { ledgerChannelId, signer } = payer;
  return paidFetch({ ledgerChannelId, key: signer, budget: 1_000n, realm: REALM, ...options });
}
async function rigWith(payer: TestPayer, options: Parameters<typeof gatewayRig>[0] = {}): Promise<[Rig, string]> {
  const rig = await gatewayRig(options);
  rig.node.open(payer);
  return [rig, `http://127.0.0.1:${rig.port}/`];
}

test.each(['secp256k1', 'ed25519'] as const)(
  'pays with %s; the second request needs no second round trip',
  async (type) => {
    const payer = new TestPayer('alice', type);
    const [rig, url] = await rigWith(payer);
    await using _ = rig;
    const pay = fetchOf(payer);
    for (let request = 1; request <= 3; request++) expect(await (await pay(url)).text()).toBe('hello ');
    expect([pay.signed, rig.node.spent(payer.channelId), rig.gateway.counters.requests]).toEqual([75n, 75n, 4]);
    const posted = await pay(new URL('/post', url), { method: 'POST', body: 'body' });
    expect([await posted.text(), rig.node.spent(payer.channelId)]).toEqual(['hello body', 100n]);
  },
);

test('never signs more than its budget, nor for another price or realm', async () => {
  const payer = new TestPayer('alice');
  const [rig, url] = await rigWith(payer);
  await using _ = rig;
  const pay = fetchOf(payer, { budget: 60n });
  await pay(url);
  await pay(url);
  await expect(pay(url)).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED', message: expect.stringMatching(/^budget/) });
  expect(pay.signed).toBe(50n);
  await expect(fetchOf(payer, { priceMax: 24n })(url)).rejects.toThrow(/^price: expected at most 24 drops, got 25/);
  await expect(fetchOf(payer, { realm: 'bank.example' })(url)).rejects.toThrow(/^realm: expected bank.example/);
});

test('goes on after a restart from what it signed, and after a refund from what is left', async () => {
  const payer = new TestPayer('alice');
  let fails = false;
  const [rig, url] = await rigWith(payer, {
    service: (incoming, response) => (fails ? incoming.socket.destroy() : response.end('fine')),
  });
  await using _ = rig;
  const first = fetchOf(payer);
  await first(url);
  const second = fetchOf(payer, { signed: first.signed });
  expect((await second(url)).status).toBe(200);
  fails = true;
  expect((await second(url)).status).toBe(502);
  fails = false;
  expect((await second(url)).status).toBe(200);
  // The amount of the refunded request was used again.
  expect([second.signed, rig.node.spent(payer.channelId)]).toEqual([75n, 75n]);
});

test('a server that says that nothing was paid gets no endless vouchers', async () => {
  let requests = 0;
  const challenge = (amount: string) =>
    `Payment id="x", realm="${REALM}", method="xrpl", intent="session", request="${Buffer.from(JSON.stringify({ amount })).toString('base64url')}"`;
  const server = createServer((_, response) => {
    requests++;
    response.writeHead(402, { 'www-authenticate': challenge('25') }).end('pay');
  });
  const port = await listening(server);
  const pay = fetchOf(new TestPayer('alice'));
  const reply = await pay(`http://127.0.0.1:${port}/`);
  expect([reply.status, await reply.text(), requests, pay.signed]).toEqual([402, 'pay', 3, 25n]);
  server.close();
  server.closeAllConnections();
});

test('answers without a challenge, and without a price, are passed on', async () => {
  const payer = new TestPayer('alice');
  const odd = ['', 'Bearer x', 'Payment id="x"', 'Payment method="xrpl", intent="session", request="!!"'];
  for (const text of odd) {
    const fetch = async () => new Response('no', { status: 402, headers: { 'www-authenticate': text } });
    const pay = fetchOf(payer, { fetch });
    if (text.includes('xrpl')) await expect(pay('http://a/')).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
    else expect((await pay('http://a/')).status).toBe(402);
    expect(pay.signed).toBe(0n);
  }
});

test('a session: one signature, then claims pay', async () => {
  const payer = new TestPayer('alice');
  const now = 1_700_000_000_000;
  const clock = { wall: () => now, monotonic: () => now, every: () => () => {} };
  const [rig, url] = await rigWith(payer, { system: { clock, random: (count) => Buffer.alloc(count, 1) } });
  await using _ = rig;
  const challenge = (await fetch(url)).headers.get('www-authenticate')!;
  const { ledgerChannelId, signer: key } = payer;
  const authorization = await sessionAuthorization({ challenge, realm: REALM, ledgerChannelId, key });
  await rig.node.submit(payer.claim(25n));
  expect((await fetch(url, { headers: { authorization } })).status).toBe(200);
  await expect(sessionAuthorization({ challenge, realm: 'other.example', ledgerChannelId, key })).rejects.toThrow(
    /of other/,
  );
});

test('what a signer that failed did not sign is not paid later, whichever failure comes first', async () => {
  const { ledgerChannelId, signer } = new TestPayer('alice');
  const failures: ((error: Error) => void)[] = [];
  let isLost = true;
  const token: Signer = {
    publicKey: signer.publicKey,
    signDigests: async () =>
      isLost ? await new Promise<Uint8Array>((_, reject) => failures.push(reject)) : new Uint8Array(64).fill(1),
  };
  const request = Buffer.from(JSON.stringify({ amount: '10' })).toString('base64url');
  const challenge = `Payment id="x", realm="${REALM}", method="xrpl", intent="session", request="${request}"`;
  const server: typeof fetch = async (_url, init) =>
    new Headers(init?.headers).has('authorization')
      ? new Response('fine')
      : new Response('pay', { status: 402, headers: { 'www-authenticate': challenge } });
  const pay = paidFetch({ ledgerChannelId, key: token, budget: 100n, realm: REALM, fetch: server });
  for (const order of [
    [0, 1, 2],
    [2, 0, 1],
    [1, 2, 0],
  ]) {
    const failing = order.map(() => pay('http://127.0.0.1/').catch((error: Error) => error.message));
    await expect.poll(() => failures.length).toBe(3);
    for (const at of order) {
      failures[at]!(new Error('lost'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    failures.length = 0;
    expect(await Promise.all(failing)).toEqual(['lost', 'lost', 'lost']);
  }
  isLost = false;
  expect((await pay('http://127.0.0.1/')).status).toBe(200);
  expect(pay.signed).toBe(10n);
});
