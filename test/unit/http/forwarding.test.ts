/** Two admin servers in one process: requests about a channel of the other are passed on to it, once, and to nobody else. */

import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Server } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { RouteBoard } from '../../../src/control/route-control.ts';
import { HOP_HEADER, type PeerSettings } from '../../../src/http/forwarding.ts';
import { type FakeAdmin, inPlaceParser, startFakeAdmin } from '../../support/fake-node.ts';
import { openRow } from '../../support/open-channel.ts';

const CLUSTER_TOKEN = 'c'.repeat(64);
const CERTIFICATES = join(import.meta.dirname, '../../support/cluster-tls');
const pem = (name: string) => readFileSync(join(CERTIFICATES, `${name}.pem`), 'utf8');
const tls = { ca: pem('ca'), cert: pem('node-cert'), key: pem('node-key') };
const CHANNEL = 9n;

const open: { close(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function startNode(peers: PeerSettings = {}, silenceMs = 10_000): Promise<FakeAdmin> {
  const more = { peers: { token: CLUSTER_TOKEN, ...peers }, forwarding: { silenceMs, connectMs: silenceMs } };
  const admin = await startFakeAdmin(inPlaceParser, {}, more);
  open.push(admin);
  return admin;
}

/** The first passes on to the second, which holds the channel. */
async function startTwo(): Promise<[FakeAdmin, FakeAdmin]> {
  const [one, two] = [await startNode(), await startNode()];
  one.node.elsewhere.add(CHANNEL);
  one.node.elsewherePlaces = ['udp://127.0.0.1:1', two.url];
  two.node.rows.set(CHANNEL, openRow(CHANNEL));
  return [one, two];
}

async function call(url: string, method: string, path: string, body?: unknown, token: string | null = CLUSTER_TOKEN) {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

function listening<T extends Server>(server: T): Promise<string> {
  open.push({ close: () => new Promise((resolve) => server.close(resolve)) });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}

test('a channel of another node is shown, changed and closed there', async () => {
  const [one, two] = await startTwo();
  expect(await call(one.url, 'GET', '/channels/9')).toMatchObject({ status: 200, body: { channelId: '9' } });
  expect(await call(one.url, 'PATCH', '/channels/9', { capacity: '2000' })).toMatchObject({ status: 200 });
  expect(two.node.rows.get(CHANNEL)!.capacity).toBe(2_000n);
  expect(await call(one.url, 'DELETE', '/channels/9')).toMatchObject({ status: 200, body: { state: 'closed' } });
  expect((await call(one.url, 'GET', '/stats')).body.http).toMatchObject({ forwarded: 3, forwardFailed: 0 });
});

test('what the holder refuses comes back as it is', async () => {
  const [one] = await startTwo();
  const refused = { status: 400, body: { error: { code: 'INPUT_INVALID' } } };
  expect(await call(one.url, 'PATCH', '/channels/9', { capacity: 'many' })).toMatchObject(refused);
});

test('a charge is made once, at the holder', async () => {
  const [one, two] = await startTwo();
  two.meter.commit([CHANNEL, 500n]);
  const charge = { channelId: '9', drops: '200', key: 'order-1' };
  expect(await call(one.url, 'POST', '/charge', charge)).toMatchObject({ status: 200, body: { spent: '200' } });
  expect(await call(one.url, 'POST', '/charge', charge)).toMatchObject({ body: { spent: '200', repeated: true } });
  expect([one.meter.spent(CHANNEL), two.meter.spent(CHANNEL)]).toEqual([0n, 200n]);
});

test('a long poll lasts until the holder has the amount', async () => {
  const [one, two] = await startTwo();
  const answer = call(one.url, 'GET', '/channels/9/wait?amount=5&timeout=10s');
  await expect.poll(() => two.meter.waiters.size).toBe(1);
  two.meter.commit([CHANNEL, 7n]);
  expect(await answer).toMatchObject({ status: 200, body: { committed: '7' } });
});

test('who leaves a long poll ends it at the holder as well', async () => {
  const [one, two] = await startTwo();
  const leave = new AbortController();
  const headers = { authorization: `Bearer ${CLUSTER_TOKEN}` };
  const answer = fetch(`${one.url}/channels/9/wait?amount=5`, { headers, signal: leave.signal }).catch(() => 'left');
  await expect.poll(() => two.meter.waiters.size).toBe(1);
  leave.abort();
  expect(await answer).toBe('left');
  await expect.poll(() => two.meter.waiters.size).toBe(0);
});

test('a claim that was not decided here goes to the holder, without a token', async () => {
  const [one, two] = await startTwo();
  one.meter.submit = async () => ({ status: 'MOVED', committed: 7n });
  const bytes = claimBytes({
    channelId: CHANNEL,
    sequence: 1,
    amount: 6n,
    signature: new Uint8Array(64),
    timestamp: 1,
  });
  const claim = Buffer.from(bytes).toString('hex');
  const committed = { status: 200, body: { status: 'COMMITTED', committed: '6' } };
  expect(await call(one.url, 'POST', '/claims', { claim }, null)).toMatchObject(committed);
  two.node.elsewhere.add(CHANNEL);
  two.meter.submit = one.meter.submit;
  const moved = { status: 421, body: { error: { code: 'MOVED', node: 'two' } } };
  expect(await call(one.url, 'POST', '/claims', { claim }, null)).toMatchObject(moved);
});

test('a request is passed on once: nodes that point at each other answer 421', async () => {
  const [one, two] = await startTwo();
  two.node.elsewhere.add(CHANNEL);
  two.node.elsewherePlaces = [one.url];
  expect(await call(one.url, 'GET', '/channels/9')).toMatchObject({ status: 421, body: { error: { code: 'MOVED' } } });
  expect((await call(two.url, 'GET', '/stats')).body.http).toMatchObject({ forwarded: 0 });
});

test("a node's own token is not shown to another node", async () => {
  const [one, two] = await startTwo();
  const seen: IncomingMessage['headers'][] = [];
  const holder = createServer(({ headers }, response) => {
    seen.push(headers);
    response.end('{}');
  });
  one.node.elsewherePlaces = [`http://${await listening(holder)}`];
  const { status, body } = await call(one.url, 'DELETE', '/channels/9', undefined, one.token);
  expect({ status, text: body.error.message }).toMatchObject({
    status: 421,
    text: expect.stringContaining('--cluster-token-file'),
  });
  await call(one.url, 'GET', '/channels/9', undefined, one.token);
  expect(seen).toEqual([expect.not.objectContaining({ authorization: expect.anything() })]);
  expect(seen[0]).toMatchObject({ [HOP_HEADER]: '1' });
  // And the holder takes none but its own and the cluster's.
  one.node.elsewherePlaces = [two.url];
  expect(await call(two.url, 'DELETE', '/channels/9', undefined, one.token)).toMatchObject({ status: 401 });
});

test('who has no token here changes nothing elsewhere', async () => {
  const [one, two] = await startTwo();
  expect(await call(one.url, 'DELETE', '/channels/9', undefined, 'd'.repeat(64))).toMatchObject({ status: 401 });
  expect(two.server.routes.length > 0 && (await call(two.url, 'GET', '/stats')).body.http.accepted).toBe(1);
});

test('a body over 64 KiB and many openings at once are not passed on', async () => {
  const [one] = await startTwo();
  const long = { channelId: '9', drops: '1', key: 'x', padding: 'y'.repeat(70_000) };
  expect((await call(one.url, 'POST', '/charge', long)).status).toBe(400);
  const padded = `${' '.repeat(70_000)}{"capacity":"2000"}`;
  const headers = { authorization: `Bearer ${CLUSTER_TOKEN}`, 'content-type': 'application/json' };
  const response = await fetch(`${one.url}/channels/9`, { method: 'PATCH', headers, body: padded });
  expect(response.status).toBe(421);
  const opening = { ledgerChannelId: `${'9'.padStart(16, '0')}${'A'.repeat(48)}`, publicKey: `02${'7'.repeat(64)}` };
  const { body } = await call(one.url, 'POST', '/channels', [{ ...opening, capacity: '5' }]);
  expect(body.refusedCount).toBe(1);
  expect((await call(one.url, 'GET', '/stats')).body.http.forwarded).toBe(0);
});

test('plain HTTP goes to this machine alone, unless it is asked for', async () => {
  const [one] = await startTwo();
  one.node.elsewherePlaces = ['http://192.0.2.1:9394', 'tls://127.0.0.1:1', 'https://127.0.0.1:1', 'http://x:0'];
  expect(await call(one.url, 'GET', '/channels/9')).toMatchObject({ status: 421 });
});

test('a holder that is gone, silent or endless is said, and the client may ask again', async () => {
  const [one, other] = [await startNode({}, 100), await startNode()];
  for (const each of [one, other]) each.node.elsewhere.add(CHANNEL);
  const silent = createNetServer((socket) => open.push({ close: () => socket.destroy() }));
  for (const place of ['127.0.0.1:1', await listening(silent)]) {
    one.node.elsewherePlaces = [`http://${place}`];
    const { status, headers, body } = await call(one.url, 'GET', '/channels/9');
    expect({ status, code: body.error.code, node: body.error.node }).toEqual({
      status: 503,
      code: 'NODE_UNREACHABLE',
      node: 'two',
    });
    expect(headers.get('retry-after')).toBe('1');
  }
  const endless = createServer((_request, response) => response.end(Buffer.alloc((1 << 20) + 1)));
  other.node.elsewherePlaces = [`http://${await listening(endless)}`];
  await expect(call(other.url, 'GET', '/channels/9')).rejects.toThrow();
  expect((await call(one.url, 'GET', '/stats')).body.http).toMatchObject({ forwarded: 2, forwardFailed: 2 });
  expect((await call(other.url, 'GET', '/stats')).body.http).toMatchObject({ forwarded: 1, forwardFailed: 1 });
});

test('over TLS both sides show a certificate of the cluster', async () => {
  const listen = { host: '127.0.0.1', port: 0 };
  const [one, two] = [await startNode({ tls }), await startNode({ tls, listen })];
  const place = `https://127.0.0.1:${two.server.peerPort}`;
  two.node.rows.set(CHANNEL, openRow(CHANNEL));
  one.node.elsewhere.add(CHANNEL);
  one.node.elsewherePlaces = ['http://127.0.0.1:1', place];
  expect(await call(one.url, 'PATCH', '/channels/9', { capacity: '3000' })).toMatchObject({ status: 200 });
  expect(two.node.rows.get(CHANNEL)!.capacity).toBe(3_000n);
  // A stranger gets nowhere, whether it shows no certificate or one of another authority.
  for (const cert of [{}, { cert: pem('stranger-cert'), key: tls.key }]) {
    const socket = connect({ port: two.server.peerPort!, host: '127.0.0.1', ca: tls.ca, ...cert });
    socket.write('GET /stats HTTP/1.1\r\nhost: localhost\r\n\r\n');
    const end = await new Promise((resolve) => {
      socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
      socket.on('data', (part) => resolve(String(part)));
      socket.on('close', () => resolve('closed'));
    });
    expect(end).not.toContain('HTTP/1.1');
    socket.destroy();
  }
});

test('a holder whose certificate is of another place or authority gets no token', async () => {
  const one = await startNode({ tls });
  one.node.elsewhere.add(CHANNEL);
  for (const name of ['elsewhere-cert', 'stranger-cert']) {
    const listen = { host: '127.0.0.1', port: 0 };
    const other = await startNode({ tls: { ...tls, cert: pem(name) }, listen });
    one.node.elsewherePlaces = [`https://127.0.0.1:${other.server.peerPort}`];
    expect(await call(one.url, 'DELETE', '/channels/9')).toMatchObject({ status: 503 });
    expect((await call(other.url, 'GET', '/stats')).body.http.accepted).toBeLessThanOrEqual(2);
  }
});

test('a certificate of the cluster alone changes nothing: a request still needs a token', async () => {
  const one = await startNode({ tls });
  const two = await startNode({ tls, listen: { host: '127.0.0.1', port: 0 } });
  two.node.rows.set(CHANNEL, openRow(CHANNEL));
  const socket = connect({ port: two.server.peerPort!, host: '127.0.0.1', ...tls });
  socket.write('DELETE /channels/9 HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const head = await new Promise((resolve) => socket.once('data', (part) => resolve(String(part).slice(0, 12))));
  expect(head).toBe('HTTP/1.1 401');
  socket.destroy();
  expect(one.server.peerPort).toBeUndefined();
  await expect(startNode({ listen: { host: '127.0.0.1', port: 0 } })).rejects.toThrow('--cluster-ca');
});

test('the map says who else holds a channel, and where', () => {
  const board = new RouteBoard({ hold() {}, confirm() {} });
  expect(board.holderOf(1n)).toBeUndefined();
  const nodes = [
    { name: 'one', places: [] },
    { name: 'two', places: ['https://10.0.0.2:9395'] },
  ];
  board.show({ version: 1, node: 'one', nodes, holders: Array.from({ length: 1_024 }, () => 'two') });
  expect(board.holderOf(1n)).toEqual({ node: 'two', places: ['https://10.0.0.2:9395'] });
  board.show({ version: 2, node: 'one', nodes, holders: Array.from({ length: 1_024 }, () => 'one') });
  expect(board.holderOf(1n)).toBeUndefined();
});
