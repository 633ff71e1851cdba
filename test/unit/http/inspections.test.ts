/** GET /channels/{id}/trace and POST /profile, and the commands over them: whom they serve, their bounds, and slow or lost readers. */

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { output } from '../../../tools/output.ts';
import { command as profileCommand } from '../../../tools/profile.ts';
import { command as traceCommand } from '../../../tools/trace.ts';
import { PROFILE, TRACED } from '../../support/fake-inspect.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openRow } from '../../support/open-channel.ts';
import { RawHttp, until } from '../../support/raw-http.ts';

let admin: FakeAdmin;
let printed = '';
beforeEach(async () => {
  admin = await startFakeAdmin();
  admin.node.rows.set(1n, openRow(1n));
  printed = '';
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      if (stream === process.stdout) printed += String(text);
      return true;
    });
});
afterEach(async () => {
  vi.restoreAllMocks();
  output.json = false;
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.removeAllListeners(name);
  await admin.close();
});

const ask = (method: string, path: string, bearer = admin.token) =>
  fetch(admin.url + path, { method, headers: { authorization: `Bearer ${bearer}` } });
const at = () => ['--http', admin.url, '--token-file', admin.tokenFile];

test('both are for the operator alone, and bounded', async () => {
  const charging = admin.tokenOf('charge');
  for (const [method, path] of [
    ['GET', '/channels/1/trace'],
    ['POST', '/profile'],
  ] as const) {
    expect((await ask(method, path, 'x')).status).toBe(401);
    expect((await ask(method, path, charging)).status).toBe(403);
    for (const query of ['seconds=0', 'seconds=301', 'seconds=1.5', 'seconds=x', 'more=1'])
      expect((await ask(method, `${path}?${query}`)).status, `${path}?${query}`).toBe(400);
  }
  expect((await ask('GET', '/channels/99/trace')).status).toBe(404);
  expect((await ask('POST', '/profile?format=pdf')).status).toBe(400);
  expect(admin.inspect).toMatchObject({ traced: undefined, profiled: undefined });
});

test('a trace ends when its reader leaves, and when the server stops', async () => {
  let aborted = 0;
  admin.inspect.untilEnd = (signal) =>
    new Promise((resolve) => {
      signal!.addEventListener('abort', () => {
        aborted++;
        resolve();
      });
    });
  const request = `GET /channels/1/trace HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${admin.token}\r\n\r\n`;
  const reader = new RawHttp(admin.server.port, request);
  await until(() => reader.text.includes('event: claim'));
  reader.socket.destroy();
  await until(() => aborted === 1);
  const other = new RawHttp(admin.server.port, request);
  await until(() => other.text.includes('event: claim'));
  await admin.close();
  expect(aborted).toBe(2);
  admin = await startFakeAdmin();
});

test('a reader that does not keep up holds no more than its bound: what is left out is counted', async () => {
  const many = new Array(4_000).fill(TRACED);
  const { inspect } = admin;
  let rounds = 0;
  const trace = inspect.trace.bind(inspect);
  inspect.trace = async (channelId, options) => {
    for (; rounds < 20; rounds++) options.onClaims(many);
    return trace(channelId, options);
  };
  const text = await (await ask('GET', '/channels/1/trace')).text();
  const summary = JSON.parse(/event: summary\ndata: (.*)/.exec(text)![1]!);
  const told = text.split('event: claim').length - 1;
  expect(summary.untold).toBeGreaterThan(40_000);
  expect(told + summary.untold).toBe(20 * many.length + 1);
});

test('claimwire trace prints a line for each claim, and the summary', async () => {
  admin.inspect.claims = [
    TRACED,
    { ...TRACED, amount: '501', verifyUs: null, outcome: 'badSignature', from: 'udp \x1b[2J' },
  ];
  expect(await traceCommand.run(['1', '--seconds', '3', ...at()])).toBe(0);
  expect(admin.inspect.traced).toEqual({ channelId: 1n, seconds: 3 });
  expect(printed).toMatch(/^SEEN \(UTC\) +LANE +AMOUNT +VERIFY +DONE +RESOLUTION +OUTCOME$/m);
  expect(printed).toMatch(/^12:00:00\.000250 +0 +500 +410 µs +1\.24 ms +220 µs +committed udp 192\.0\.2\.7:4096$/m);
  expect(printed).toMatch(/ 501 +- +1\.24 ms .* badSignature udp \[2J$/m);
  expect(printed).toMatch(/^claims +3 in 1\.0 s$/m);
  expect(printed).toMatch(/^missed +0 of 900 slots of the rings \(0 %\)$/m);
  printed = '';
  expect(await traceCommand.run(['1', '--json', ...at()])).toBe(0);
  const lines = printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map((line) => Object.keys(line)[0])).toEqual(['claim', 'claim', 'summary']);
  await expect(traceCommand.run(['99', ...at()])).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  await expect(traceCommand.run(['1', '--seconds', '301', ...at()])).rejects.toMatchObject({ code: 'USAGE' });
});

test('claimwire profile writes one page that needs nothing else, for its owner alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'claimwire-profile-'));
  try {
    const out = join(folder, 'p.html');
    expect(await profileCommand.run(['--seconds', '2', '--out', out, ...at()])).toBe(0);
    expect(admin.inspect.profiled).toBe(2);
    expect(printed).toBe(`${out}\n`);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const page = readFileSync(out, 'utf8');
    expect(page).not.toMatch(/https?:|src=|@import|url\(/);
    expect(page).toContain('"C of the addon, called by step"');
    expect(page).not.toContain('"PROFILE"');
    const served = await ask('POST', '/profile?format=html');
    expect(served.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await served.text()).toBe(page);
    printed = '';
    expect(await profileCommand.run(['--json', ...at()])).toBe(0);
    expect(JSON.parse(printed)).toEqual(PROFILE);
    await expect(profileCommand.run(['--out', join(folder, 'none/p.html'), ...at()])).rejects.toMatchObject({
      code: 'USAGE',
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('names in a profile cannot leave the script of the page', async () => {
  const { inspect } = admin;
  const evil = '</script><script>alert(1)</script><!--$&';
  inspect.profile = async () => ({ ...PROFILE, silent: [evil] });
  const page = await (await ask('POST', '/profile?format=html')).text();
  expect(page).not.toContain('<script>alert');
  const data = /<script type="application\/json" id="profile">(.*?)<\/script>/s.exec(page)![1]!;
  expect(JSON.parse(data).silent).toEqual([evil]);
});
