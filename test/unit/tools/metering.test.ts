/** `claimwire charge`, `events` and `token`, run in this process against the HTTP interface of a node in memory. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { command as charge } from '../../../tools/charge.ts';
import { command as events } from '../../../tools/events.ts';
import { output } from '../../../tools/output.ts';
import { command as token } from '../../../tools/token.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openRow } from '../../support/open-channel.ts';
import { until } from '../../support/raw-http.ts';

let admin: FakeAdmin;
let printed = '';
beforeEach(async () => {
  admin = await startFakeAdmin();
  admin.node.rows.set(7n, openRow(7n));
  admin.meter.commit([7n, 100n]);
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  output.json = false;
  await admin.close();
});

/** What a command prints, and its exit code. */
async function run(command: { run(args: string[]): Promise<number> }, ...args: string[]): Promise<string> {
  printed = '';
  expect(await command.run(args)).toBe(0);
  return printed;
}

test('a token is made once, listed without its secret, used with --token-file, and revoked', async () => {
  const file = join(admin.folder, 'shop-token');
  const data = ['--data', admin.folder];
  const http = ['--http', admin.url, '--token-file', file];
  expect(await run(token, 'create', '--scope', 'charge', '--name', 'shop', '--out', file, ...data)).toBe(`${file}\n`);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const secret = readFileSync(file, 'utf8').trim();
  const made = JSON.parse(await run(token, 'create', '--scope', 'read', '--channels', '7,8', '--json', ...data));
  expect(made).toMatchObject({ scope: 'read', channels: ['7', '8'], token: expect.stringMatching(/^[0-9a-f]{64}$/) });
  const list = await run(token, 'list', ...data);
  expect(list).toMatch(/^shop charge all channels \d{4}-.*\n[0-9a-f]{8} read 7,8 /);
  expect(list).not.toContain(secret);
  expect(await run(charge, '7', '60', '--key', 'k', ...http)).toBe('charged 60, spent 60 of 100 drops\n');
  expect(await run(charge, '7', '60', '--key', 'k', ...http)).toBe('charged before 60, spent 60 of 100 drops\n');
  expect(JSON.parse(await run(charge, '7', '10', '--refund', '--json', ...http))).toEqual({
    channelId: '7',
    drops: '-10',
    spent: '50',
    committed: '100',
    repeated: false,
  });
  output.json = false;
  await expect(charge.run(['7', '51', '--wait', '10ms', ...http])).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED' });
  for (const wrong of [['7'], ['7', '0'], ['7', 'x'], ['7', '1', '2'], ['7', '1', '--wait', '2m']])
    await expect(charge.run([...wrong, ...http]), wrong.join(' ')).rejects.toMatchObject({ code: 'USAGE' });
  expect(await run(token, 'revoke', 'shop', ...data)).toBe('revoked shop\n');
  await expect(token.run(['revoke', 'shop', ...data])).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});

test('a token whose file cannot be written is not there', async () => {
  const data = ['--data', admin.folder];
  const out = join(admin.folder, 'missing', 'token');
  await expect(token.run(['create', '--scope', 'read', '--out', out, ...data])).rejects.toMatchObject({
    code: 'INPUT_INVALID',
  });
  expect(await run(token, 'list', ...data)).toBe('no tokens\n');
  const nowhere = ['create', '--scope', 'read', '--data', join(admin.folder, 'none')];
  await expect(token.run(nowhere)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  expect(existsSync(join(admin.folder, 'none'))).toBe(false);
  await expect(token.run(['create', '--scope', 'admin', ...data])).rejects.toMatchObject({ code: 'USAGE' });
});

test('events --once are printed, a change a line, until the node stops', async () => {
  const reading = events.run([
    '--once',
    '--snapshot',
    '--channels',
    '7',
    '--http',
    admin.url,
    '--token-file',
    admin.tokenFile,
  ]);
  await until(() => printed.includes('7 100\n'));
  admin.meter.commit([7n, 101n]);
  await until(() => printed.includes('7 101\n'));
  await admin.server.close();
  expect(await reading).toBe(0);
  expect(printed).toBe('7 100\n7 101\n');
});

test('events go on at a node that has started again, and tell what changed meanwhile', async () => {
  const complaints: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => complaints.push(String(text)) > 0);
  const reading = events.run(['--snapshot', '--channels', '7', '--http', admin.url, '--token-file', admin.tokenFile]);
  await until(() => printed.includes('7 100\n'));
  const place = { port: Number(new URL(admin.url).port), folder: admin.folder };
  await admin.server.close();
  await until(() => complaints.length > 0);
  const second = await startFakeAdmin(undefined, {}, place);
  second.node.rows.set(7n, admin.node.rows.get(7n)!);
  second.meter.commit([7n, 105n]);
  await until(() => printed.includes('7 105\n'));
  second.meter.commit([7n, 106n]);
  await until(() => printed.includes('7 106\n'));
  expect(printed).toBe('7 100\n7 105\n7 106\n');
  expect(complaints).toEqual([expect.stringMatching(/; connecting again in 500 ms\n$/)]);
  // A refusal is not waited out: this node does not know the channel.
  await second.server.close();
  const third = await startFakeAdmin(undefined, {}, place);
  await expect(reading).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  await third.server.close();
});
