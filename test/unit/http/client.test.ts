/** To whom the tools' HTTP client shows its token when it only reads: only to a node on this machine. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AdminClient } from '../../../src/http/client.ts';

const TOKEN = 'ab'.repeat(32);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'claimwire-client-'));
  writeFileSync(join(folder, 'admin-token'), `${TOKEN}\n`, { mode: 0o600 });
});
afterEach(() => {
  vi.unstubAllGlobals();
  rmSync(folder, { recursive: true });
});

/** The authorization header of a request for the node's counters. */
async function shownTo(http: string): Promise<string | undefined> {
  let shown: string | undefined;
  vi.stubGlobal('fetch', async (_url: string, { headers }: { headers: Record<string, string> }) => {
    shown = headers.authorization;
    return new Response('{}');
  });
  await AdminClient.open({ http, tokenFile: join(folder, 'admin-token') }).stats();
  return shown;
}

test.each(['http://127.0.0.1:9394', 'http://localhost', 'http://[::1]:9394', 'http://127.1.2.3:80'])(
  'a node at %s is shown the token',
  async (http) => {
    expect(await shownTo(http)).toBe(`Bearer ${TOKEN}`);
  },
);

test.each(['http://127.example.org:9394', 'http://127.0.0.1.nip.io', 'http://192.0.2.1:9394', 'http://[2001:db8::1]'])(
  'a host at %s is not, whatever its name begins with',
  async (http) => {
    expect(await shownTo(http)).toBeUndefined();
  },
);

test('a connection that the node closed under a request costs a read nothing, and is the error of a change', async () => {
  let closing = 0;
  const node = createServer((request, response) => {
    if (closing-- > 0) request.socket.destroy();
    else response.end('{"opened":1,"unchanged":0,"refusedCount":0,"refused":[]}');
  }).listen(0, '127.0.0.1');
  await once(node, 'listening');
  const http = `http://127.0.0.1:${(node.address() as AddressInfo).port}`;
  const admin = AdminClient.open({ http, tokenFile: join(folder, 'admin-token') });
  closing = 1;
  expect(await admin.stats()).toMatchObject({ opened: 1 });
  const opening = { ledgerChannelId: '00'.repeat(32), publicKey: '02'.repeat(33), capacity: '1' };
  closing = 1;
  expect(await admin.importChannels([opening], () => {})).toMatchObject({ opened: 1 });
  closing = 3;
  await expect(admin.stats()).rejects.toMatchObject({ code: 'NODE_UNREACHABLE' });
  closing = 1;
  await expect(admin.closeChannel('1')).rejects.toMatchObject({ code: 'NODE_UNREACHABLE' });
  node.closeAllConnections();
  node.close();
});

test('a signal ends the call under way with its reason, and lets none begin after it', async () => {
  const requests: string[] = [];
  const silent = createServer((request) => requests.push(request.url!)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const controller = new AbortController();
  const reason = new Error('no more');
  const { signal } = controller;
  const client = AdminClient.open({ http: `http://127.0.0.1:${port}`, tokenFile: join(folder, 'admin-token'), signal });
  try {
    const asked = client.stats();
    await once(silent, 'request');
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    for (const call of [client.stats(), client.channel('1'), client.removeChannels(['1']), client.channels().next()])
      await expect(call).rejects.toBe(reason);
    await expect(client.importChannels([{ ledgerChannelId: '', publicKey: '', capacity: '' }])).rejects.toBe(reason);
    expect(requests).toEqual(['/stats']);
  } finally {
    silent.closeAllConnections();
    silent.close();
  }
});
