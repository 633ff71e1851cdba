/** Removing channels from outside: POST /channels/remove and `claimwire channel remove`, over a fake node. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { run } from '../../../tools/channel.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openingOf } from '../../support/wire.ts';

let admin: FakeAdmin;
let out = '';
let errors = '';

beforeEach(async () => {
  admin = await startFakeAdmin();
  out = errors = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    errors += text;
    return true;
  });
  await admin.node.openChannels([openingOf(1n), openingOf(2n), { ...openingOf(3n), throwAway: true }, openingOf(4n)]);
  for (const id of [2n, 3n]) admin.node.rows.get(id)!.committed = 9n;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await admin.close();
});

async function post(body: unknown, token = admin.token): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${admin.url}/channels/remove`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const channel = (...args: string[]) => run([...args, '--http', admin.url, '--token-file', admin.tokenFile]);

test('HTTP: some go, the others say why, each by its own ID', async () => {
  const ledgerId = Buffer.from(openingOf(1n).ledgerChannelId).toString('hex');
  const { status, body } = await post({ ids: ['77', '2', ledgerId, '3', 'x'] });
  expect(status).toBe(200);
  expect(body).toMatchObject({ removed: 2, refusedCount: 3 });
  const refused = body.refused as { id: string; code: string }[];
  expect(refused.map(({ id, code }) => [id, code])).toEqual([
    ['77', 'CHANNEL_UNKNOWN'],
    ['x', 'INPUT_INVALID'],
    ['2', 'CHANNEL_UNREDEEMED'],
  ]);
  expect([...admin.node.rows.keys()]).toEqual([2n, 4n]);
  expect((await post({ ids: ['2'], force: true })).body).toEqual({ removed: 1, refusedCount: 0, refused: [] });
});

test('HTTP: what is no removal, or comes without the token, removes nothing', async () => {
  const tooMany = Array.from({ length: 10_001 }, String);
  for (const body of [
    [],
    {},
    { ids: [] },
    { ids: [1] },
    { ids: ['1'], all: true },
    { ids: ['1'], force: 1 },
    { ids: tooMany },
  ])
    expect((await post(body)).status).toBe(400);
  expect((await post({ ids: ['1'] }, 'a'.repeat(64))).status).toBe(401);
  expect(admin.node.rows.size).toBe(4);
  const get = await fetch(`${admin.url}/channels/remove`);
  expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
});

test('HTTP: a removed row in its place is listed by nobody', async () => {
  admin.node.rows.get(1n)!.state = 'removed';
  const ids = (rows: { channelId: string }[]) => rows.map(({ channelId }) => channelId);
  expect(ids((await (await fetch(`${admin.url}/channels`)).json()) as { channelId: string }[])).toEqual([
    '2',
    '3',
    '4',
  ]);
  const lines = await (await fetch(`${admin.url}/channels`, { headers: { accept: 'application/x-ndjson' } })).text();
  expect(
    ids(
      lines
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
  ).toEqual(['2', '3', '4']);
});

test('HTTP: a throw-away channel is opened as one, and the mark is a boolean', async () => {
  const open = async (throwAway: unknown) => {
    const response = await fetch(`${admin.url}/channels`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        ledgerChannelId: Buffer.from(openingOf(9n).ledgerChannelId).toString('hex'),
        publicKey: Buffer.from(openingOf(9n).publicKey).toString('hex'),
        capacity: '5',
        throwAway,
      }),
    });
    return { status: response.status, body: (await response.json()) as { throwAway?: boolean } };
  };
  expect((await open('yes')).status).toBe(400);
  expect((await open(null)).body.throwAway).toBe(false);
  admin.node.rows.delete(9n);
  expect(await open(true)).toMatchObject({ status: 201, body: { throwAway: true } });
});

test('CLI: removes several, says what was refused and why, and takes --force', async () => {
  expect(await channel('remove', '1', '2', '3')).toBe(1);
  expect(out).toBe('2 removed, 1 refused\n');
  expect(errors).toMatch(/^2: CHANNEL_UNREDEEMED /);
  out = '';
  expect(await channel('remove', '2', '--force', '--json')).toBe(0);
  expect(JSON.parse(out)).toEqual({ removed: 1, refusedCount: 0, refused: [] });
  await expect(channel('remove')).rejects.toMatchObject({ code: 'USAGE' });
  await expect(channel('close', '4', '--force')).rejects.toMatchObject({ code: 'USAGE' });
});

test('CLI: list and show tell a throw-away channel from the others', async () => {
  expect(await channel('list')).toBe(0);
  expect(out.split('\n').filter((line) => line.endsWith(' throw-away')).length).toBe(1);
  out = '';
  expect(await channel('show', '3')).toBe(0);
  expect(out).toMatch(/^throwAway +true$/m);
});
