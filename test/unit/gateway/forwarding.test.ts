/** Two gateways of a cluster in one process: what is paid from a channel of the other is charged and served there, once. */
import { readFileSync } from 'node:fs';
import { type ClientRequest, request } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { encodeSessionToken, sessionPreimage } from '../../../protocol/session.ts';
import type { GatewayPeers } from '../../../src/gateway/forwarding.ts';
import { openPeerDoor } from '../../../src/http/listen.ts';
import { challengesOf, gatewayRig, REALM, type Reply, type Rig, TestPayer } from '../../support/gateway-rig.ts';

const SECRET = new Uint8Array(32).fill(7);
const QUIET = { info() {}, warn() {}, error() {} };
const pem = (name: string) => readFileSync(join(import.meta.dirname, `../../support/cluster-tls/${name}.pem`), 'utf8');
const tls = { ca: pem('ca'), cert: pem('node-cert'), key: pem('node-key') };
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each.close();
});

async function start(peers: GatewayPeers, more: Parameters<typeof gatewayRig>[0] = {}): Promise<Rig> {
  const rig = await gatewayRig({ secret: SECRET, peers, forwardingLimits: { connectMs: 300 }, ...more });
  open.push({ close: () => rig[Symbol.asyncDispose]() });
  return rig;
}

/** The second holds the payer's channel; the first knows where that one is. */
async function startTwo(): Promise<{ one: Rig; two: Rig; payer: TestPayer }> {
  const [one, two] = [await start({}), await start({})];
  const payer = new TestPayer('alice');
  two.node.open(payer);
  one.node.isElsewhere = true;
  one.node.holder = { node: 'two', places: ['udp://127.0.0.1:1', `gateway+http://127.0.0.1:${two.port}`] };
  return { one, two, payer };
}

function tokenOf(payer: TestPayer, reply: Reply, ruleSeconds: number): string {
  const nonce = Buffer.from(challengesOf(reply)['Claimwire-Session']!.nonce!, 'base64url');
  const said = { ledgerChannelId: payer.ledgerChannelId, expires: BigInt(ruleSeconds + 60), nonce };
  const signature = payer.signer.signMessage!(sessionPreimage(said, REALM));
  return `Claimwire-Session ${Buffer.from(encodeSessionToken({ ...said, signature })).toString('base64url')}`;
}

function listening(server: Server): Promise<number> {
  open.push({ close: () => new Promise((resolve) => server.close(resolve)) });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

test('a voucher at the wrong node, for a challenge of that node, is charged and served once at the holder', async () => {
  const { one, two, payer } = await startTwo();
  const authorization = payer.pay(await one.challenge(), 25n);
  const headers = { authorization, 'x-mine': 'kept', 'payment-drops': '1', 'x-forwarded-for': '192.0.2.9' };
  const reply = await one.get('/a?b=c', { headers });
  expect([reply.status, reply.body]).toEqual([200, 'hello ']);
  expect(reply.headers['payment-receipt']).toBeDefined();
  expect(challengesOf(reply).Payment).toBeDefined();
  expect([one.seen.length, two.seen.length]).toEqual([0, 1]);
  const [{ url, headers: seen }] = two.seen as [(typeof two.seen)[number]];
  expect(url).toBe('/a?b=c');
  expect(seen).toMatchObject({ 'x-mine': 'kept', 'payment-drops': '25', 'payment-channel': payer.id });
  expect([seen['claimwire-forwarded'], seen.authorization]).toEqual([undefined, undefined]);
  expect(seen['x-forwarded-for']).toMatch(/^192\.0\.2\.9, .*127\.0\.0\.1, .*127\.0\.0\.1$/);
  expect([one.node.spent(payer.channelId), two.node.spent(payer.channelId)]).toEqual([0n, 25n]);

  // Once more: the holder has the answer still.
  expect((await one.get('/a?b=c', { headers })).status).toBe(200);
  expect([two.seen.length, two.node.spent(payer.channelId), two.gateway.counters.replayed]).toEqual([1, 25n, 1]);
  expect(one.gateway.counters).toMatchObject({ forwarded: 2, forwardFailed: 0, refunded: 0, busy: 0 });
  expect(two.gateway.counters).toMatchObject({ forwarded: 0, paidByVoucher: 1 });
});

test('a session with a body: it streams to the holder, and a refusal of the holder comes back as it is', async () => {
  const { one, two, payer } = await startTwo();
  await two.node.submit(payer.claim(60n));
  const authorization = tokenOf(payer, await one.get('/'), one.node.ruleSeconds);
  const body = 'x'.repeat(300_000);
  const asked = { method: 'POST', headers: { authorization, 'transfer-encoding': 'chunked' }, body };
  expect(await one.get('/', asked)).toMatchObject({ status: 200, body: `hello ${body}` });
  expect((await one.get('/', asked)).status).toBe(200);
  const refused = await one.get('/', { headers: { authorization } });
  expect(refused.status).toBe(402);
  expect(Object.keys(challengesOf(refused))).toEqual(['Payment', 'Claimwire-Session']);
  expect([two.seen.length, two.node.spent(payer.channelId), one.seen.length]).toEqual([2, 50n, 0]);
});

test('a client that waits to be told sends its body once the holder has been paid, and not at all where it has not', async () => {
  const { one, two, payer } = await startTwo();
  const send = (authorization: string) =>
    new Promise<{ status: number; isTold: boolean }>((resolve, reject) => {
      let isTold = false;
      const headers = { authorization, expect: '100-continue', 'content-length': '4' };
      const outgoing: ClientRequest = request({ port: one.port, method: 'POST', path: '/', headers, agent: false });
      outgoing.on('continue', () => {
        isTold = true;
        outgoing.end('body');
      });
      outgoing.on('response', (incoming) => {
        incoming.resume().on('end', () => {
          outgoing.destroy();
          resolve({ status: incoming.statusCode!, isTold });
        });
      });
      outgoing.on('error', reject);
      outgoing.flushHeaders();
    });
  const challenge = await one.challenge();
  expect(await send(payer.pay(challenge, 25n))).toEqual({ status: 200, isTold: true });
  expect(two.seen.map(({ body }) => body)).toEqual(['body']);
  expect(await send(payer.pay(challenge, 30n))).toEqual({ status: 402, isTold: false });
  expect([two.seen.length, two.node.spent(payer.channelId)]).toEqual([1, 25n]);
});

test('it goes once: a holder that does not hold the channel either says 503', async () => {
  const { one, two, payer } = await startTwo();
  two.node.isElsewhere = true;
  two.node.holder = { node: 'one', places: [`gateway+http://127.0.0.1:${one.port}`] };
  const reply = await one.get('/', { headers: { authorization: payer.pay(await one.challenge(), 25n) } });
  expect([reply.status, reply.headers['retry-after']]).toEqual([503, '1']);
  expect(JSON.parse(reply.body).detail).toContain('another node holds this channel');
  expect([one.gateway.counters.forwarded, two.gateway.counters.forwarded]).toEqual([1, 0]);
  expect([one.seen.length, two.seen.length]).toEqual([0, 0]);
});

test('no other machine is asked without TLS, unless that is wanted; nor one whose gateway has no place', async () => {
  const { one, payer } = await startTwo();
  const headers = { authorization: payer.pay(await one.challenge(), 25n) };
  for (const places of [
    [],
    ['gateway+http://192.0.2.1:1'],
    ['gateway+https://127.0.0.1:1'],
    ['gateway+http://127.0.0.1:0'],
  ]) {
    one.node.holder = { node: 'two', places };
    expect((await one.get('/', { headers })).status).toBe(503);
  }
  expect(one.gateway.counters).toMatchObject({ forwarded: 0, busy: 4 });
});

test('a holder that cannot be reached: 503, and nothing was charged or refunded', async () => {
  const { one, two, payer } = await startTwo();
  const gone = createServer();
  const port = await listening(gone);
  await new Promise((resolve) => gone.close(resolve));
  one.node.holder = { node: 'two', places: [`gateway+http://127.0.0.1:${port}`] };
  const headers = { authorization: payer.pay(await one.challenge(), 25n) };
  const reply = await one.get('/', { headers });
  expect([reply.status, reply.headers['retry-after']]).toEqual([503, '1']);
  expect(JSON.parse(reply.body).detail).toContain('nothing was charged');
  expect(one.gateway.counters).toMatchObject({ forwarded: 1, forwardFailed: 1, refunded: 0, drops: 0n });
  // By the next map the same credential pays.
  one.node.holder = { node: 'two', places: [`gateway+http://127.0.0.1:${two.port}`] };
  expect((await one.get('/', { headers })).status).toBe(200);
  expect(two.node.spent(payer.channelId)).toBe(25n);
});

test.each([
  ['before its answer', '', 502],
  ['in the middle of it', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart', 'cut'],
])(
  'a holder that dies %s: the client is told, and this gateway charges and refunds nothing',
  async (_, said, expected) => {
    const { one, payer } = await startTwo();
    const dying = createServer((socket: Socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.write(said, () => setTimeout(() => socket.destroy(), 5)));
    });
    const port = await listening(dying);
    one.node.holder = { node: 'two', places: [`gateway+http://127.0.0.1:${port}`] };
    const headers = { authorization: payer.pay(await one.challenge(), 25n) };
    const answer = await one.get('/', { headers }).catch(() => undefined);
    expect(answer?.status ?? 'cut').toBe(expected);
    if (answer !== undefined) expect(answer.body).toContain('not known');
    expect(one.gateway.counters).toMatchObject({ forwarded: 1, forwardFailed: 1, refunded: 0, drops: 0n });
    expect(one.seen.length).toBe(0);
  },
);

test('a client that goes takes the exchange with the holder with it', async () => {
  let reached!: (socket: Socket) => void;
  const atHolder = new Promise<Socket>((resolve) => {
    reached = resolve;
  });
  const { one, payer } = await startTwo();
  const port = await listening(createServer((socket) => void socket.once('data', () => reached(socket))));
  one.node.holder = { node: 'two', places: [`gateway+http://127.0.0.1:${port}`] };
  const headers = { authorization: payer.pay(await one.challenge(), 25n) };
  const outgoing = request({ port: one.port, path: '/', headers, agent: false });
  outgoing.on('error', () => {});
  outgoing.end();
  const socket = await atHolder;
  const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
  outgoing.destroy();
  await closed;
  await expect.poll(() => one.gateway.counters.forwardFailed).toBe(1);
});

test.each([
  ['of the cluster', tls, 200],
  // Only the first byte of an answer would tell this side that it was let in.
  ['of a stranger', { ...tls, cert: pem('stranger-cert') }, 502],
])('over TLS with a certificate %s', async (_, own, status) => {
  const [one, two] = [await start({ tls: own }), await start({ tls })];
  const peers = { listen: { host: '127.0.0.1', port: 0 }, tls };
  const door = (await openPeerDoor(peers, (socket) => two.gateway.accept(socket), QUIET))!;
  open.push({ close: () => door.close() });
  const payer = new TestPayer('alice');
  two.node.open(payer);
  one.node.isElsewhere = true;
  const { port } = door.address() as AddressInfo;
  one.node.holder = {
    node: 'two',
    places: [`gateway+https://127.0.0.1:${port}`, `gateway+http://127.0.0.1:${two.port}`],
  };
  for (const amount of [25n, 50n]) {
    const headers = { authorization: payer.pay(await one.challenge(), amount) };
    expect((await one.get('/', { headers })).status).toBe(status);
  }
  expect(two.node.spent(payer.channelId)).toBe(status === 200 ? 50n : 0n);
  expect(one.gateway.counters.forwarded).toBe(2);
});

test.each(['stranger', 'elsewhere'])('nothing is sent to a holder with the certificate of %s', async (name) => {
  const [one, two] = [await start({ tls }), await start({ tls })];
  const peers = { listen: { host: '127.0.0.1', port: 0 }, tls: { ...tls, cert: pem(`${name}-cert`) } };
  const door = (await openPeerDoor(peers, (socket) => two.gateway.accept(socket), QUIET))!;
  open.push({ close: () => door.close() });
  one.node.isElsewhere = true;
  const { port } = door.address() as AddressInfo;
  one.node.holder = { node: 'two', places: [`gateway+https://127.0.0.1:${port}`] };
  const headers = { authorization: new TestPayer('alice').pay(await one.challenge(), 25n) };
  expect((await one.get('/', { headers })).status).toBe(503);
  expect([two.gateway.counters.requests, one.gateway.counters.forwardFailed]).toEqual([0, 1]);
});
