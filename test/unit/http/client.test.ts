/** To whom the tools' HTTP client shows its token when it only reads: only to a node on this machine. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
