/** Committed amounts as server-sent events: what is told, to whom, and readers that are slow, many or gone. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listTokens, revokeToken } from '../../../src/control/scoped-tokens.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { RawHttp, until } from '../../support/raw-http.ts';

let admin: FakeAdmin;
let token = '';
let clients: RawHttp[] = [];

async function start(more: { heartbeatMs?: number } = {}): Promise<void> {
  admin = await startFakeAdmin(undefined, {}, more);
  token = admin.tokenOf('read');
  rows(1, 10);
}
beforeEach(() => start());
afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  clients = [];
  await admin.close();
});

function rows(first: number, last: number): void {
  for (let id = first; id <= last; id++)
    admin.node.rows.set(BigInt(id), {
      channelId: BigInt(id),
      ledgerChannelId: new Uint8Array(32),
      publicKey: new Uint8Array(33),
      capacity: 1_000_000n,
      profile: 'xrpl',
      expiresAt: 0,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      state: 'open',
    });
}

function client(bytes: string): RawHttp {
  const made = new RawHttp(admin.server.port, bytes);
  clients.push(made);
  return made;
}
const request = (query = '', bearer = token) =>
  `GET /events${query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bearer}\r\n\r\n`;

/** A reader that the node already listens for. */
async function listening(query = '', bearer = token): Promise<RawHttp> {
  const made = client(request(query, bearer));
  await made.answers(1);
  return made;
}

/** The newest amount that a reader was told of each channel, and how many changes it was told. */
function told({ text }: RawHttp): { amounts: Map<string, string>; changes: number } {
  const changes = [...text.matchAll(/\{"channelId":"(\d+)","committed":"(\d+)"\}/g)];
  return { amounts: new Map(changes.map(([, id, amount]) => [id!, amount!])), changes: changes.length };
}

async function stats(): Promise<Record<string, number>> {
  return ((await (await fetch(`${admin.url}/stats`)).json()) as { http: Record<string, number> }).http;
}

test('batches come as events, and nobody is listened for once the last reader is gone', async () => {
  const reader = await listening();
  expect(reader.text).toContain('content-type: text/event-stream');
  admin.meter.commit([1n, 5n], [2n, 7n]);
  await until(() => told(reader).changes === 2);
  expect(reader.text).toContain(
    'event: committed\ndata: [{"channelId":"1","committed":"5"},{"channelId":"2","committed":"7"}]\n\n',
  );
  admin.meter.commit([1n, 6n]);
  await until(() => told(reader).amounts.get('1') === '6');
  expect(admin.meter.listeners.size).toBe(1);
  reader.socket.end();
  await until(() => admin.meter.listeners.size === 0);
  expect((await stats()).held).toBe(0);
});

test('a reader is told of the channels that it names, or that its token is for', async () => {
  const limited = admin.tokenOf('read', [3n]);
  const [named, bound] = [await listening('?channels=1,2'), await listening('', limited)];
  admin.meter.commit([1n, 1n], [3n, 3n], [4n, 4n]);
  admin.meter.commit([2n, 2n]);
  await until(() => told(named).changes === 2 && told(bound).changes === 1);
  expect([...told(named).amounts.keys()]).toEqual(['1', '2']);
  expect([...told(bound).amounts.keys()]).toEqual(['3']);
  for (const [query, status] of [
    ['?channels=99', 404],
    ['?channels=', 400],
    ['?channels=x', 400],
    ['?snapshot=yes', 400],
    ['?chanels=1', 400],
    [`?channels=${Array.from({ length: 257 }, () => 1).join(',')}`, 400],
  ] as const)
    expect(await client(request(query)).answers(1), query).toEqual([status]);
});

test('a snapshot tells of everything first, and says where it ends', async () => {
  rows(11, 1_000);
  for (const [id, row] of admin.node.rows) row.committed = id % 2n;
  const reader = await listening('?snapshot=1');
  await until(() => reader.text.includes('event: snapshot\ndata: {}\n\n'));
  expect(told(reader).changes).toBe(500);
  const named = await listening('?snapshot=1&channels=2,3');
  await until(() => named.text.includes('event: snapshot'));
  expect([...told(named).amounts]).toEqual([
    ['2', '0'],
    ['3', '1'],
  ]);
});

test('a node that cannot read its table ends the stream, and nothing else', async () => {
  admin.node.channels = () => {
    throw new Error('a fault of the table');
  };
  const reader = await listening('?snapshot=1');
  await reader.closed;
  await until(() => admin.meter.listeners.size === 0);
  expect((await stats()).held).toBe(0);
});

test('a slow reader misses steps and no amount, and is told of all channels again where too many have changed', async () => {
  rows(11, 10_000);
  const slow = await listening();
  slow.socket.pause();
  const ids = [...admin.node.rows.keys()];
  let amount = 0n;
  for (; amount < 16n; amount++) {
    for (let first = 0; first < ids.length; first += 1_000)
      admin.meter.commit(...ids.slice(first, first + 1_000).map((id) => [id, amount + id] as const));
    await new Promise(setImmediate);
  }
  const { sweeps } = await stats();
  expect(sweeps).toBeGreaterThan(0);
  slow.socket.resume();
  await until(() => {
    const { amounts } = told(slow);
    return ids.every((id) => amounts.get(String(id)) === String(amount - 1n + id));
  });
  // Of 160,000 changes it was told far fewer.
  expect(told(slow).changes).toBeLessThan(80_000);
});

test('streams are bounded, and who leaves one gives its place back', async () => {
  const readers = await Promise.all(Array.from({ length: 64 }, () => listening()));
  expect(readers.every(({ statuses }) => statuses[0] === 200)).toBe(true);
  const refused = await listening();
  expect(refused.statuses).toEqual([503]);
  expect(refused.text).toContain('retry-after: 1');
  for (const { socket } of readers.slice(0, 5)) socket.resetAndDestroy();
  await until(() => clients.filter(({ isClosed }) => isClosed).length >= 5);
  await stats();
  expect((await listening()).statuses).toEqual([200]);
});

test('a silent stream shows signs of life, and ends when its token is revoked or the node stops', async () => {
  await admin.close();
  await start({ heartbeatMs: 100 });
  const [revoked, kept] = [await listening(), await listening('', admin.token)];
  await until(() => revoked.text.includes('\n:\n') && kept.text.includes('\n:\n'));
  revokeToken(admin.folder, listTokens(admin.folder, nodeSystem)[0]!.name, nodeSystem);
  await until(() => revoked.text.endsWith('0\r\n\r\n'));
  expect(kept.text.endsWith('0\r\n\r\n')).toBe(false);
  await admin.server.close();
  await kept.closed;
  expect(kept.text.endsWith('0\r\n\r\n')).toBe(true);
});
