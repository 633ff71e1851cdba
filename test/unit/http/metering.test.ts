/** Charging, waiting and submitting over HTTP: answers, refusals, and clients that wait too many, too long or not at all. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import type { Channel } from '../../../src/channel/row.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { RawHttp, until } from '../../support/raw-http.ts';

const ROW: Omit<Channel, 'channelId'> = {
  ledgerChannelId: new Uint8Array(32),
  publicKey: new Uint8Array(33),
  capacity: 1_000_000n,
  committed: 0n,
  sequence: 0,
  timestampBits: 0n,
  signature: new Uint8Array(64),
  profile: 'xrpl',
  state: 'open',
  expiresAt: 0,
};

let admin: FakeAdmin;
let clients: RawHttp[] = [];
let token = '';
beforeEach(async () => {
  admin = await startFakeAdmin();
  for (let id = 0n; id < 10n; id++) admin.node.rows.set(id, { ...ROW, channelId: id });
  token = admin.tokenOf('charge');
});
afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  clients = [];
  await admin.close();
});

interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers have many forms.
  body: any;
}

async function call(method: string, path: string, body?: object | string, headers: object = {}): Promise<Answer> {
  const response = await fetch(admin.url + path, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body:
      body === undefined
        ? null
        : typeof body === 'string' || body instanceof Uint8Array
          ? (body as string)
          : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}
const charge = (body: object) => call('POST', '/charge', body);

function client(bytes: string): RawHttp {
  const made = new RawHttp(admin.server.port, bytes);
  clients.push(made);
  return made;
}
const waiting = (id: number, bearer = token) =>
  `GET /channels/${id}/wait?amount=100&timeout=60s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bearer}\r\n\r\n`;
async function stats(): Promise<Record<string, number>> {
  return ((await (await fetch(`${admin.url}/stats`)).json()) as { http: Record<string, number> }).http;
}

test('a charge is made, repeated by its key, refunded, and refused with what is missing', async () => {
  admin.meter.commit([1n, 100n]);
  const made = { channelId: '1', drops: '60', spent: '60', committed: '100', repeated: false };
  expect(await charge({ channelId: '1', drops: '60', key: 'a' })).toMatchObject({ status: 200, body: made });
  expect((await charge({ channelId: '1', drops: '60', key: 'a' })).body).toEqual({ ...made, repeated: true });
  expect(await charge({ channelId: '1', drops: '61', key: 'a' })).toMatchObject({
    status: 409,
    body: { error: { code: 'CHARGE_CONFLICT' } },
  });
  expect(await charge({ channelId: '1', drops: '41' })).toMatchObject({
    status: 402,
    body: {
      error: { code: 'PAYMENT_REQUIRED', channelId: '1', drops: '41', spent: '60', committed: '100', missing: '1' },
    },
  });
  expect((await charge({ channelId: '1', drops: '-25' })).body).toMatchObject({ drops: '-25', spent: '35' });
  expect(await charge({ channelId: '1', drops: '-36' })).toMatchObject({ status: 400 });
});

test.each([
  ['no channel', { drops: '1' }, 400, 'INPUT_INVALID'],
  ['an unknown channel', { channelId: '99', drops: '1' }, 404, 'CHANNEL_UNKNOWN'],
  ['a number', { channelId: '1', drops: 1 }, 400, 'INPUT_INVALID'],
  ['nothing', { channelId: '1', drops: '0' }, 400, 'INPUT_INVALID'],
  ['minus nothing', { channelId: '1', drops: '-0' }, 400, 'INPUT_INVALID'],
  ['more than 64 bits', { channelId: '1', drops: '18446744073709551616' }, 400, 'INPUT_INVALID'],
  ['an empty key', { channelId: '1', drops: '1', key: '' }, 400, 'INPUT_INVALID'],
  ['a long key', { channelId: '1', drops: '1', key: 'k'.repeat(65) }, 400, 'INPUT_INVALID'],
  ['a stranger', { channelId: '1', drops: '1', keys: 'k' }, 400, 'INPUT_INVALID'],
  ['a wait without a unit', { channelId: '1', drops: '1', wait: '30' }, 400, 'INPUT_INVALID'],
  ['a wait of an hour', { channelId: '1', drops: '1', wait: '60m' }, 400, 'INPUT_INVALID'],
  ['an array', [], 400, 'INPUT_INVALID'],
])('a charge of %s is refused', async (_name, body, status, code) => {
  expect(await charge(body)).toMatchObject({
    status,
    body: { error: { code, message: expect.stringContaining('expected') } },
  });
});

test('a charge waits for claims as long as it was told to, then says what is missing', async () => {
  const paid = charge({ channelId: '1', drops: '60', wait: '20s' });
  await until(() => admin.meter.waiters.size === 1);
  admin.meter.commit([1n, 60n]);
  expect(await paid).toMatchObject({ status: 200, body: { spent: '60', committed: '60' } });
  expect(await charge({ channelId: '1', drops: '5', wait: '20ms' })).toMatchObject({
    status: 402,
    body: { error: { code: 'PAYMENT_REQUIRED', missing: '5' } },
  });
  expect(admin.meter.waiters.size).toBe(0);
});

test('many charges have a result each, in their order, and are bounded', async () => {
  admin.meter.commit([1n, 3n]);
  const charges = [1, 1, 1, 1].map(() => ({ channelId: '1', drops: '1' }));
  const { status, body } = await call('POST', '/charges', {
    charges: [...charges, { channelId: '77', drops: '1' }, 5],
  });
  expect(status).toBe(200);
  expect(body.results.slice(0, 3).map(({ spent }: { spent: string }) => spent)).toEqual(['1', '2', '3']);
  expect(body.results.slice(3).map(({ error }: { error: { code: string } }) => error.code)).toEqual([
    'PAYMENT_REQUIRED',
    'CHANNEL_UNKNOWN',
    'INPUT_INVALID',
  ]);
  const tooMany = { charges: Array.from({ length: 5_001 }, () => ({ channelId: '1', drops: '1' })) };
  for (const wrong of [{ charges: [] }, { charges: 1 }, {}, tooMany])
    expect(await call('POST', '/charges', wrong)).toMatchObject({ status: 400 });
});

test('each route asks for its scope, and a token for some channels does nothing on others', async () => {
  const read = admin.tokenOf('read');
  const some = admin.tokenOf('charge', [1n]);
  const routes = [
    ['POST', '/charge', { channelId: '2', drops: '1' }, 'charge'],
    ['POST', '/charges', { charges: [{ channelId: '2', drops: '1' }] }, 'charge'],
    ['GET', '/channels/2/wait?amount=0', undefined, 'read'],
    ['GET', '/events?channels=2', undefined, 'read'],
  ] as const;
  for (const [method, path, body, scope] of routes) {
    token = '0'.repeat(64);
    const unknown = await call(method, path, body);
    expect(unknown, path).toMatchObject({ status: 401, body: { error: { code: 'UNAUTHORIZED', expected: scope } } });
    expect(unknown.headers.get('www-authenticate')).toBe('Bearer');
    if (scope === 'charge') {
      token = read;
      const wrong = await call(method, path, body);
      expect(wrong, path).toMatchObject({ status: 403, body: { error: { code: 'FORBIDDEN', expected: 'charge' } } });
    }
    token = some;
    const other = await call(method, path, body);
    if (path === '/charges') expect(other.body.results).toMatchObject([{ error: { code: 'FORBIDDEN' } }]);
    else expect(other, path).toMatchObject({ status: 403, body: { error: { code: 'FORBIDDEN', channelId: '2' } } });
  }
  admin.meter.commit([1n, 1n]);
  expect(await charge({ channelId: '1', drops: '1' })).toMatchObject({ status: 200 });
  token = admin.token;
  expect(await charge({ channelId: '1', drops: '-1' })).toMatchObject({ status: 200 });
});

test('a long poll answers when the amount is there, at once where it is already, and with nothing when it is late', async () => {
  const wait = call('GET', '/channels/1/wait?amount=100&timeout=20s');
  await until(() => admin.meter.waiters.size === 1);
  admin.meter.commit([1n, 99n]);
  admin.meter.commit([1n, 120n]);
  expect(await wait).toMatchObject({ status: 200, body: { channelId: '1', committed: '120' } });
  expect((await call('GET', '/channels/1/wait?amount=120')).body).toEqual({ channelId: '1', committed: '120' });
  expect(await call('GET', '/channels/1/wait?amount=121&timeout=20ms')).toMatchObject({ status: 204, body: undefined });
  for (const wrong of ['', '?amount=x', '?amount=1&timeout=0s', '?amount=1&timeout=61s', '?amount=1&key=2'])
    expect(await call('GET', `/channels/1/wait${wrong}`), wrong).toMatchObject({ status: 400 });
  expect(await call('GET', '/channels/99/wait?amount=1')).toMatchObject({ status: 404 });
});

test('who leaves ends its wait, whether it resets or only closes its side; who pipelines gets one answer after the other', async () => {
  const [reset, half] = [client(waiting(1)), client(waiting(2))];
  await until(() => admin.meter.waiters.size === 2);
  expect((await stats()).held).toBe(2);
  reset.socket.resetAndDestroy();
  half.socket.end();
  await until(() => admin.meter.waiters.size === 0);
  await half.closed;
  expect(half.text).toBe('');
  expect((await stats()).held).toBe(0);
  const pipelined = client(waiting(3).repeat(50));
  await until(() => admin.meter.waiters.size === 1);
  await stats();
  expect(admin.meter.waiters.size).toBe(1);
  admin.meter.commit([3n, 100n]);
  expect(await pipelined.answers(50)).toEqual(Array.from({ length: 50 }, () => 200));
});

test('a thousand pollers: a bounded number waits, the others are told to come again, and the operator is served', async () => {
  for (let index = 0; index < 300; index++) client(waiting(index % 10));
  for (let index = 0; index < 50; index++) client(waiting(index % 10, admin.token));
  await until(
    () => clients.every(({ isClosed, statuses }) => isClosed || statuses.length > 0) || admin.meter.waiters.size >= 192,
  );
  for (let index = 0; index < 650; index++) await client(waiting(index % 10)).connected();
  expect(admin.meter.waiters.size).toBeLessThanOrEqual(192);
  expect(await call('DELETE', '/channels/9', undefined, { authorization: `Bearer ${admin.token}` })).toMatchObject({
    status: 200,
  });
  const { held, connections, busy } = await stats();
  expect(held).toBeLessThanOrEqual(192);
  expect(busy).toBeGreaterThan(0);
  expect(connections).toBeLessThanOrEqual(64 + 64 + 256 + 1);
  for (const { socket } of clients) socket.destroy();
  await until(() => admin.meter.waiters.size === 0);
});

test('the operator’s own long polls leave it places for other requests', async () => {
  const polls = Array.from({ length: 40 }, (_, index) => client(waiting(index % 10, admin.token)));
  await until(() => polls.filter(({ statuses }) => statuses.length > 0).length === 8);
  expect(polls.flatMap(({ statuses }) => statuses)).toEqual(Array.from({ length: 8 }, () => 503));
  expect(admin.meter.waiters.size).toBe(32);
});

test('requests with many charges are bounded while they are under way', async () => {
  const { charge: real } = admin.meter;
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  admin.meter.commit([1n, 100n]);
  admin.meter.charge = async (...args) => {
    await gate;
    return real.apply(admin.meter, args);
  };
  const many = Array.from({ length: 9 }, () => call('POST', '/charges', { charges: [{ channelId: '1', drops: '1' }] }));
  const refused = await Promise.race(many);
  expect(refused).toMatchObject({ status: 503, body: { error: { code: 'NODE_BUSY' } } });
  go();
  expect((await Promise.all(many)).map(({ status }) => status).sort()).toEqual([...Array(8).fill(200), 503]);
});

test('a fault at one of many charges is answered, and is no rejection that nobody handles', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  const others = process.rawListeners('unhandledRejection') as ((reason: unknown) => void)[];
  process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
  admin.meter.charge = () => Promise.reject(new Error('broken'));
  const charges = Array.from({ length: 300 }, () => ({ channelId: '1', drops: '1' }));
  expect(await call('POST', '/charges', { charges })).toMatchObject({ status: 500 });
  process.removeAllListeners('unhandledRejection');
  for (const other of others) process.on('unhandledRejection', other);
  expect(unhandled).toEqual([]);
});

test('a node that stops ends what waits at once, and says so', async () => {
  const waits = [client(waiting(1)), client(waiting(2))];
  await until(() => admin.meter.waiters.size === 2);
  await admin.server.close();
  for (const each of waits) {
    await each.closed;
    expect(each.text).toContain('NODE_STOPPING');
  }
  expect(admin.meter.waiters.size).toBe(0);
});

test('a busy meter is 503 with a time to come again', async () => {
  admin.meter.waitersMax = 0;
  const busy = await call('GET', '/channels/1/wait?amount=1');
  expect(busy).toMatchObject({ status: 503, body: { error: { code: 'NODE_BUSY' } } });
  expect(busy.headers.get('retry-after')).toBe('1');
  admin.meter.charge = () => Promise.reject(new ClaimwireError('REGISTRY_FULL', 'expected room, got none'));
  expect(await charge({ channelId: '1', drops: '1' })).toMatchObject({ status: 507 });
});

test('a claim needs no token: as bytes, in hex or in base64', async () => {
  token = '';
  const claim = (amount: bigint, channelId = 1n) =>
    claimBytes({ channelId, sequence: 1, amount, signature: new Uint8Array(64), timestamp: 0 });
  const bytes = (body: Uint8Array) => call('POST', '/claims', body, { 'content-type': 'application/octet-stream' });
  const json = (text: unknown) => call('POST', '/claims', { claim: text });
  expect(await bytes(claim(5n))).toMatchObject({ status: 200, body: { status: 'COMMITTED', committed: '5' } });
  expect((await json(Buffer.from(claim(6n)).toString('hex'))).body).toEqual({ status: 'COMMITTED', committed: '6' });
  expect((await json(Buffer.from(claim(7n)).toString('base64'))).body).toEqual({ status: 'COMMITTED', committed: '7' });
  expect((await bytes(claim(3n))).body).toEqual({ status: 'ALREADY', committed: '7' });
  expect((await bytes(claim(3n, 99n))).body).toEqual({ status: 'UNKNOWN_CHANNEL', committed: '0' });
  expect(await bytes(claim(9n).subarray(1))).toMatchObject({ status: 400 });
  expect(await bytes(new Uint8Array(93))).toMatchObject({ status: 400 });
  expect(await bytes(new Uint8Array(600))).toMatchObject({ status: 413 });
  for (const wrong of [5, '', 'x'.repeat(186), Buffer.from(claim(9n)).toString('hex').slice(2)])
    expect(await json(wrong)).toMatchObject({ status: 400 });
  expect(await call('POST', '/claims', 'x', { 'content-type': 'text/plain' })).toMatchObject({ status: 415 });
  expect(admin.node.rows.get(1n)!.committed).toBe(7n);
});
