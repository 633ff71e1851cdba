/** A service's client: charges, long polls, events and claims through AdminClient, with the node's own errors. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { AdminClient } from '../../../src/http/client.ts';
import { readEvents } from '../../../src/http/event-reader.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openRow } from '../../support/open-channel.ts';
import { until } from '../../support/raw-http.ts';

let admin: FakeAdmin;
let client: AdminClient;
beforeEach(async () => {
  admin = await startFakeAdmin();
  for (const channelId of [1n, 2n]) admin.node.rows.set(channelId, openRow(channelId));
  client = clientOf(admin.tokenOf('charge'));
});
afterEach(() => admin.close());

/** A client with its token in a file, as a service has it. */
function clientOf(token: string): AdminClient {
  const tokenFile = join(admin.folder, `token-${token.slice(0, 8)}`);
  writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 });
  return AdminClient.open({ http: admin.url, tokenFile });
}

test('charges once for a key, refunds, and learns what is missing', async () => {
  admin.meter.commit([1n, 10n]);
  const made = { channelId: '1', drops: '7', spent: '7', committed: '10', repeated: false };
  expect(await client.charge('1', 7n, { key: 'a' })).toEqual(made);
  expect(await client.charge('1', '7', { key: 'a' })).toEqual({ ...made, repeated: true });
  expect(await client.charge('1', -2n)).toMatchObject({ spent: '5' });
  await expect(client.charge('1', 8n)).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED', details: { missing: '3' } });
  await expect(client.charge('1', 8n, { key: 'a' })).rejects.toMatchObject({ code: 'CHARGE_CONFLICT' });
  const results = await client.chargeMany(['1', '9'].map((channelId) => ({ channelId, drops: '1' })));
  expect(results).toMatchObject([{ spent: '6' }, { error: { code: 'CHANNEL_UNKNOWN' } }]);
  const reader = clientOf(admin.tokenOf('read'));
  await expect(reader.charge('1', 1n)).rejects.toMatchObject({ code: expect.stringMatching(/FORBIDDEN|UNAUTHORIZED/) });
});

test('a charge waits for the claims that cover it', async () => {
  const charged = client.charge('1', 5n, { wait: '20s' });
  await until(() => admin.meter.waiters.size === 1);
  expect(await client.submit(claim(5n))).toEqual({ status: 'COMMITTED', committed: '5' });
  expect(await charged).toMatchObject({ spent: '5' });
  expect(await client.submit(claim(4n))).toEqual({ status: 'ALREADY', committed: '5' });
});

function claim(amount: bigint): Uint8Array {
  return claimBytes({ channelId: 1n, sequence: 1, amount, signature: new Uint8Array(64), timestamp: 0 });
}

test('waits for an amount, for a time, or until it is told to stop', async () => {
  const waited = client.wait('1', 3n);
  await until(() => admin.meter.waiters.size === 1);
  admin.meter.commit([1n, 4n]);
  expect(await waited).toBe('4');
  expect(await client.wait('1', 5n, { timeoutMs: 10 })).toBeUndefined();
  const stop = new AbortController();
  const stopped = client.wait('1', 5n, { signal: stop.signal });
  await until(() => admin.meter.waiters.size === 1);
  stop.abort(new Error('enough'));
  await expect(stopped).rejects.toThrow('enough');
  await until(() => admin.meter.waiters.size === 0);
});

test('events come one by one, until they are told to stop or the node is gone', async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { channelId, committed } of client.events({ snapshot: true, signal: stop.signal }))
      seen.push(`${channelId} ${committed}`);
  })();
  await until(() => admin.meter.listeners.size === 1);
  admin.meter.commit([1n, 4n], [2n, 5n]);
  await until(() => seen.length >= 2);
  expect([...new Set(seen)].sort()).toEqual(['1 4', '2 5']);
  stop.abort();
  await reading;
  await until(() => admin.meter.listeners.size === 0);
  const [first] = await Promise.all([client.events().next(), untilListening().then(() => admin.server.close())]);
  expect(first.done).toBe(true);
  await expect(client.events().next()).rejects.toMatchObject({ code: 'NODE_UNREACHABLE' });
});
const untilListening = () => until(() => admin.meter.listeners.size === 1);

test('a stream in any pieces is read; one that is none of ours is refused', async () => {
  const text = ':\n\nevent: committed\ndata: [{"channelId":"1","committed":"2"}]\n\nevent: snapshot\ndata: {}\n\n';
  const pieces = async function* (all: string) {
    for (const character of all) yield new TextEncoder().encode(character);
  };
  const read = async (all: string) => {
    const changes = [];
    for await (const change of readEvents(pieces(all))) changes.push(change);
    return changes;
  };
  expect(await read(text + text)).toEqual(Array.from({ length: 2 }, () => ({ channelId: '1', committed: '2' })));
  for (const data of ['', 'x', '{}', '[1]', '[{"channelId":1,"committed":"2"}]'])
    await expect(read(`event: committed\ndata: ${data}\n\n`)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  const endless = async function* () {
    for (;;) yield new Uint8Array(1 << 18).fill(0x61);
  };
  await expect(readEvents(endless()).next()).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});
