/** The gateway as a proxy: what it passes on, and what clients and services may do to it. */
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect, createServer as createNetServer } from 'node:net';
import { expect, test } from 'vitest';
import { Routes } from '../../../src/gateway/routes.ts';
import { ask, challengesOf, gatewayRig, listening, type Rig, TestPayer } from '../../support/gateway-rig.ts';

async function payerOf(rig: Rig): Promise<{ payer: TestPayer; authorization: string }> {
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  return { payer, authorization: payer.pay(await rig.challenge(), 25n) };
}

/** Sends bytes and collects what comes back until the end. */
function raw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
}

/** A service that answers each connection with bytes of its own. */
async function rawService(answer: (socket: import('node:net').Socket) => void) {
  const server = createNetServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, [Symbol.asyncDispose]: async () => void server.close() };
}

test('passes method, path, headers and body on, and takes away what is about one connection', async () => {
  await using rig = await gatewayRig({
    service: (_, response) =>
      response
        .writeHead(201, { 'x-answer': ['one', 'two'], connection: 'x-hop', 'x-hop': 'secret', 'keep-alive': 'x' })
        .end('made'),
  });
  const { authorization } = await payerOf(rig);
  const headers = {
    authorization: `Basic dTpw, ${authorization}`,
    connection: 'close, x-mine',
    'x-mine': 'hidden',
    'x-kept': 'kept',
    te: 'trailers',
    'payment-channel': 'forged',
    payment_drops: '9999',
    'x-forwarded-for': '10.0.0.1',
  };
  const reply = await rig.get('/a/b?c=d', { method: 'POST', headers, body: 'body' });
  expect([reply.status, reply.body, reply.headers['x-answer'], reply.headers['x-hop']]).toEqual([
    201,
    'made',
    'one, two',
    undefined,
  ]);
  const [seen] = rig.seen;
  expect(seen).toMatchObject({ method: 'POST', url: '/a/b?c=d', body: 'body' });
  expect(seen!.headers).toMatchObject({
    'x-kept': 'kept',
    'payment-drops': '25',
    'x-forwarded-for': '10.0.0.1, 127.0.0.1',
  });
  expect(seen!.headers.authorization).toBe('Basic dTpw');
  for (const name of ['x-mine', 'te', 'payment_drops']) expect(seen!.headers[name]).toBeUndefined();
});

test('a body keeps its frame, whatever the Connection header says: nothing is smuggled', async () => {
  await using rig = await gatewayRig({ routes: Routes.flat(0n) });
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
  for (const frame of [
    `Content-Length: ${smuggled.length}\r\nConnection: close, content-length\r\n\r\n${smuggled}`,
    `Transfer-Encoding: chunked\r\nConnection: close, transfer-encoding\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
  ])
    expect(await raw(rig.port, `GET / HTTP/1.1\r\nHost: a\r\n${frame}`)).toContain('200 OK');
  expect(rig.seen.map(({ url, body }) => [url, body])).toEqual([
    ['/', smuggled],
    ['/', smuggled],
  ]);
  const both = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
  expect(await raw(rig.port, both)).toContain('400 Bad Request');
});

test('rules of routes: 404 before 402, free ones, methods, and no cheaper spelling of a dear path', async () => {
  const routes = Routes.parse([
    { path: '/health', price: 0 },
    { path: '/files/*', method: 'GET', price: '25' },
    { path: '/open/*', price: '0' },
  ]);
  await using rig = await gatewayRig({ routes });
  const status = async (path: string, method = 'GET') => (await rig.get(path, { method })).status;
  expect([await status('/health'), await status('/open/a%20b?x=1')]).toEqual([200, 200]);
  expect([await status('/'), await status('/files'), await status('/files/a', 'POST')]).toEqual([404, 404, 404]);
  expect([await status('/files/a'), await status('/FILES/a')]).toEqual([402, 402]);
  for (const path of [
    '/open/../files/a',
    '/open/%2e%2e/files/a',
    '/open//files',
    '/open/%2ffiles',
    '/open/a;b',
    '/open/%',
  ])
    expect(await status(path), path).toBe(400);
  expect(rig.seen.map(({ url }) => url)).toEqual(['/health', '/open/a%20b?x=1']);
  expect(rig.gateway.counters).toMatchObject({ free: 2, notFound: 3 });
});

test.each([
  [[{ path: 'x', price: 1 }], /path: expected a path/],
  [[{ path: '/x', price: -1 }], /price: expected drops/],
  [[{ path: '/x', price: 1, per: 'token' }], /per: expected request, byte, event/],
  [[{ path: '/x', price: 1, cost: 2 }], /expected only path/],
  [{}, /expected an array/],
])('a wrong rule is told: %j', (rules, message) => {
  expect(() => Routes.parse(rules)).toThrow(message);
});

test('a client that goes takes its request to the service with it', async () => {
  let begun!: () => void;
  const isBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let ended!: () => void;
  const isEnded = new Promise<void>((resolve) => {
    ended = resolve;
  });
  await using rig = await gatewayRig({
    service: (incoming, response) => {
      response.write('first');
      incoming.socket.on('close', ended);
      begun();
    },
  });
  const { authorization, payer } = await payerOf(rig);
  const outgoing = httpRequest({ port: rig.port, headers: { authorization }, agent: false });
  outgoing.on('error', () => {});
  outgoing.on('response', (incoming) => incoming.on('error', () => {}));
  outgoing.end();
  await isBegun;
  outgoing.destroy();
  await isEnded;
  expect(rig.gateway.counters.clientGone).toBe(1);
  expect(rig.node.spent(payer.channelId)).toBe(25n);
});

test('what a service must not send ends in 502 and a refund, never in a throw', async () => {
  for (const answer of [
    'HTTP/1.1 200 OK\r\nX-Bad: a\0b\r\n\r\n',
    'HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n',
    `HTTP/1.1 200 OK\r\nX-Long: ${'a'.repeat(40_000)}\r\n\r\n`,
    'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'SSH-2.0-OpenSSH\r\n',
    '',
  ]) {
    await using service = await rawService((socket) => socket.end(answer));
    await using rig = await gatewayRig({ upstream: service.url });
    const { authorization, payer } = await payerOf(rig);
    const reply = await rig.get('/', { headers: { authorization } });
    expect([reply.status, rig.node.spent(payer.channelId)], answer.slice(0, 40)).toEqual([502, 0n]);
    expect(rig.gateway.counters).toMatchObject({ upstreamFailed: 1, refunded: 1, failed: 0 });
  }
});

test('a fault of ours is answered 500, logged and counted, and the next request is served', async () => {
  await using rig = await gatewayRig();
  const { authorization, payer } = await payerOf(rig);
  const sound = rig.node.charge.bind(rig.node);
  rig.node.charge = () => {
    throw new TypeError('a fault');
  };
  expect((await rig.get('/', { headers: { authorization } })).status).toBe(500);
  expect([rig.gateway.counters.failed, rig.node.spent(payer.channelId)]).toEqual([1, 0n]);
  rig.node.charge = sound;
  const again = payer.pay(await rig.challenge(), 50n);
  expect((await rig.get('/', { headers: { authorization: again } })).status).toBe(200);
  expect(rig.gateway.counters.failed).toBe(1);
});

test('a silent service is given up, and an answer that breaks off breaks off for the client', async () => {
  {
    await using silent = await rawService(() => {});
    await using rig = await gatewayRig({ upstream: silent.url, upstreamLimits: { silenceMs: 50 } });
    const { authorization, payer } = await payerOf(rig);
    expect((await rig.get('/', { headers: { authorization } })).status).toBe(504);
    expect(rig.node.spent(payer.channelId)).toBe(0n);
  }
  await using cutting = await rawService((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'));
  await using rig = await gatewayRig({ upstream: cutting.url });
  const { authorization, payer } = await payerOf(rig);
  await expect(rig.get('/', { headers: { authorization } })).rejects.toThrow();
  expect(rig.gateway.counters.upstreamCut).toBe(1);
  // Bytes came, so it is not known what they were worth.
  expect(rig.node.spent(payer.channelId)).toBe(25n);
});

test('heads too long, no HTTP, upgrades and tunnels are refused in words', async () => {
  await using rig = await gatewayRig();
  const get = (more: string) => raw(rig.port, `GET / HTTP/1.1\r\nHost: a\r\n${more}\r\n\r\n`);
  expect(await get(`X: ${'a'.repeat(20_000)}`)).toContain('431 ');
  expect(await raw(rig.port, '\x16\x03\x01\r\n\r\n')).toContain('400 ');
  expect(await get('Connection: upgrade\r\nUpgrade: websocket')).toContain('501 Not Implemented');
  expect(await raw(rig.port, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')).toContain('501 Not Implemented');
  expect(rig.gateway.counters).toMatchObject({ badRequests: 2, upgradesRefused: 2, requests: 0 });
  expect(rig.seen).toEqual([]);
});

test('a body is not asked for before it is paid, and an unpaid one has an end', async () => {
  await using rig = await gatewayRig();
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n';
  const refused = await raw(rig.port, `${head}Expect: 100-continue\r\n\r\n`);
  expect(refused).toMatch(/^HTTP\/1.1 402 /);
  expect(refused).not.toContain('100 Continue');
  expect(await raw(rig.port, `${head}\r\nsome`)).toMatch(/^HTTP\/1.1 402 [\s\S]*connection: close/i);
  const { authorization } = await payerOf(rig);
  const paid = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\nExpect: 100-continue\r\nAuthorization: ${authorization}\r\n\r\nbody`;
  expect(await raw(rig.port, paid)).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK[\s\S]*hello body/);
});

test('more requests than it takes are told to come again', async () => {
  const waiting: import('node:http').ServerResponse[] = [];
  await using rig = await gatewayRig({
    routes: Routes.flat(0n),
    limits: { requestsMax: 2 },
    service: (_, response) => void waiting.push(response),
  });
  const under = [rig.get('/'), rig.get('/')];
  while (waiting.length < 2) await new Promise(setImmediate);
  const third = await rig.get('/');
  expect([third.status, third.headers['retry-after']]).toEqual([503, '1']);
  for (const response of waiting) response.end('done');
  expect((await Promise.all(under)).map(({ status }) => status)).toEqual([200, 200]);
  expect(rig.gateway.stats()).toMatchObject({ busy: 1, underWay: 0, drops: '0' });
});

test('big bodies go both ways at the speed of who reads them', async () => {
  await using rig = await gatewayRig({ routes: Routes.flat(0n), service: (_, response, body) => response.end(body) });
  const body = 'x'.repeat(3 << 20);
  expect((await rig.get('/', { method: 'POST', body })).body.length).toBe(body.length);
});

test('a connection that the service has just closed is made anew for what may be sent twice', async () => {
  let requests = 0;
  const server = createServer((_, response) => {
    requests++;
    response.end('fine');
  });
  // The service closes kept connections at once, without telling.
  server.on('connection', (socket) => {
    let heads = 0;
    socket.on('data', () => {
      if (++heads === 2) socket.resetAndDestroy();
    });
  });
  const port = await listening(server);
  await using rig = await gatewayRig({ routes: Routes.flat(0n), upstream: `http://127.0.0.1:${port}` });
  expect([(await ask(rig.port, '/')).status, (await ask(rig.port, '/')).status]).toEqual([200, 200]);
  expect(requests).toBe(2);
  server.closeAllConnections();
  server.close();
});

test('two wrong upstreams are told at the start', async () => {
  for (const upstream of ['ftp://x', 'http://a/?q=1'])
    await expect(gatewayRig({ upstream })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('each refused answer has a challenge', async () => {
  await using rig = await gatewayRig();
  for (const authorization of ['', 'Payment', 'Payment x', 'Claimwire-Session x', 'Bearer x']) {
    const reply = await rig.get('/', { headers: { authorization } });
    expect([reply.status, Object.keys(challengesOf(reply))]).toEqual([402, ['Payment', 'Claimwire-Session']]);
  }
});
