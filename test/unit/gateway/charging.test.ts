/**
 * A request that only reads is forwarded while its charge becomes durable. What this must not change: nothing of an answer goes
 * out unpaid, nothing is charged without an answer, and what may change something at the service waits for the disk.
 */
import { request } from 'node:http';
import { expect, test } from 'vitest';
import type { ChargeResult, MeterControl } from '../../../src/control/meter-control.ts';
import { ClaimwireError } from '../../../src/errors.ts';
import { Routes } from '../../../src/gateway/routes.ts';
import { type Deferred, deferred } from '../../../src/meter/deferred.ts';
import { ask, FakePaidNode, gatewayRig, type Rig, TestPayer } from '../../support/gateway-rig.ts';

/** Its charges become durable when the test says so; a refund at once. */
class SlowDisk extends FakePaidNode {
  /** Commits under way. */
  readonly commits: Deferred<void>[] = [];
  /** The test has ended, well or not: no commit is held any more. */
  isOver = false;
  /** Of the commits under way, all of one channel. */
  #reserved = 0n;

  override async charge(
    ...[channelId, drops, options = {}]: Parameters<MeterControl['charge']>
  ): Promise<ChargeResult> {
    if (drops < 0n) return super.charge(channelId, drops, options);
    this.#reserved += drops;
    const spent = this.spent(channelId) + this.#reserved;
    const row = this.rows.get(channelId)!;
    if (spent <= row.committed) options.onReserved?.(spent);
    const commit = deferred<void>();
    this.commits.push(commit);
    if (this.isOver) commit.resolve();
    await commit.promise.finally(() => {
      this.#reserved -= drops;
    });
    return super.charge(channelId, drops, options);
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Enough turns for what may go out to have gone out. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  await new Promise((resolve) => setTimeout(resolve, 20));
}

type Options = Parameters<typeof gatewayRig>[0];

async function slowRig(options: Options = {}) {
  const node = new SlowDisk();
  const rig = await gatewayRig({ ...options, node });
  const close = rig[Symbol.asyncDispose].bind(rig);
  // A test that fails in the middle does not wait for commits that nobody ends.
  rig[Symbol.asyncDispose] = async () => {
    node.isOver = true;
    for (const commit of node.commits) commit.resolve();
    await close();
  };
  const payer = new TestPayer('alice');
  node.open(payer);
  const headers = { authorization: payer.pay(await rig.challenge(), 25n) };
  return { rig, node, payer, headers };
}

/** A request, and whether any of its answer has come. */
function begin(rig: Rig, headers: Record<string, string>, path = '/', method = 'GET') {
  let hasCome = false;
  const reply = ask(rig.port, path, { method, headers }).finally(() => {
    hasCome = true;
  });
  return { reply, hasCome: () => hasCome };
}

test('a GET is at the service before its charge is durable, and none of its answer is out before', async () => {
  const { rig, node, payer, headers } = await slowRig();
  await using _ = rig;
  const { reply, hasCome } = begin(rig, headers);
  await until(() => rig.seen.length === 1);
  await turns();
  expect([hasCome(), node.spent(payer.channelId), rig.gateway.counters.paidByVoucher]).toEqual([false, 0n, 0]);
  node.commits[0]!.resolve();
  const { status, body, headers: answered } = await reply;
  expect([status, body, node.spent(payer.channelId)]).toEqual([200, 'hello ', 25n]);
  const receipt = JSON.parse(Buffer.from(String(answered['payment-receipt']), 'base64url').toString());
  expect(receipt).toMatchObject({ status: 'success', reference: expect.stringMatching(/25$/) });
  expect(rig.gateway.counters).toMatchObject({ paidByVoucher: 1, drops: 25n, withheld: 0 });
});

test('what may change something at the service waits until its charge is durable', async () => {
  const { rig, node, headers } = await slowRig();
  await using _ = rig;
  const { reply } = begin(rig, headers, '/', 'POST');
  await until(() => node.commits.length === 1);
  await turns();
  expect(rig.seen).toEqual([]);
  node.commits[0]!.resolve();
  expect((await reply).status).toBe(200);
});

test('a GET whose client waits for leave to send its body is not told to before its charge is durable', async () => {
  const { rig, node, headers } = await slowRig();
  await using _ = rig;
  let hasLeave = false;
  const outgoing = request({
    ...{ host: '127.0.0.1', port: rig.port, agent: false },
    headers: { ...headers, expect: '100-continue', 'content-length': 4 },
  });
  const replied = new Promise<number>((resolve) => outgoing.on('response', ({ statusCode }) => resolve(statusCode!)));
  outgoing.on('continue', () => {
    hasLeave = true;
    outgoing.end('body');
  });
  outgoing.flushHeaders();
  await until(() => node.commits.length === 1);
  await turns();
  expect([hasLeave, rig.seen.length]).toEqual([false, 0]);
  node.commits[0]!.resolve();
  expect([await replied, rig.seen[0]!.body]).toEqual([200, 'body']);
});

test.each([
  ['HEAD', { status: 200, headers: { 'content-length': '6' }, body: '' }],
  ['GET', { status: 204, headers: {}, body: '' }],
  ['GET', { status: 304, headers: { etag: '"1"' }, body: '' }],
  ['GET', { status: 206, headers: { 'content-range': 'bytes 0-4/6' }, body: 'hello' }],
  ['GET', { status: 200, headers: { connection: 'close', trailer: 'x-sum' }, body: 'hello' }],
] as const)('a held %s goes out whole, whatever it is of and however the service ends it: %o', async (method, sold) => {
  const { rig, node, payer, headers } = await slowRig({
    service: (_, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      response.writeHead(sold.status, sold.headers);
      if (sold.body !== '') response.write(sold.body);
      if ('trailer' in sold.headers) response.addTrailers({ 'x-sum': '5' });
      response.end();
    },
  });
  await using _ = rig;
  const { reply, hasCome } = begin(rig, headers, '/', method);
  await until(() => rig.seen.length === 1);
  await turns();
  expect(hasCome()).toBe(false);
  node.commits[0]!.resolve();
  expect(await reply).toMatchObject({ status: sold.status, body: sold.body });
  expect([node.spent(payer.channelId), rig.gateway.counters.refunded]).toEqual([25n, 0]);
});

test.each([
  [200, 'content-length'],
  [9_000, 'content-length'],
  [200, 'chunked'],
])('a held answer of %i bytes, %s, goes out byte for byte, and again from the store', async (length, framing) => {
  const sold = Buffer.from(Array.from({ length }, (_, index) => (index * 7) & 0xff));
  const { rig, node, headers } = await slowRig({
    service: (_, response) => {
      if (framing === 'content-length') response.setHeader('content-length', length);
      response.write(sold.subarray(0, 100));
      response.end(sold.subarray(100));
    },
  });
  await using _ = rig;
  const bytes = async (promised: Promise<Response>) => {
    const response = await promised;
    return [response.status, Buffer.from(await response.arrayBuffer()).equals(sold)];
  };
  const url = `http://127.0.0.1:${rig.port}/`;
  const first = fetch(url, { headers });
  await until(() => rig.seen.length === 1);
  await turns();
  node.commits[0]!.resolve();
  expect(await bytes(first)).toEqual([200, true]);
  expect(await bytes(fetch(url, { headers }))).toEqual([200, true]);
  expect([rig.seen.length, rig.gateway.counters.replayed]).toEqual([1, 1]);
});

test('an answer that was withheld is nobody else’s: the next request on the same connections has its own', async () => {
  let served = 0;
  const { rig, node, headers } = await slowRig({ service: (_, response) => response.end(`answer ${++served}`) });
  await using _ = rig;
  const first = begin(rig, headers);
  await until(() => served === 1);
  node.commits[0]!.reject(new ClaimwireError('NODE_STOPPING', 'expected a running node, got one that is stopping'));
  expect(await first.reply).toMatchObject({ status: 503, body: expect.not.stringContaining('answer') });
  const second = begin(rig, headers);
  await until(() => served === 2);
  node.commits[1]!.resolve();
  expect(await second.reply).toMatchObject({ status: 200, body: 'answer 2' });
});

test('a charge that the disk refuses: its answer is withheld, and nothing is charged or given back', async () => {
  const { rig, node, payer, headers } = await slowRig();
  await using _ = rig;
  const refused = begin(rig, headers);
  await until(() => rig.seen.length === 1);
  node.commits[0]!.reject(new ClaimwireError('REGISTRY_FULL', 'expected room on the disk, got none'));
  expect(await refused.reply).toMatchObject({ status: 500, body: expect.not.stringContaining('hello') });
  const busy = begin(rig, headers);
  await until(() => rig.seen.length === 2);
  node.commits[1]!.reject(new ClaimwireError('NODE_STOPPING', 'expected a running node, got one that is stopping'));
  expect((await busy.reply).status).toBe(503);
  expect(rig.gateway.counters).toMatchObject({ withheld: 2, drops: 0n, refunded: 0, paidByVoucher: 0 });
  expect(node.spent(payer.channelId)).toBe(0n);
  // The answer is not in the store either.
  const again = begin(rig, headers);
  await until(() => node.commits.length === 3);
  node.commits[2]!.resolve();
  expect(await again.reply).toMatchObject({ status: 200, body: 'hello ' });
});

test('a service that fails before the charge is durable: it is given back once it is', async () => {
  const { rig, node, payer, headers } = await slowRig({ service: (incoming) => incoming.socket.destroy() });
  await using _ = rig;
  const { reply, hasCome } = begin(rig, headers, '/dies');
  await until(() => rig.gateway.counters.upstreamFailed === 1);
  await turns();
  expect([hasCome(), rig.gateway.counters.refunded]).toEqual([false, 0]);
  node.commits[0]!.resolve();
  expect([(await reply).status, node.spent(payer.channelId), rig.gateway.counters.refunded]).toEqual([502, 0n, 1]);
});

test('a service that fails, and a charge that fails too: nothing is given back', async () => {
  const { rig, node, payer, headers } = await slowRig({ service: (incoming) => incoming.socket.destroy() });
  await using _ = rig;
  const { reply } = begin(rig, headers, '/dies');
  await until(() => rig.gateway.counters.upstreamFailed === 1);
  node.commits[0]!.reject(new ClaimwireError('NODE_STOPPING', 'expected a running node, got one that is stopping'));
  expect([(await reply).status, node.spent(payer.channelId), rig.gateway.counters.refunded]).toEqual([502, 0n, 0]);
});

test('an answer that breaks off while it is held breaks off for the client', async () => {
  const { rig, node, headers } = await slowRig({
    service: (_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('some of it');
      setTimeout(() => response.destroy(), 5);
    },
  });
  await using _ = rig;
  const { reply } = begin(rig, headers);
  reply.catch(() => {});
  await until(() => rig.seen.length === 1);
  await turns();
  node.commits[0]!.resolve();
  await expect(reply).rejects.toThrow();
  await until(() => rig.gateway.counters.upstreamCut === 1);
});

test('a client that goes while its answer is held takes it along, and its request ends', async () => {
  const { rig, node, headers } = await slowRig();
  await using _ = rig;
  const outgoing = request({ host: '127.0.0.1', port: rig.port, headers, agent: false });
  outgoing.on('error', () => {});
  outgoing.end();
  await until(() => rig.seen.length === 1);
  await turns();
  outgoing.destroy();
  await turns();
  node.commits[0]!.resolve();
  await until(() => rig.gateway.stats().underWay === 0);
  expect(rig.gateway.counters).toMatchObject({ clientGone: 1, failed: 0 });
});

test('a stream is held as any answer: no event before the charge is durable', async () => {
  const { rig, node, headers } = await slowRig({
    routes: Routes.parse([{ path: '/*', price: '25', per: 'event', ahead: 1 }]),
    service: (_, response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: one\n\n'),
  });
  await using _ = rig;
  const { reply, hasCome } = begin(rig, headers);
  await until(() => rig.seen.length === 1);
  await turns();
  expect(hasCome()).toBe(false);
  node.commits[0]!.resolve();
  expect((await reply).body).toBe('data: one\n\n');
});

test('two requests with one amount: the second is not forwarded on the strength of the first', async () => {
  const { rig, node, payer, headers } = await slowRig();
  await using _ = rig;
  const other = { authorization: payer.pay(await rig.challenge(), 25n) };
  const [first, second] = [begin(rig, headers), begin(rig, other)];
  await until(() => node.commits.length === 2);
  await turns();
  expect(rig.seen).toHaveLength(1);
  for (const commit of node.commits) commit.resolve();
  expect([(await first.reply).status, (await second.reply).status].sort()).toEqual([200, 402]);
  expect(node.spent(payer.channelId)).toBe(25n);
});

test('a voucher whose amount the charges under way use up is not forwarded, though more is committed', async () => {
  const { rig, node, payer } = await slowRig();
  await using _ = rig;
  const vouchers = [1_000n, 50n, 50n];
  const challenges = await Promise.all(vouchers.map(() => rig.challenge()));
  const [large, ...both] = vouchers.map((amount, at) => ({ authorization: payer.pay(challenges[at]!, amount) }));
  const paid = begin(rig, large!);
  await until(() => node.commits.length === 1);
  node.commits[0]!.resolve();
  await paid.reply;
  const replies = both.map((headers) => begin(rig, headers).reply);
  await until(() => node.commits.length === 3);
  await turns();
  expect(rig.seen).toHaveLength(2);
  for (const commit of node.commits) commit.resolve();
  expect((await Promise.all(replies)).map(({ status }) => status).sort()).toEqual([200, 402]);
  expect([node.spent(payer.channelId), rig.seen.length]).toEqual([50n, 2]);
});
