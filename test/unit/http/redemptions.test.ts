/** POST and GET /redemptions, and the client's side: what is asked, what is answered at once, and after a long wait. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RedemptionResult } from '../../../src/control/ledger-control.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { AdminClient } from '../../../src/http/client.ts';
import { Holds } from '../../../src/http/holds.ts';
import { redemptionRoutes } from '../../../src/http/redemptions.ts';
import { FakeLedgerControl, record } from '../../support/fake-ledger-control.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { openingJson } from '../../support/wire.ts';

const ledger = new FakeLedgerControl();
let admin: FakeAdmin;
let client: AdminClient;
beforeEach(async () => {
  admin = await startFakeAdmin(undefined, undefined, { ledger });
  client = AdminClient.open({ http: admin.url, tokenFile: admin.tokenFile });
  await client.openChannel(openingJson(8n));
});
afterEach(() => admin.close());

const paid = (channelId: bigint): RedemptionResult => {
  return { channelId, outcome: 'paid', reason: 'tesSUCCESS', paid: 1n << 60n, feeDrops: 10n, hash: 'A'.repeat(64) };
};

test('a channel is redeemed, with amounts as strings', async () => {
  const asked: unknown[] = [];
  ledger.outcome = async (channelId, options) => {
    asked.push([channelId, options?.close]);
    return paid(channelId);
  };
  const { ledgerChannelId } = openingJson(8n);
  const result = { channelId: '8', outcome: 'paid', reason: 'tesSUCCESS', paid: String(1n << 60n), feeDrops: '10' };
  expect(await client.redeem('8', false)).toEqual({ ...result, hash: 'A'.repeat(64) });
  expect(await client.redeem(ledgerChannelId, true)).toMatchObject(result);
  expect(asked).toEqual([
    [8n, false],
    [8n, true],
  ]);
});

test('what is asked wrongly is refused', async () => {
  const post = async (body: unknown) => {
    const headers = { authorization: `Bearer ${admin.token}`, 'content-type': 'application/json' };
    return (await fetch(`${admin.url}/redemptions`, { method: 'POST', headers, body: JSON.stringify(body) })).status;
  };
  expect([await post(null), await post({}), await post({ id: 8 }), await post({ id: '8', fee: '1' })]).toEqual([
    400, 400, 400, 400,
  ]);
  expect(await post({ id: '8', close: 'yes' })).toBe(400);
  await expect(client.redeem('9', false)).rejects.toMatchObject({ code: 'CHANNEL_UNKNOWN' });
  ledger.outcome = () =>
    Promise.reject(new ClaimwireError('LEDGER_UNREACHABLE', 'ledger: expected a server, got none'));
  await expect(client.redeem('8', false)).rejects.toMatchObject({ code: 'LEDGER_UNREACHABLE' });
  const open = await fetch(`${admin.url}/redemptions`);
  expect(open.status).toBe(401);
});

test('the list is the newest first, as long as is asked', async () => {
  ledger.records = [record(3n, { state: 'pending', endedAt: 0, reason: '' }), record(2n), record(1n)];
  const rows = await client.redemptions(2);
  expect(rows).toMatchObject([
    { channelId: '3', state: 'pending', startedAt: '2023-11-14T22:13:20Z', endedAt: null },
    { channelId: '2', state: 'paid', paid: '5', endedAt: '2023-11-14T22:13:24Z' },
  ]);
  expect(JSON.stringify(rows)).not.toContain('blob');
  await expect(client.redemptions(1_001)).rejects.toMatchObject({ code: 'INPUT_INVALID' });
});

test('a node without a ledger says so', async () => {
  await admin.close();
  admin = await startFakeAdmin();
  client = AdminClient.open({ http: admin.url, tokenFile: admin.tokenFile });
  await expect(client.redeem('8', false)).rejects.toThrow('started with --ledger');
});

/** Answers one request by the route, with a sign of life each 5 ms, and collects what is written. */
async function slowly(outcome: Promise<RedemptionResult>) {
  const holds = new Holds({ held: 0, busy: 0 });
  const [post] = redemptionRoutes(admin.node, { redeem: () => outcome, redemptions: () => [] }, holds, 5);
  const { createServer } = await import('node:http');
  const server = createServer((request, response) => {
    const connection = Object.assign(request.socket, { hasEnded: false });
    void post!.answer({ request, response, connection } as never);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const body = JSON.stringify({ id: '8' });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`http://127.0.0.1:${port}/redemptions`, { method: 'POST', headers, body });
  return { response, end: () => server.close() };
}

function deferred() {
  let resolve!: (result: RedemptionResult) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<RedemptionResult>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  return { promise, resolve, reject };
}

test('while it lasts white space says that it goes on, and the end is JSON all the same', async () => {
  const late = deferred();
  const { response, end } = await slowly(late.promise);
  expect(response.status).toBe(200);
  late.resolve(paid(8n));
  const text = await response.text();
  expect(text).toMatch(/^\n+\{.*\}\n$/);
  expect(JSON.parse(text)).toMatchObject({ outcome: 'paid' });
  end();
});

test('what goes wrong after the status was sent is in the body', async () => {
  const late = deferred();
  const { response, end } = await slowly(late.promise);
  late.reject(new ClaimwireError('NODE_STOPPING', 'redeem: the node stops'));
  expect(await response.json()).toEqual({ error: { code: 'NODE_STOPPING', message: 'redeem: the node stops' } });
  end();
});
