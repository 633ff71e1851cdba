/** The admin interface over real HTTP: what it answers, what it refuses, and that nothing sent to it stops it. */
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ChannelJson } from '../../../src/channel/parse.ts';
import { isAuthorized, loadAdminToken, readToken } from '../../../src/control/token.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { startAdmin } from '../../../src/http/admin.ts';
import { emptyResult, LINE_BYTES_MAX, openLines } from '../../../src/http/bulk.ts';
import { parseLines } from '../../../src/registry/import-lines.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { type FakeAdmin, inPlaceParser, startFakeAdmin } from '../../support/fake-node.ts';

const KEY = '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7';
const ledgerId = (index: number) => index.toString(16).padStart(16, '0').padEnd(64, 'A').toUpperCase();
const opening = (index: number, change: object = {}) => ({
  ledgerChannelId: ledgerId(index),
  publicKey: KEY,
  capacity: '1000',
  ...change,
});

let admin: FakeAdmin;
beforeEach(async () => {
  admin = await startFakeAdmin();
});
afterEach(() => admin.close());

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(admin.url + path, {
    method,
    headers: {
      authorization: `Bearer ${admin.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

const ndjson = { 'content-type': 'application/x-ndjson' };

test('a channel is opened, shown by both ids, changed and closed', async () => {
  const opened = await call('POST', '/channels', opening(7));
  expect(opened.status).toBe(201);
  expect(opened.body).toEqual({
    channelId: '7',
    ledgerChannelId: ledgerId(7),
    publicKey: KEY,
    capacity: '1000',
    committed: '0',
    sequence: 0,
    signature: null,
    profile: 'xrpl',
    state: 'open',
    expiresAt: null,
    throwAway: false,
  });
  expect(await call('POST', '/channels', opening(7))).toMatchObject({ status: 200, body: { channelId: '7' } });
  expect((await call('GET', '/channels/7')).body).toEqual(opened.body);
  expect((await call('GET', `/channels/${ledgerId(7).toLowerCase()}`)).body).toEqual(opened.body);
  const changed = await call('PATCH', '/channels/7', { capacity: '2000', expiresAt: '2030-01-01T00:00:00Z' });
  expect(changed).toMatchObject({ status: 200, body: { capacity: '2000', expiresAt: '2030-01-01T00:00:00Z' } });
  expect(await call('DELETE', '/channels/7')).toMatchObject({ status: 200, body: { state: 'closed' } });
});

test('health, readiness and counters', async () => {
  expect(await call('GET', '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  expect(await call('GET', '/readyz')).toMatchObject({ status: 200, body: { ready: true } });
  expect((await call('GET', '/stats')).body).toMatchObject({ counters: { received: 1 } });
  admin.node.ready = false;
  expect((await call('GET', '/healthz')).status).toBe(200);
  expect(await call('GET', '/readyz')).toMatchObject({ status: 503, body: { ready: false } });
  expect(await call('POST', '/channels', opening(1))).toMatchObject({
    status: 503,
    body: { error: { code: 'NODE_STOPPING' } },
  });
});

test.each([
  ['no path', 'GET', '/nothing', undefined, 404, 'INPUT_INVALID'],
  ['no method', 'PUT', '/channels', {}, 405, 'INPUT_INVALID'],
  ['an unknown channel', 'GET', '/channels/9', undefined, 404, 'CHANNEL_UNKNOWN'],
  ['an unknown ledger id', 'DELETE', `/channels/${ledgerId(3)}`, undefined, 404, 'CHANNEL_UNKNOWN'],
  ['no id', 'GET', '/channels/abc', undefined, 400, 'INPUT_INVALID'],
  ['an id over u64', 'GET', '/channels/18446744073709551616', undefined, 400, 'INPUT_INVALID'],
  ['a bad opening', 'POST', '/channels', opening(1, { capacity: 1 }), 400, 'INPUT_INVALID'],
  ['no JSON', 'POST', '/channels', '{"a":', 400, 'INPUT_INVALID'],
  ['a bad limit', 'GET', '/channels?limit=0', undefined, 400, 'INPUT_INVALID'],
  ['a bad state', 'GET', '/channels?state=shut', undefined, 400, 'INPUT_INVALID'],
  ['a misspelt query', 'GET', '/channels?form=1', undefined, 400, 'INPUT_INVALID'],
])('refuses %s', async (_name, method, path, body, status, code) => {
  const answer = await call(method, path, body);
  expect(answer.status).toBe(status);
  expect(answer.body.error.code).toBe(code);
  expect(answer.body.error.message).toMatch(/expected/);
});

test('conflicts, a full table and faults of ours have their status; a fault tells nothing', async () => {
  await call('POST', '/channels', opening(1));
  expect(await call('POST', '/channels', opening(1, { capacity: '5' }))).toMatchObject({
    status: 409,
    body: { error: { code: 'CHANNEL_EXISTS' } },
  });
  admin.node.failure = new ClaimwireError('TABLE_FULL', 'expected room, got none', { channels: 5 });
  expect(await call('POST', '/channels', opening(2))).toMatchObject({
    status: 503,
    body: { error: { code: 'TABLE_FULL', channels: 5 } },
  });
  admin.node.failure = new Error('secret path /etc');
  const failed = await call('POST', '/channels', opening(2));
  expect(failed).toMatchObject({ status: 500, body: { error: { code: 'NODE_FAILED' } } });
  expect(JSON.stringify(failed.body)).not.toContain('secret');
  admin.node.rows.get(1n)!.committed = 500n;
  expect(await call('PATCH', '/channels/1', { capacity: '499' })).toMatchObject({
    status: 409,
    body: { error: { code: 'CAPACITY_BELOW_COMMITTED' } },
  });
  expect((await call('GET', '/healthz')).status).toBe(200);
});

test('every change needs the token, reading needs none', async () => {
  for (const authorization of [
    '',
    'Bearer',
    'Bearer ',
    `Bearer ${'0'.repeat(64)}`,
    `Basic ${admin.token}`,
    `Bearer ${admin.token}0`,
  ])
    for (const [method, path] of [
      ['POST', '/channels'],
      ['PATCH', '/channels/1'],
      ['DELETE', '/channels/1'],
    ] as const) {
      const answer = await call(method, path, opening(1), { authorization });
      expect(answer).toMatchObject({ status: 401, body: { error: { code: 'UNAUTHORIZED' } } });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  expect(admin.node.rows.size).toBe(0);
  expect((await call('GET', '/channels', undefined, { authorization: '' })).status).toBe(200);
});

test('another host’s name is refused: a web page must not reach the node through its own name', async () => {
  const withHost = (host: string) =>
    new Promise<number>((resolve) => {
      request({ port: admin.server.port, path: '/stats', headers: { host }, setHost: false }, (response) => {
        response.resume();
        resolve(response.statusCode!);
      }).end();
    });
  for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:9394', '[::1]:80', '127.1.2.3'])
    expect(await withHost(host)).toBe(200);
  for (const host of ['example.org', 'localhost.example.org', '127.0.0.1.nip.io', '10.0.0.1', '127.evil', ''])
    expect(await withHost(host), host).toBe(400);
});

test('an array opens what it can and says by position what it cannot', async () => {
  const answer = await call('POST', '/channels', [
    opening(1),
    opening(2, { capacity: 'x' }),
    opening(1),
    opening(1, { capacity: '3' }),
    5,
  ]);
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ opened: 1, unchanged: 1, refusedCount: 3 });
  expect(answer.body.refused.map(({ line, code }: { line: number; code: string }) => `${line} ${code}`)).toEqual([
    '2 INPUT_INVALID',
    '4 CHANNEL_EXISTS',
    '5 INPUT_INVALID',
  ]);
});

test('NDJSON: lines count from 1 over blocks, empty ones too, and a long line costs only itself', async () => {
  const lines = Array.from({ length: 15_000 }, (_, index) => JSON.stringify(opening(index)));
  lines[2] = '';
  lines[5] = 'nonsense';
  lines[9_000] = JSON.stringify(opening(9_000, { capacity: '0' }));
  lines[12_000] = `{"ledgerChannelId":"${'A'.repeat(LINE_BYTES_MAX)}"}`;
  lines[14_999] = JSON.stringify(opening(0, { capacity: '1' }));
  const answer = await call('POST', '/channels', lines.join('\n'), ndjson);
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ opened: 14_995, unchanged: 0, refusedCount: 4 });
  expect(answer.body.refused.map(({ line, code }: { line: number; code: string }) => `${line} ${code}`)).toEqual([
    '6 INPUT_INVALID',
    '9001 INPUT_INVALID',
    '12001 INPUT_INVALID',
    '15000 CHANNEL_EXISTS',
  ]);
  expect(admin.node.rows.size).toBe(14_995);
});

test('NDJSON: one line without end, no line, and only refusals; the list of refusals is bounded', async () => {
  expect((await call('POST', '/channels', JSON.stringify(opening(1)), ndjson)).body).toMatchObject({ opened: 1 });
  expect((await call('POST', '/channels', '', ndjson)).body).toMatchObject({ opened: 0, refusedCount: 0 });
  expect((await call('POST', '/channels', 'A'.repeat(3_000_000), ndjson)).body).toMatchObject({
    opened: 0,
    refusedCount: 1,
  });
  const answer = await call('POST', '/channels', 'x\n'.repeat(500), ndjson);
  expect(answer.body).toMatchObject({ refusedCount: 500, stoppedAt: null });
  expect(answer.body.refused.length).toBe(100);
});

test('NDJSON: after the thousandth refused line none is looked at, and what was opened before stays open', async () => {
  const lines = Array.from({ length: 30_000 }, (_, index) =>
    index % 20 === 19 ? 'x' : JSON.stringify(opening(index)),
  );
  // A line too long to be looked at counts like any other refused one.
  lines[59] = `{"ledgerChannelId":"${'A'.repeat(LINE_BYTES_MAX)}"}`;
  const answer = await call('POST', '/channels', lines.join('\n'), ndjson);
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ opened: 19_000, refusedCount: 1_000, stoppedAt: 20_000 });
  expect(answer.body.refused.map(({ line }: { line: number }) => line)).toEqual(
    Array.from({ length: 100 }, (_, index) => (index + 1) * 20),
  );
  expect([...admin.node.rows.keys()].at(-1)).toBe(19_998n);
});

test('NDJSON: a million bad lines are not looked at one by one, whatever is wrong with them', async () => {
  for (const line of ['x\n', '{}\n', '[[[[[[[[[[[[\n']) {
    let looked = 0;
    const parser = {
      ...inPlaceParser,
      parse: async (block: Uint8Array<ArrayBuffer>) => {
        const parsed = parseLines(block);
        looked += parsed.refused.length;
        return parsed;
      },
    };
    const total = emptyResult();
    const part = line.repeat(10_000);
    async function* source() {
      for (let count = 0; count < 100; count++) yield Buffer.from(part);
    }
    await openLines(source(), admin.node, parser, total);
    expect(total).toMatchObject({ opened: 0, refusedCount: 1_000, stoppedAt: 1_000 });
    // One thousand in each block that was read ahead.
    expect(looked).toBeLessThanOrEqual(5_000);
  }
});

test('NDJSON: refusals of the node count too, and end an import after the block they are in', async () => {
  const lines = (capacity: string) =>
    Array.from({ length: 15_000 }, (_, index) => JSON.stringify(opening(index, { capacity }))).join('\n');
  expect((await call('POST', '/channels', lines('5'), ndjson)).body).toMatchObject({ opened: 15_000, stoppedAt: null });
  const { body } = await call('POST', '/channels', lines('6'), ndjson);
  expect(body.refusedCount).toBeGreaterThanOrEqual(1_000);
  expect(body.refusedCount).toBeLessThan(10_000);
  expect(body).toMatchObject({ opened: 0, stoppedAt: body.refusedCount });
});

test('an array of openings stops after a thousand refused ones as well', async () => {
  const answer = await call('POST', '/channels', [opening(1), ...Array(5_000).fill(0), opening(2)]);
  expect(answer.body).toMatchObject({ opened: 1, refusedCount: 1_000, stoppedAt: 1_001 });
  expect([...admin.node.rows.keys()]).toEqual([1n]);
});

test.each([
  ['arrays', (depth: number) => '['.repeat(depth) + ']'.repeat(depth)],
  ['objects', (depth: number) => `${'{"capacity":'.repeat(depth)}1${'}'.repeat(depth)}`],
  [
    'an opening',
    (depth: number) => JSON.stringify(opening(1)).replace('"1000"', '['.repeat(depth) + ']'.repeat(depth)),
  ],
])('JSON nested deep is refused as what it is, wherever it comes: %s', async (_name, text) => {
  await call('POST', '/channels', opening(2));
  for (const depth of [1_000, 20_000])
    for (const [method, path] of [
      ['POST', '/channels'],
      ['PATCH', '/channels/2'],
    ] as const) {
      const answer = await call(method, path, text(depth));
      expect(answer.status).toBe(400);
      expect(answer.body.error).toMatchObject({
        code: 'INPUT_INVALID',
        message: expect.stringMatching(/nested at most/),
      });
    }
  expect((await call('POST', '/channels', `${text(300)}\n${JSON.stringify(opening(3))}`, ndjson)).body).toMatchObject({
    opened: 1,
    refused: [{ line: 1, code: 'INPUT_INVALID' }],
  });
  // Shallow enough for JSON, of another kind than is expected.
  const answer = await call('POST', '/channels', opening(1, { capacity: [[{}]], profile: { a: 1 } }));
  expect(answer).toMatchObject({
    status: 400,
    body: { error: { message: expect.stringContaining('an object of 1') } },
  });
});

test('NDJSON: when the node fails midway, the answer says how far it went', async () => {
  let calls = 0;
  const openChannels = admin.node.openChannels.bind(admin.node);
  admin.node.openChannels = async (openings) => {
    if (++calls === 2) throw new ClaimwireError('NODE_STOPPING', 'node: expected it to run, got it stopping');
    return openChannels(openings);
  };
  const lines = Array.from({ length: 15_000 }, (_, index) => JSON.stringify(opening(index))).join('\n');
  const answer = await call('POST', '/channels', lines, ndjson);
  expect(answer.status).toBe(503);
  expect(answer.body.error).toMatchObject({ code: 'NODE_STOPPING', opened: admin.node.rows.size });
  expect(admin.node.rows.size).toBeGreaterThan(1000);
});

test('NDJSON: a failure while the client is still sending, and a fault of ours, are answered', {
  timeout: 15_000,
}, async () => {
  const lines = `${JSON.stringify(opening(0))}\n`.repeat(40_000);
  admin.node.failure = new ClaimwireError('TABLE_FULL', 'expected room, got none');
  expect((await call('POST', '/channels', lines, ndjson)).status).toBe(503);
  admin.node.failure = new Error('a fault');
  expect((await call('POST', '/channels', lines, ndjson)).status).toBe(500);
  expect((await call('POST', '/channels', lines, { ...ndjson, authorization: 'Bearer no' })).status).toBe(401);
});

test('the list comes in pages, filtered, or as a stream of all', async () => {
  await call(
    'POST',
    '/channels',
    Array.from({ length: 2500 }, (_, index) => JSON.stringify(opening(index))).join('\n'),
    ndjson,
  );
  for (let id = 0; id < 2500; id += 3) admin.node.rows.get(BigInt(id))!.state = 'closed';
  const seen: string[] = [];
  for (let from: string | null = '0'; from !== null; ) {
    const page = await call('GET', `/channels?from=${from}&limit=700&state=closed`);
    seen.push(...page.body.map(({ channelId }: ChannelJson) => channelId));
    from = page.headers.get('x-next-from');
  }
  expect(seen).toEqual(Array.from({ length: 834 }, (_, index) => String(index * 3)));
  expect((await call('GET', '/channels')).body.length).toBe(100);
  const all = await fetch(`${admin.url}/channels`, { headers: { accept: 'application/x-ndjson' } });
  const lines = (await all.text()).trimEnd().split('\n');
  expect(lines.length).toBe(2500);
  expect(JSON.parse(lines[2499]!)).toMatchObject({ channelId: '2499' });
  const open = await fetch(`${admin.url}/channels?state=open`, { headers: { accept: 'application/x-ndjson' } });
  expect((await open.text()).trimEnd().split('\n').length).toBe(2500 - 834);
});

test('an expired channel is shown as such wherever a row is shown, and listed under that state', async () => {
  // The fake node's clock stands at 2023-11-14T22:13:20Z.
  const [past, now, future] = ['2023-11-14T22:13:19Z', '2023-11-14T22:13:20Z', '2023-11-14T22:13:21Z'];
  for (const [index, expiresAt] of [past, now, future, null].entries())
    await call('POST', '/channels', opening(index, { expiresAt }));
  const statesOf = async (query: string) =>
    (await call('GET', `/channels${query}`)).body.map(({ state }: ChannelJson) => state);
  expect(await statesOf('')).toEqual(['expired', 'expired', 'open', 'open']);
  expect(await statesOf('?state=expired')).toEqual(['expired', 'expired']);
  expect(await statesOf('?state=open')).toEqual(['open', 'open']);
  const stream = await fetch(`${admin.url}/channels?state=expired`, { headers: { accept: 'application/x-ndjson' } });
  expect((await stream.text()).match(/"state":"expired"/g)).toHaveLength(2);
  expect((await call('GET', '/channels/0')).body).toMatchObject({ state: 'expired', expiresAt: past });
  expect((await call('PATCH', '/channels/0', { capacity: '1001' })).body).toMatchObject({ state: 'expired' });
  expect((await call('PATCH', '/channels/0', { expiresAt: future })).body).toMatchObject({ state: 'open' });
  expect((await call('DELETE', '/channels/1')).body).toMatchObject({ state: 'closed' });
});

test('a body too large or of another type is refused without reading it', async () => {
  expect((await call('POST', '/channels', `[${' '.repeat(1 << 20)}]`)).status).toBe(413);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', ''])
    expect((await call('POST', '/channels', '{}', { 'content-type': type })).status).toBe(415);
  expect((await call('PATCH', '/channels/1', '{}', ndjson)).status).toBe(415);
  expect((await call('POST', '/channels', '{}', { 'content-type': 'application/json; charset=utf-8' })).status).toBe(
    400,
  );
});

test('a JSON body that does not say its length is cut off at the same bound', async () => {
  const source = new ReadableStream({
    start(controller) {
      for (let part = 0; part < 20; part++) controller.enqueue(new TextEncoder().encode(' '.repeat(64 << 10)));
      controller.close();
    },
  });
  const headers = { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' };
  const sent = fetch(`${admin.url}/channels`, { method: 'POST', headers, body: source, duplex: 'half' } as RequestInit);
  expect((await sent).status).toBe(413);
});

test('a too long line that arrives in pieces leaves nothing behind, and the next one is whole', async () => {
  const total = emptyResult();
  const long = `{"ledgerChannelId":"${'A'.repeat(3000)}`;
  const pieces = [
    `${JSON.stringify(opening(1))}\n${long}`,
    'A'.repeat(3000),
    `"}\n${JSON.stringify(opening(2)).slice(0, 20)}`,
  ];
  pieces.push(JSON.stringify(opening(2)).slice(20), '\n');
  async function* source() {
    for (const piece of pieces) yield Buffer.from(piece);
  }
  await openLines(source(), admin.node, inPlaceParser, total);
  expect(total).toMatchObject({
    opened: 2,
    refusedCount: 1,
    refused: [{ line: 2, message: expect.stringContaining('4096') }],
  });
});

/** Sends raw bytes, ends or not, and gives what came back before the connection closed or the time was up. */
function raw(bytes: string | Uint8Array, end = true): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(admin.server.port, '127.0.0.1');
    let answer = '';
    socket.setTimeout(1500, () => socket.destroy());
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
    socket.write(bytes);
    if (end) socket.end();
  });
}

test('hostile bytes get an answer or a closed connection, and the next request is served', async () => {
  const post = (headers: string, body = '') =>
    `POST /channels HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${admin.token}\r\n${headers}\r\n\r\n${body}`;
  const attacks: (string | Uint8Array)[] = [
    Uint8Array.from({ length: 5000 }, (_, index) => (index * 197) & 0xff),
    'GET / HTTP/9.9\r\n\r\n',
    'GET /channels\r\n\r\n',
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: localhost\r\n${'X: y\r\n'.repeat(5000)}\r\n`,
    'GET //[ HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET http://[::bad HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /channels/%ff%00 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /stats HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
    post('Content-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 6', '{}'),
    post('Content-Type: application/json\r\nTransfer-Encoding: chunked', 'zz\r\n'),
    post('Content-Type: application/json\r\nContent-Length: 99999999999', '{}'),
    post('Content-Type: application/x-ndjson\r\nContent-Length: 500000', '{"ledger'),
    post('Content-Type: application/json\r\nContent-Length: 100000', '['.repeat(100_000)),
    post('Content-Type: application/json\r\nContent-Length: 28', '{"__proto__":{"capacity":1}}'),
  ];
  for (const attack of attacks) {
    await raw(attack);
    expect((await call('GET', '/healthz')).status).toBe(200);
  }
  expect(admin.node.rows.size).toBe(0);
});

test('a refusal reaches a client that sends all of a large body before it looks', async () => {
  const body = 'x'.repeat(8 << 20);
  const answer = await raw(
    `POST /channels HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  expect(answer).toMatch(/^HTTP\/1.1 401 /);
});

test('a reader who leaves in the middle of the stream, and one who stops reading, harm nobody', async () => {
  await call(
    'POST',
    '/channels',
    Array.from({ length: 20_000 }, (_, index) => JSON.stringify(opening(index))).join('\n'),
    ndjson,
  );
  const started = await fetch(`${admin.url}/channels`, { headers: { accept: 'application/x-ndjson' } });
  await started.body!.cancel();
  const socket = connect(admin.server.port, '127.0.0.1');
  socket.write('GET /channels HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n');
  socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect((await call('GET', '/channels?limit=1')).body.length).toBe(1);
  socket.destroy();
});

test('connections are bounded', async () => {
  const sockets = Array.from({ length: 90 }, () => connect(admin.server.port, '127.0.0.1').on('error', () => {}));
  let closed = 0;
  for (const socket of sockets) socket.on('close', () => closed++);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(closed).toBeGreaterThanOrEqual(26);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await call('GET', '/healthz')).status).toBe(200);
});

test('an address in use or not ours is a coded error', async () => {
  const { token, node: control, meter, inspect, exposition, sampler } = admin;
  const options = { token, control, meter, inspect, exposition, sampler, parser: inPlaceParser };
  const invalid = expect.objectContaining({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('expected an address'),
  });
  await expect(startAdmin({ ...options, host: '127.0.0.1', port: admin.server.port })).rejects.toThrow(invalid);
  await expect(startAdmin({ ...options, host: '203.0.113.7', port: 0 })).rejects.toThrow(invalid);
});

test('the token is made once, with mode 0600 whatever the umask, and read back', () => {
  const path = join(admin.folder, 'admin-token');
  expect(admin.token).toMatch(/^[0-9a-f]{64}$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(loadAdminToken(admin.folder, nodeSystem)).toBe(admin.token);
  expect(readFileSync(path, 'utf8')).toBe(`${admin.token}\n`);
  for (const mode of [0o644, 0o640, 0o604]) {
    chmodSync(path, mode);
    expect(() => loadAdminToken(admin.folder, nodeSystem)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('mode 600') }),
    );
  }
  chmodSync(path, 0o600);
  for (const content of ['', 'short', `${admin.token}0`, admin.token.toUpperCase().replace('0', 'G')]) {
    writeFileSync(path, content);
    expect(() => loadAdminToken(admin.folder, nodeSystem)).toThrow(
      expect.objectContaining({ message: expect.stringContaining('64 hex digits') }),
    );
  }
  const missing = join(admin.folder, 'nothing');
  expect(() => readToken(missing)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('ENOENT') }),
  );
  expect(() => loadAdminToken(missing, nodeSystem)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});

test('an empty token is never right', () => {
  expect(isAuthorized(undefined, '')).toBe(false);
  expect(isAuthorized('Bearer ', '')).toBe(false);
  expect(isAuthorized('bearer abc', 'abc')).toBe(true);
});

test('a channel that another node of the cluster holds is answered 421 with the name of the holder', async () => {
  admin.node.elsewhere.add(9n);
  const moved = { status: 421, body: { error: { code: 'MOVED', node: 'two', version: '7' } } };
  expect(await call('GET', '/channels/9')).toMatchObject(moved);
  expect(await call('DELETE', '/channels/9')).toMatchObject(moved);
  const { body } = await call('POST', '/channels', [opening(8), opening(9)]);
  expect(body).toMatchObject({ opened: 1, refused: [{ line: 2, code: 'MOVED' }] });
});
