/** GET and POST /cluster. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AdminClient } from '../../../src/http/client.ts';
import { FakeClusterControl } from '../../support/fake-cluster-control.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';

const cluster = new FakeClusterControl();
let admin: FakeAdmin;
beforeAll(async () => {
  admin = await startFakeAdmin(undefined, undefined, { cluster });
});
afterAll(() => admin.close());

function post(body: unknown, bearer = admin.token) {
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
  return fetch(`${admin.url}/cluster`, { method: 'POST', headers, body: JSON.stringify(body) });
}

test('tells of the node, and has it do what the operator asks', async () => {
  expect(await (await fetch(`${admin.url}/cluster`)).json()).toEqual(cluster.figures);
  const client = AdminClient.open({ http: admin.url, tokenFile: admin.tokenFile });
  for (const action of ['leave', 'join', 'rebalance'] as const)
    expect(await client.cluster({ action })).toEqual(cluster.figures);
  await client.cluster({ action: 'move', shards: [1, 1_023], to: 'b' });
  expect(cluster.asked).toEqual(['leave', 'join', 'rebalance', [1, 1_023]]);
});

test.each([
  [{ action: 'stop' }, 'action: expected leave, join, rebalance, move, got "stop"'],
  [{ action: 'move', shards: [], to: 'b' }, 'shards: expected a list of 0..1023'],
  [{ action: 'move', shards: [1_024], to: 'b' }, 'shards: expected a list of 0..1023'],
  [{ action: 'move', shards: [1] }, 'to: expected a node'],
  [{ action: 'move', shards: [1], to: 'z' }, 'expected another living member'],
  [{ action: 'join', force: true }, 'force'],
])('refuses %j', async (body, message) => {
  const answer = await post(body);
  expect(answer.status).toBe(400);
  expect(JSON.stringify(await answer.json())).toContain(message.replaceAll('"', '\\"'));
});

test('is the operator alone to ask, and of a node of a cluster', async () => {
  expect((await post({ action: 'leave' }, admin.tokenOf('charge'))).status).toBe(403);
  const single = await startFakeAdmin();
  expect((await fetch(`${single.url}/cluster`)).status).toBe(404);
  await single.close();
});
