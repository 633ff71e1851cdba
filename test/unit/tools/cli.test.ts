/** The command line, compiled, against the admin server of a fake node; as a process of its own where it is about pipes. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { importPool } from '../../../dist/src/registry/import-pool.js';
import type { ChannelJson } from '../../../src/channel/parse.ts';
import { claimwire } from '../../support/command-line.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';

const KEY = '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7';
const LEDGER_ID = '5DB01B7FFED6B67E6B0414DED11E051D2EE2B7619CE0EAA6286D67A3A4D5BDB3';
const HANDLE = '6750926077978654334';
const OPEN = ['channel', 'open', '--ledger-channel', LEDGER_ID, '--public-key', KEY, '--capacity', '1000000'];

const CLI = resolve(import.meta.dirname, '../../../dist/tools/cli.js');
const before = process.cwd();
let work = '';
let admin: FakeAdmin;
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'claimwire-cli-'));
  // The commands look for a token in ./data.
  process.chdir(work);
});
afterAll(() => {
  process.chdir(before);
  rmSync(work, { recursive: true, force: true });
});
beforeEach(async () => {
  admin = await startFakeAdmin();
});
afterEach(() => admin.close());

const withNode = (...args: string[]) => claimwire(...args, '--http', admin.url, '--token-file', admin.tokenFile);

test('help, version and what is no command', async () => {
  const help = await claimwire('--help');
  expect(help).toMatchObject({ code: 0, stderr: '' });
  for (const name of ['node', 'keygen', 'channel', 'pay', 'settle', 'decode', 'journal'])
    expect(help.stdout).toContain(`  ${name} `);
  const { version } = JSON.parse(readFileSync(resolve(import.meta.dirname, '../../../package.json'), 'utf8')) as {
    version: string;
  };
  expect(await claimwire('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  expect(await claimwire()).toMatchObject({ code: 2, stdout: '' });
  const unknown = await claimwire('chanel');
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toMatch(
    /^claimwire: command: expected one of node, .* got "chanel"; did you mean "channel"\? \(USAGE\)\n$/,
  );
  expect((await claimwire('constructor')).code).toBe(2);
});

test.each([['channel open'], ['settle']])('%s --help says what it takes', async (command) => {
  const { code, stdout, stderr } = await claimwire(...command.split(' '), '--help');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const text of ['Usage: claimwire', '--http URL', '--token-file FILE', '--json', 'Exit code:'])
    expect(stdout).toContain(text);
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(90);
});

test.each([
  [['channel'], 'channel: expected one of open, import, list, show, update, close'],
  [['channel', 'toString'], 'channel: expected one of'],
  [['channel', 'show'], 'channel show: expected one ID, got 0'],
  [['channel', 'list', 'x'], 'channel list: expected no operand, got 1'],
  [['channel', 'list', '--capacity', '5'], 'channel list: expected an option that --help shows, got --capacity'],
  [['channel', 'list', '--state', 'shut'], '--state: expected open, expired or closed'],
  [['channel', 'update', '1'], 'channel update: expected --capacity or --expires, got neither'],
  [['channel', 'open', '--capacity', '5'], '--ledger-channel: expected 64 hex digits or random, got nothing'],
  [[...OPEN.slice(0, -1), '1e6'], '--capacity: expected a decimal string of 1..100000000000000000, got "1e6"'],
  [[...OPEN, '--profile', 'xrp'], '--profile: expected xrpl or link'],
  [[...OPEN, '--expires', 'soon'], '--expires: expected an ISO 8601 time'],
  [[...OPEN, '--channel', '-1'], 'channel'],
  [[...OPEN, '--colour'], 'channel open: expected an option that --help shows, got --colour'],
  [[...OPEN, '--chanel', '5'], 'got --chanel; did you mean --channel?'],
  [[...OPEN, '--http', 'ftp://x'], '--http: expected a URL like http://127.0.0.1:9394'],
  [['settle', '--account', 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh'], 'settle: expected one ID, --all or --claim FILE'],
  [['settle', '1'], "--account: expected the payee's address, got nothing"],
  [['channel', 'opne'], 'got "opne"; did you mean "open"?'],
  [[...OPEN, '--profile', 'lnk'], 'got "lnk"; did you mean "link"?'],
  [[...OPEN, '--channel'], '--channel: expected U64, got nothing'],
  [
    ['settle', '1', '--account', 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTj'],
    '--account: expected a classic XRP Ledger address',
  ],
  [['settle', '--all', '--account', 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh', '--fee', 'x'], '--fee: expected'],
])('usage %j ends with 2 and one line', async (args, message) => {
  const { code, stdout, stderr } = await claimwire(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr.trimEnd().split('\n').length).toBe(1);
});

test('opens, shows, updates, lists and closes a channel', async () => {
  const opened = await withNode(...OPEN, '--expires', '2031-01-01T00:00:00Z', '--json');
  expect(opened).toMatchObject({ code: 0, stderr: '' });
  const row = JSON.parse(opened.stdout) as ChannelJson;
  expect(row).toMatchObject({
    channelId: HANDLE,
    ledgerChannelId: LEDGER_ID,
    capacity: '1000000',
    expiresAt: '2031-01-01T00:00:00Z',
  });
  expect(JSON.parse((await withNode('channel', 'show', LEDGER_ID, '--json')).stdout)).toEqual(row);
  expect((await withNode('channel', 'show', HANDLE)).stdout).toContain('capacity         1000000\n');
  const updated = await withNode('channel', 'update', HANDLE, '--capacity', '2000000', '--expires', 'never', '--json');
  expect(JSON.parse(updated.stdout)).toMatchObject({ capacity: '2000000', expiresAt: null });
  expect(JSON.parse((await withNode('channel', 'list', '--json')).stdout)).toEqual([
    { ...row, capacity: '2000000', expiresAt: null },
  ]);
  expect((await withNode('channel', 'list')).stdout.split('\n').length).toBe(3);
  expect(JSON.parse((await withNode('channel', 'close', HANDLE, '--json')).stdout)).toMatchObject({ state: 'closed' });
  expect(JSON.parse((await withNode('channel', 'list', '--state', 'open', '--json')).stdout)).toEqual([]);
});

test('an error of the node ends with 1, one line, and as JSON where that was asked for', async () => {
  const plain = await withNode('channel', 'show', '5');
  expect(plain).toMatchObject({ code: 1, stdout: '' });
  expect(plain.stderr).toMatch(/^claimwire: channel 5: expected an opened channel, got none \(CHANNEL_UNKNOWN\)\n$/);
  const json = await withNode('channel', 'show', '5', '--json');
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toEqual({
    error: { id: '5', code: 'CHANNEL_UNKNOWN', message: 'channel 5: expected an opened channel, got none' },
  });
});

test('no node, no claimwire there, no token, a foreign token: each says what to do', async () => {
  const port = admin.server.port;
  const noNode = await claimwire('channel', 'list', '--http', 'http://127.0.0.1:1');
  expect(noNode).toMatchObject({ code: 1, stdout: '' });
  expect(noNode.stderr).toMatch(/^claimwire: http:\/\/127.0.0.1:1: expected a claimwire node, got .*claimwire node/);
  const noToken = await claimwire(...OPEN, '--http', `http://127.0.0.1:${port}`);
  expect(noToken.code).toBe(1);
  expect(noToken.stderr).toContain('token file ./data/admin-token: expected a readable file, got ENOENT');
  const foreign = join(work, 'foreign-token');
  writeFileSync(foreign, 'a'.repeat(64), { mode: 0o600 });
  const refused = await claimwire(...OPEN, '--http', admin.url, '--token-file', foreign);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`did not take the token in ${foreign}`);
  chmodSync(foreign, 0o644);
  expect((await claimwire(...OPEN, '--http', admin.url, '--token-file', foreign)).stderr).toContain(
    'expected mode 600',
  );
});

test('imports a file, says how it goes, and repeats without change', async () => {
  const file = join(work, 'channels.ndjson');
  const lines = Array.from({ length: 3000 }, (_, index) =>
    JSON.stringify({
      ledgerChannelId: index.toString(16).padStart(16, '0').padEnd(64, 'B'),
      publicKey: KEY,
      capacity: '5',
    }),
  );
  writeFileSync(file, `${lines.join('\n')}\n`);
  const first = await withNode('channel', 'import', file);
  expect(first).toMatchObject({ code: 0, stdout: '3000 opened, 0 unchanged, 0 refused\n' });
  expect(first.stderr).toMatch(/^\d+\.\d s: 3000 opened/);
  lines[1234] = '{"ledgerChannelId":"AB"}';
  writeFileSync(file, lines.join('\n'));
  const second = await withNode('channel', 'import', file, '--json');
  expect(second.code).toBe(1);
  expect(JSON.parse(second.stdout)).toMatchObject({
    opened: 0,
    unchanged: 2999,
    refusedCount: 1,
    refused: [{ line: 1235 }],
  });
  expect(second.stderr).toContain(`${file}:1235: INPUT_INVALID ledgerChannelId: expected 64 hex digits`);
  const missing = await withNode('channel', 'import', join(work, 'none.ndjson'));
  expect(missing).toMatchObject({ code: 1, stdout: '' });
  expect(missing.stderr).toContain('expected a readable NDJSON file, got ENOENT');
});

test('an import of a wrong file stops, says where, and ends with 1', async () => {
  const file = join(work, 'wrong.ndjson');
  const sound = { ledgerChannelId: 'C'.repeat(64), publicKey: KEY, capacity: '5' };
  writeFileSync(file, `${JSON.stringify(sound)}\n${'{"wrong":1}\n'.repeat(5_000)}`);
  const { code, stdout, stderr } = await withNode('channel', 'import', file);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '1 opened, 0 unchanged, 1000 refused\n' });
  expect(stderr).toContain(`${file}:2: INPUT_INVALID`);
  expect(stderr).toContain('and 900 more\n');
  expect(stderr).toContain(`${file}:1001: stopped here, since 1000 lines were refused; no line after it was looked at`);
});

test('a list of more channels than a page has comes whole, in order, and of one state', async () => {
  const ids = Array.from({ length: 20_003 }, (_, index) => BigInt(index));
  await admin.node.openChannels(
    ids.map((channelId) => ({
      channelId,
      ledgerChannelId: new Uint8Array(32),
      publicKey: Uint8Array.from(Buffer.from(KEY, 'hex')),
      capacity: 5n,
      profile: 'xrpl' as const,
      expiresAt: 0,
    })),
  );
  const rows = [...admin.node.rows.values()];
  for (const row of rows) if (row.channelId % 7n === 0n) row.state = 'closed';
  admin.node.channels = (from, limit) => rows.slice(from, from + limit);
  const listed = async (...flags: string[]) => {
    const { code, stdout } = await withNode('channel', 'list', '--json', ...flags);
    expect(code).toBe(0);
    return (JSON.parse(stdout) as ChannelJson[]).map(({ channelId }) => BigInt(channelId));
  };
  expect(await listed()).toEqual(ids);
  expect(await listed('--state', 'closed')).toEqual(ids.filter((id) => id % 7n === 0n));
});

/** More than any pipe holds, being listed by a program whose output is still to be read. */
async function startLongList(): Promise<ChildProcessByStdio<null, Readable, Readable>> {
  const opening = {
    publicKey: Uint8Array.from(Buffer.from(KEY, 'hex')),
    capacity: 5n,
    profile: 'xrpl' as const,
    expiresAt: 0,
  };
  await admin.node.openChannels(
    Array.from({ length: 20_000 }, (_, index) => ({
      ...opening,
      channelId: BigInt(index),
      ledgerChannelId: new Uint8Array(32),
    })),
  );
  const rows = [...admin.node.rows.values()];
  admin.node.channels = (from, limit) => rows.slice(from, from + limit);
  const args = [CLI, 'channel', 'list', '--json', '--http', admin.url];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

test('a list cut short by its reader is no failure', async () => {
  const child = await startLongList();
  let stderr = '';
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const [code] = (await once(child, 'close')) as [number];
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('a list whose reader takes its time comes whole', async () => {
  const child = await startLongList();
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  let text = '';
  child.stdout.on('data', (data) => {
    text += data;
  });
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
  expect((JSON.parse(text) as unknown[]).length).toBe(20_000);
});

test('the import pool checks lines in worker threads, in order, without stopping this one', async () => {
  const pooled = await startFakeAdmin(importPool(2));
  const count = 20_000;
  const body = Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      ledgerChannelId: index.toString(16).padStart(16, '0').padEnd(64, 'C'),
      publicKey: KEY,
      capacity: index % 1000 === 999 ? 'x' : '5',
    }),
  ).join('\n');
  const response = await fetch(`${pooled.url}/channels`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', authorization: `Bearer ${pooled.token}` },
    body,
  });
  const result = (await response.json()) as { opened: number; refused: { line: number }[]; refusedCount: number };
  expect(result).toMatchObject({ opened: count - 20, refusedCount: 20 });
  expect(result.refused.map(({ line }) => line)).toEqual(Array.from({ length: 20 }, (_, index) => (index + 1) * 1000));
  expect([...pooled.node.rows.keys()].slice(0, 3)).toEqual([0n, 1n, 2n]);
  expect([...pooled.node.rows.keys()].at(-1)).toBe(BigInt(count - 2));
  await pooled.close();
});

test('an import of many blocks leaves the one worker to another import in between', async () => {
  const pool = importPool(1);
  const block = () => new Uint8Array(Buffer.from(`{"publicKey":"${KEY}"}\n`.repeat(900)));
  const ended: string[] = [];
  const parse = (importer: object, name: string) => pool.parse(block(), importer).then(() => ended.push(name));
  const [large, small] = [{}, {}];
  await Promise.all([
    ...['large 1', 'large 2', 'large 3', 'large 4'].map((name) => parse(large, name)),
    parse(small, 'small'),
  ]);
  expect(ended).toEqual(['large 1', 'large 2', 'small', 'large 3', 'large 4']);
  await pool.close();
});
