/** What the admin interface shows of the ledger, and how it opens channels from there. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeLedgerControl } from '../../support/fake-ledger-control.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openingJson } from '../../support/wire.ts';

let admin: FakeAdmin;
beforeEach(async () => {
  admin = await startFakeAdmin(undefined, undefined, { ledger: new FakeLedgerControl() });
});
afterEach(() => admin.close());

async function call(method: string, path: string, body?: object) {
  const headers = { authorization: `Bearer ${admin.token}`, ...(body && { 'content-type': 'application/json' }) };
  const response = await fetch(admin.url + path, { method, headers, body: body ? JSON.stringify(body) : null });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

test('the id on the ledger alone opens a channel with the terms there, and its row says what the ledger has', async () => {
  const { ledgerChannelId } = openingJson(8n);
  const opened = await call('POST', '/channels', { ledgerChannelId });
  expect(opened.status).toBe(201);
  const ledger = {
    deposited: '5000',
    redeemed: '2000',
    exposure: '0',
    settleDelaySeconds: 3_600,
    expiration: null,
    cancelAfter: '2030-03-17T17:46:40Z',
    seenAt: '2023-11-14T22:13:10Z',
    ageSeconds: 10,
    exists: true,
  };
  expect(opened.body).toMatchObject({ channelId: '8', committed: '2000', signature: null, ledger });
  expect((await call('POST', '/channels', { ledgerChannelId })).status).toBe(200);
  admin.node.rows.get(8n)!.committed = 2_300n;
  expect((await call('GET', '/channels/8')).body.ledger.exposure).toBe('300');
  await call('POST', '/channels', openingJson(9n));
  const { body: rows } = await call('GET', '/channels');
  expect(rows.map(({ ledger: its }: { ledger?: object }) => its !== undefined)).toEqual([true, false]);
});

test('what the ledger does not have is refused with its reason', async () => {
  const answer = await call('POST', '/channels', { ledgerChannelId: openingJson(7n).ledgerChannelId });
  expect(answer).toMatchObject({ status: 409, body: { error: { code: 'LEDGER_REFUSED' } } });
});

test('health of the connection is at /ledger and in /stats', async () => {
  const health = { url: 'wss://fake-1', networkId: 0, ledgerIndex: 1_000, ageSeconds: 4 };
  expect(await call('GET', '/ledger')).toMatchObject({ status: 200, body: health });
  expect((await call('GET', '/stats')).body.ledger).toMatchObject(health);
});

test('a node without a ledger says so', async () => {
  const bare = await startFakeAdmin();
  await admin.close();
  admin = bare;
  expect(await call('GET', '/ledger')).toMatchObject({ status: 404 });
  expect((await call('GET', '/stats')).body.ledger).toBeNull();
  const answer = await call('POST', '/channels', { ledgerChannelId: openingJson(8n).ledgerChannelId });
  expect(answer).toMatchObject({ status: 400, body: { error: { code: 'INPUT_INVALID' } } });
  expect(answer.body.error.message).toMatch(/publicKey: .* or a node started with --ledger/);
});
