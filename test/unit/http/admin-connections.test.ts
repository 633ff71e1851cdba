/** The admin server's connections: one request at a time, listings in pieces, deadlines, and the operator's places. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeAdmin, inPlaceParser, startFakeAdmin } from '../../support/fake-node.ts';
import { RawHttp, until } from '../../support/raw-http.ts';

const KEY = '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7';
const HOST = 'Host: localhost\r\n';
const LIST = `GET /channels?limit=10000 HTTP/1.1\r\n${HOST}\r\n`;
const HEALTH = `GET /healthz HTTP/1.1\r\n${HOST}\r\n`;

// Most of them wait for some megabytes, which a busy machine moves slowly.
vi.setConfig({ testTimeout: 120_000 });

let admin: FakeAdmin;
let clients: RawHttp[] = [];
beforeEach(async () => {
  admin = await startFakeAdmin();
});
afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  clients = [];
  await admin.close();
});

function client(bytes = ''): RawHttp {
  const made = new RawHttp(admin.server.port, bytes);
  clients.push(made);
  return made;
}
const withToken = (request: string) => request.replace(HOST, `${HOST}Authorization: Bearer ${admin.token}\r\n`);

/** Channels with handles 0.., and how many listings began and rows were read since. */
function channels(count: number) {
  for (let id = 0; id < count; id++)
    admin.node.rows.set(BigInt(id), {
      channelId: BigInt(id),
      ledgerChannelId: new Uint8Array(32),
      publicKey: new Uint8Array(Buffer.from(KEY, 'hex')),
      capacity: 5n,
      profile: 'xrpl',
      expiresAt: 0,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      state: 'open',
    });
  const seen = { listings: 0, rows: 0 };
  const rows = [...admin.node.rows.values()];
  admin.node.channels = (from, limit) => {
    if (from === 0) seen.listings++;
    const page = rows.slice(from, from + limit);
    seen.rows += page.length;
    return page;
  };
  return seen;
}

/** So many round trips, each on a connection of its own: whatever the server does meanwhile, it has had its turns. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++)
    expect((await fetch(`${admin.url}/healthz`, { headers: { connection: 'close' } })).status).toBe(200);
}

test('pipelined listings run one at a time, and none ahead of its reader', async () => {
  const seen = channels(20_000);
  const attacker = client(LIST.repeat(300));
  attacker.socket.pause();
  await until(() => seen.listings >= 1);
  await turns(50);
  expect(seen.listings).toBe(1);
});

test('pipelined requests are answered one after the other, in order', async () => {
  channels(300);
  const requests = Array.from({ length: 200 }, (_, id) => `GET /channels/${id} HTTP/1.1\r\n${HOST}\r\n`);
  const many = client(`${requests.join('')}GET /channels?limit=300 HTTP/1.1\r\n${HOST}\r\n${HEALTH}`);
  expect((await many.answers(202)).every((status) => status === 200)).toBe(true);
  const ids = [...many.text.matchAll(/^\{"channelId":"(\d+)"/gm)].map((match) => Number(match[1]));
  expect(ids).toEqual(Array.from({ length: 200 }, (_, id) => id));
  await until(() => many.text.endsWith('{"status":"ok"}\n'));
});

test('a listing ends with its client', async () => {
  const seen = channels(100_000);
  const attacker = client(LIST.replace('?limit=10000', '').replace(HOST, `${HOST}Accept: application/x-ndjson\r\n`));
  await until(() => attacker.text.length > 0);
  attacker.socket.destroy();
  await attacker.closed;
  await turns(20);
  const { rows } = seen;
  await turns(20);
  expect(seen.rows).toBe(rows);
  expect(rows).toBeLessThan(90_000);
});

test('a bounded number of listings is under way; more are told to come again, the token’s holder is served', async () => {
  await admin.close();
  // Who reads nothing for so long on a busy machine would be closed, and another test looks at that.
  admin = await startFakeAdmin(inPlaceParser, { progressMs: 600_000 });
  const seen = channels(20_000);
  const readers = Array.from({ length: 16 }, () => client(LIST));
  for (const { socket } of readers) socket.pause();
  await until(() => seen.listings === 16);
  const late = client(LIST);
  expect(await late.answers(1)).toEqual([503]);
  expect(late.text).toMatch(/^retry-after: 1\r$/im);
  expect(late.text).toContain('NODE_BUSY');
  const operator = client(withToken(LIST));
  expect(await operator.answers(1)).toEqual([200]);
  await until(() => operator.text.endsWith(']\n\r\n0\r\n\r\n'));
  // Their places are free again once they read or go.
  readers[0]!.socket.resume();
  await until(() => readers[0]!.text.endsWith(']\n\r\n0\r\n\r\n'));
  expect(await client(LIST).answers(1)).toEqual([200]);
});

test('a body nobody reads is refused, and the connection closed', async () => {
  const chunked = 'Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n';
  for (const request of [
    `GET /healthz HTTP/1.1\r\n${HOST}${chunked}`,
    `GET /channels HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\n`,
    withToken(`DELETE /channels/1 HTTP/1.1\r\n${HOST}${chunked}`),
  ]) {
    const attacker = client(request);
    expect(await attacker.answers(1)).toEqual([400]);
    expect(attacker.text).toMatch(/^connection: close\r$/im);
    expect(attacker.text).toContain('expected none with');
    await attacker.closed;
  }
});

test('endless bodies, heads without end and silence on every connection keep nobody out', async () => {
  channels(10);
  const starts = [
    `GET /healthz HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n`,
    `GET /healthz HTTP/1.1\r\n${HOST}`,
    'X',
    '',
  ];
  for (let index = 0; index < 256; index++) await client(starts[index % 4]).connected();
  const operator = client();
  for (let round = 0; round < 3; round++) {
    const body = `{"ledgerChannelId":"${String(round + 1).padEnd(64, '1')}","publicKey":"${KEY}","capacity":"5"}`;
    operator.socket.write(
      withToken(`POST /channels HTTP/1.1\r\n${HOST}Content-Type: application/json\r\n`) +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    await operator.answers(round + 1);
    // A connection that presented the token keeps its place whoever comes after it.
    for (let index = 0; index < 100; index++) await client(starts[index % 4]).connected();
    await turns(1);
  }
  expect(operator.statuses).toEqual([201, 201, 201]);
  expect(operator.isClosed).toBe(false);
  const { http } = (await (await fetch(`${admin.url}/stats`)).json()) as { http: Record<string, number> };
  expect(http.connections).toBeLessThanOrEqual(66);
  expect(http.evicted).toBeGreaterThanOrEqual(100);
});

test('who is slow at a head, a body, an answer or the end is closed; who goes on is not', async () => {
  await admin.close();
  const limits = { headMs: 500, idleMs: 500, progressMs: 500, progressBytes: 1_000, lingerMs: 200 };
  admin = await startFakeAdmin(inPlaceParser, limits);
  channels(20_000);
  const upload = withToken(
    `POST /channels HTTP/1.1\r\n${HOST}Content-Type: application/x-ndjson\r\nContent-Length: 100000\r\n\r\n`,
  );
  const head = client('GET /healthz HTTP/1.1\r\nX: ');
  const silent = client();
  const kept = client(HEALTH);
  const stalled = client(`${upload}\n\n`);
  const unread = client(LIST);
  unread.socket.pause();
  const unending = client(HEALTH.replace(HOST, `${HOST}Connection: close\r\n`));
  unending.socket.removeAllListeners('end');
  const steady = client(upload);
  const pieces = setInterval(() => steady.socket.write('\n'.repeat(1_000)), 50);
  await Promise.all([head, silent, kept, stalled].map(({ closed }) => closed));
  expect(head.statuses).toEqual([408]);
  expect([...silent.statuses, ...kept.statuses, ...stalled.statuses, ...unending.statuses]).toEqual([200, 200]);
  const stats = async () => ((await (await fetch(`${admin.url}/stats`)).json()) as { http: { late: number } }).http;
  while ((await stats()).late < 6) await turns(1);
  unread.socket.resume();
  await unread.closed;
  expect(unread.text.length).toBeLessThan(5_000_000);
  await steady.answers(1);
  clearInterval(pieces);
  expect(steady.statuses).toEqual([200]);
});

test.each([
  ['HEAD of a listing', `HEAD /channels HTTP/1.1\r\n${HOST}\r\n`, [405]],
  ['HTTP/1.0', `GET /channels/1 HTTP/1.0\r\n${HOST}\r\n`, [200]],
  ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n', [400]],
  ['CONNECT', `CONNECT a:1 HTTP/1.1\r\n${HOST}\r\n`, [405]],
  ['Upgrade', `GET /healthz HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, [200]],
  ['another expectation', `GET /healthz HTTP/1.1\r\n${HOST}Expect: wonders\r\n\r\n`, [417]],
  ['a huge head', `GET /healthz HTTP/1.1\r\n${HOST}X: ${'x'.repeat(20_000)}\r\n\r\n`, [431]],
  ['no HTTP behind a request', `${HEALTH}nonsense\r\n\r\n`, [200, 400]],
  ['no HTTP', '\0\0\0\0', [400]],
])('what is odd is answered too: %s', async (_name, request, statuses) => {
  channels(10);
  const odd = client(request);
  await odd.answers(statuses.length);
  expect(odd.statuses).toEqual(statuses);
  await turns(1);
});

test('who asks and closes its side still gets all its answers', async () => {
  channels(20_000);
  const half = client(LIST + HEALTH);
  half.socket.end();
  await half.closed;
  expect(half.statuses).toEqual([200, 200]);
  expect(half.text.endsWith('{"status":"ok"}\n')).toBe(true);
});

test('100-continue is said to the token’s holder only', async () => {
  const body = `{"ledgerChannelId":"${'1'.repeat(64)}","publicKey":"${KEY}","capacity":"5"}`;
  const request = `POST /channels HTTP/1.1\r\n${HOST}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`;
  const stranger = client(request);
  expect(await stranger.answers(1)).toEqual([401]);
  const operator = client(withToken(request));
  expect(await operator.answers(1)).toEqual([100]);
  operator.socket.write(body);
  expect(await operator.answers(2)).toEqual([100, 201]);
});

test('a body cut off in the middle frees its place; what it opened stays', async () => {
  const line = (id: number) =>
    `{"ledgerChannelId":"${String(id).padStart(64, '0')}","publicKey":"${KEY}","capacity":"5"}\n`;
  for (let round = 0; round < 20; round++) {
    const cut = client(
      withToken(`POST /channels HTTP/1.1\r\n${HOST}Content-Type: application/x-ndjson\r\n`) +
        `Content-Length: 1000000\r\n\r\n${line(1)}`,
    );
    await cut.connected();
    if (round % 2 === 0) cut.socket.destroy();
    else cut.socket.end();
    await cut.closed;
  }
  const whole = client(
    withToken(`POST /channels HTTP/1.1\r\n${HOST}Content-Type: application/x-ndjson\r\n`) +
      `Content-Length: ${line(2).length}\r\n\r\n${line(2)}`,
  );
  expect(await whole.answers(1)).toEqual([200]);
});

test('bytes that are no HTTP, and a head that is too long, are answered, counted as malformed, and end the connection', async () => {
  const junk = client('NONSENSE\r\n\r\n');
  const long = client(`GET /healthz HTTP/1.1\r\n${HOST}X-Long: ${'a'.repeat(20_000)}\r\n\r\n`);
  await Promise.all([junk.closed, long.closed]);
  expect([junk.statuses, long.statuses]).toEqual([[400], [431]]);
  const stats = (await (await fetch(`${admin.url}/stats`)).json()) as { http: Record<string, number> };
  expect(stats.http.malformed).toBe(2);
});
