/** Who may see what over HTTP: signatures are for the token's holder, and names are those that were configured. */
import { request } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AdminClient } from '../../../src/http/client.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';

let admin: FakeAdmin;
beforeEach(async () => {
  admin = await startFakeAdmin(undefined, {}, { hosts: ['node.example', 'Claims.Example'] });
  admin.node.rows.set(7n, {
    channelId: 7n,
    ledgerChannelId: new Uint8Array(32),
    publicKey: new Uint8Array(33),
    capacity: 10n,
    committed: 5n,
    sequence: 1,
    timestampBits: 0n,
    signature: new Uint8Array(64).fill(0xab),
    profile: 'xrpl',
    state: 'open',
    expiresAt: 0,
  });
});
afterEach(() => admin.close());

const SIGNATURE = 'AB'.repeat(64);
async function read(path: string, headers: Record<string, string>): Promise<unknown> {
  const text = await (await fetch(admin.url + path, { headers })).text();
  return JSON.parse(text);
}

test.each(['/channels', '/channels/7'])('GET %s shows signatures to the holder of the token only', async (path) => {
  const withToken = [await read(path, { authorization: `Bearer ${admin.token}` })].flat();
  expect(withToken).toMatchObject([{ committed: '5', signature: SIGNATURE }]);
  for (const headers of [{}, { authorization: 'Bearer nonsense' }]) {
    const rows = [await read(path, headers)].flat();
    expect(rows).toMatchObject([{ channelId: '7', committed: '5' }]);
    expect(rows[0]).not.toHaveProperty('signature');
  }
});

test('so does the stream of all rows', async () => {
  const accept = { accept: 'application/x-ndjson' };
  expect(await read('/channels', accept)).not.toHaveProperty('signature');
  expect(await read('/channels', { ...accept, authorization: `Bearer ${admin.token}` })).toMatchObject({
    signature: SIGNATURE,
  });
});

test('a client for signatures presents the token, or says where it was looked for', async () => {
  const options = { http: admin.url, forSignatures: true };
  const settling = AdminClient.open({ ...options, tokenFile: admin.tokenFile });
  expect(await settling.channel('7')).toMatchObject({ signature: SIGNATURE });
  const stranger = AdminClient.open({ ...options, tokenFile: '/nowhere/token' });
  await expect(stranger.channel('7')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('/nowhere/token'),
  });
});

test('the server goes by the names that were configured, and by no others', async () => {
  const withHost = (host: string) =>
    new Promise((resolve) => {
      request({ port: admin.server.port, path: '/stats', headers: { host }, setHost: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
  for (const host of ['node.example', 'NODE.example:9394', 'claims.example', 'localhost'])
    expect(await withHost(host), host).toBe(200);
  for (const host of ['example', 'x.node.example', 'node.example.org', ''])
    expect(await withHost(host), host).toBe(400);
});

test('a token of scope read shows signatures, of its channels only, and changes nothing', async () => {
  admin.node.rows.set(8n, { ...admin.node.rows.get(7n)!, channelId: 8n });
  const [all, one] = [admin.tokenOf('read'), admin.tokenOf('charge', [7n])];
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  expect(await read('/channels', bearer(all))).toMatchObject([{ signature: SIGNATURE }, { signature: SIGNATURE }]);
  const [seven, eight] = (await read('/channels', bearer(one))) as object[];
  expect(seven).toHaveProperty('signature');
  expect(eight).not.toHaveProperty('signature');
  expect(await read('/channels/8', bearer(one))).not.toHaveProperty('signature');
  const refused = await fetch(`${admin.url}/channels/7`, { method: 'DELETE', headers: bearer(one) });
  expect(refused.status).toBe(403);
  expect(await refused.json()).toEqual({
    error: {
      code: 'FORBIDDEN',
      message: 'authorization: expected a token of scope admin, got one of scope charge',
      expected: 'admin',
      scope: 'charge',
    },
  });
  expect(admin.node.rows.get(7n)!.state).toBe('open');
});
