/**
 * A whole node behind the gateway: vouchers in headers and claims by UDP pay one channel, a channel is topped up, and what was
 * charged is remembered over a restart. The command line is what an operator runs.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { ClaimwireNode, Gateway, Routes } from 'claimwire';
import { Payer, paidFetch, sessionAuthorization } from 'claimwire/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, challengesOf, listening, RECIPIENT, requestOf, TestPayer } from '../support/gateway-rig.ts';
import { temporaryFolders } from '../support/node-process.ts';

const folder = temporaryFolders();
const quiet = { info() {}, warn() {}, error() {} };
const LOOPBACK = { host: '127.0.0.1', port: 0 };
const REALM = '127.0.0.1';
const service = createServer((_, response) => response.end('served'));
let upstream: string;

beforeAll(async () => {
  upstream = `http://127.0.0.1:${await listening(service)}`;
});
afterAll(() => {
  service.closeAllConnections();
  service.close();
});

async function start(data: string) {
  const node = await ClaimwireNode.start({ data, udp: LOOPBACK, lanes: 1, channelsMax: 100, logger: quiet });
  const gateway = await Gateway.start({
    node,
    meter: node,
    listen: LOOPBACK,
    upstream,
    routes: Routes.flat(25n),
    merchant: { realm: REALM, recipient: RECIPIENT, network: 'testnet' },
    payments: { claimWaitMs: 5_000 },
    logger: quiet,
  });
  const url = `http://127.0.0.1:${gateway.address.port}/`;
  const stop = async () => {
    await gateway.close();
    await node.stop();
  };
  return { node, gateway, url, stop };
}

function opening({ channelId, ledgerChannelId, signer }: TestPayer, capacity = 150n) {
  return { channelId, ledgerChannelId, publicKey: signer.publicKey, capacity, profile: 'xrpl' as const, expiresAt: 0 };
}

test('vouchers and claims by UDP pay the same channel, which is topped up and survives a restart', async () => {
  const data = folder('gateway');
  const payer = new TestPayer('alice');
  const { ledgerChannelId, signer: key, channelId } = payer;
  const first = await start(data);
  await first.node.openChannels([opening(payer)]);
  const pay = paidFetch({ ledgerChannelId, key, budget: 10_000n });
  expect(await (await pay(first.url)).text()).toBe('served');
  expect((await pay(first.url)).headers.get('payment-receipt')).not.toBeNull();
  expect([first.node.spent(channelId), first.node.channel(channelId)!.committed]).toEqual([50n, 50n]);

  // By UDP, beside it.
  const challenge = (await fetch(first.url)).headers.get('www-authenticate')!;
  const authorization = await sessionAuthorization({ challenge, realm: REALM, ledgerChannelId, key });
  const udp = await Payer.open({ to: `udp://${first.node.udp}` });
  const reply = fetch(first.url, { headers: { authorization } });
  await udp.channel({ ledgerChannelId, key, committed: 50n }).pay(60n);
  expect((await reply).status).toBe(200);
  await udp.close();
  expect([first.node.spent(channelId), first.node.channel(channelId)!.committed]).toEqual([75n, 110n]);

  // A forged voucher for what is committed: the node itself would say ALREADY.
  const { Payment } = challengesOf(await ask(first.gateway.address.port, '/'));
  const forged = payer.pay(Payment!, 110n, { signature: new TestPayer('stranger').sign(110n) });
  expect((await ask(first.gateway.address.port, '/', { headers: { authorization: forged } })).status).toBe(402);

  const more = paidFetch({ ledgerChannelId, key, budget: 10_000n, signed: 110n });
  expect((await more(first.url)).status).toBe(200);
  const full = await more(first.url);
  expect([full.status, ((await full.json()) as { type: string }).type]).toEqual([
    402,
    expect.stringContaining('amount-exceeds-deposit'),
  ]);
  await first.node.updateChannel(channelId, { capacity: 1_000n });
  expect((await more(first.url)).status).toBe(200);
  const spent = first.node.spent(channelId);
  await first.stop();

  const second = await start(data);
  expect(second.node.spent(channelId)).toBe(spent);
  const again = await paidFetch({ ledgerChannelId, key, budget: 10_000n, signed: more.signed })(second.url);
  expect(again.status).toBe(200);
  const next = challengesOf({ raw: ['www-authenticate', again.headers.get('www-authenticate')!] } as never).Payment!;
  expect(requestOf(next)).toMatchObject({ methodDetails: { cumulativeAmount: String(spent + 25n) } });
  await second.stop();
});

test('requests at once of one channel are each charged once', async () => {
  const { node, gateway, stop } = await start(folder('gateway'));
  const payer = new TestPayer('bob');
  await node.openChannels([opening(payer, 1_000_000n)]);
  const { Payment } = challengesOf(await ask(gateway.address.port, '/'));
  const headers = Array.from({ length: 20 }, (_, index) => payer.pay(Payment!, 25n * BigInt(index + 1)));
  const replies = await Promise.all(
    headers.flatMap((authorization) =>
      [1, 2].map(() => ask(gateway.address.port, '/', { headers: { authorization } })),
    ),
  );
  const served = new Set(replies.map(({ headers: { 'payment-receipt': receipt } }) => receipt).filter(Boolean)).size;
  expect(served).toBeGreaterThan(0);
  expect(node.spent(payer.channelId)).toBe(25n * BigInt(served));
  expect(gateway.counters.drops).toBe(25n * BigInt(served));
  await stop();
});

test('claimwire gateway: the ready line, the price, the counters, the end', async () => {
  const cli = resolve(import.meta.dirname, '../../dist/tools/cli.js');
  const flags = ['--data', join(folder('gateway'), 'data'), '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0'];
  const own = ['--upstream', upstream, '--price', '25', '--recipient', RECIPIENT, '--listen', '127.0.0.1:0'];
  const child = spawn(process.execPath, [cli, 'gateway', ...flags, ...own, '--log-level', 'none', '--lanes', '1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const ready = JSON.parse((await lines.next()).value as string);
  const reply = await fetch(`http://${ready.gateway}/`);
  expect([ready.event, reply.status]).toEqual(['ready', 402]);
  const stats = (await (await fetch(`http://${ready.http}/stats`)).json()) as { gateway: object };
  expect(stats.gateway).toMatchObject({ requests: 1, drops: '0', problems: { 'payment-required': 1 } });
  child.kill('SIGTERM');
  expect(JSON.parse((await lines.next()).value as string)).toMatchObject({ event: 'stopped' });
  expect(await once(child, 'close')).toEqual([0, null]);
});
