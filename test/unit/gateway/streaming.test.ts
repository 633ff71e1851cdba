/** Prices by the byte and by the event: paid ahead, topped up while the answer streams, and given back where not used. */
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { UnitCounter } from '../../../src/gateway/meter-stream.ts';
import { Routes } from '../../../src/gateway/routes.ts';
import { gatewayRig, type Rig, requestOf, TestPayer } from '../../support/gateway-rig.ts';

function units(per: 'byte' | 'event', ...pieces: string[]): number {
  const counter = new UnitCounter(per);
  for (const piece of pieces) counter.take(Buffer.from(piece));
  return counter.count;
}

test('events are counted as the standard divides them, wherever the pieces are cut', () => {
  const stream = 'data: a\n\ndata: b\r\n\r\n: comment\n\ndata: c\rdata: d\r\r\n\ndata: half';
  expect(units('event', stream)).toBe(5);
  expect(units('event', ...stream)).toBe(5);
  expect(units('event', '\n\n\n')).toBe(0);
  expect(units('byte', 'abc', 'de')).toBe(5);
});

test('a piece is cut where the paid units end', () => {
  const counter = new UnitCounter('event');
  expect(counter.take(Buffer.from('data: a\n\ndata: b\n\ndata: c\n\n'), 2)).toBe(18);
  expect([counter.count, counter.isBetweenEvents]).toEqual([2, true]);
  expect(counter.take(Buffer.from('data: c'), 3)).toBe(7);
  expect([counter.count, counter.isBetweenEvents]).toEqual([3, false]);
  expect(new UnitCounter('byte').take(Buffer.from('abcdef'), 4)).toBe(4);
});

/** Sends an event when the test says so. */
function events() {
  const waiting: import('node:http').ServerResponse[] = [];
  return {
    service: (_: unknown, response: import('node:http').ServerResponse) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      waiting.push(response);
    },
    async open() {
      while (waiting.length === 0) await new Promise(setImmediate);
      return waiting.shift()!;
    },
  };
}

function stream(rig: Rig, authorization: string) {
  let text = '';
  let wake: (() => void) | undefined;
  const ended = new Promise<'end' | 'broken'>((resolve) => {
    const outgoing = request({ port: rig.port, headers: { authorization }, agent: false }, (incoming) => {
      incoming.on('data', (chunk) => {
        text += String(chunk);
        wake?.();
      });
      incoming.on('end', () => resolve('end'));
      incoming.on('error', () => resolve('broken'));
    });
    outgoing.on('error', () => resolve('broken'));
    outgoing.end();
  });
  const until = async (part: string) => {
    while (!text.includes(part))
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  return { ended, until, text: () => text };
}

async function eventRig(committed: bigint, ahead = 2) {
  const source = events();
  const routes = Routes.parse([{ path: '*', price: '3', per: 'event', ahead }]);
  const rig = await gatewayRig({ routes, service: source.service });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const challenge = await rig.challenge();
  expect(requestOf(challenge).amount).toBe(String(3 * ahead));
  const client = stream(rig, payer.pay(challenge, committed));
  return { rig, payer, client, service: await source.open() };
}

test('events are paid ahead, more is charged as they come, and what was not used is given back', async () => {
  const { rig, payer, client, service } = await eventRig(1_000n);
  await using _ = rig;
  expect([rig.node.spent(payer.channelId), rig.seen[0]!.headers['accept-encoding']]).toEqual([6n, undefined]);
  for (const name of ['one', 'two', 'three']) {
    service.write(`data: ${name}\n\n`);
    await client.until(name);
  }
  expect(rig.node.spent(payer.channelId)).toBe(12n);
  service.end();
  expect(await client.ended).toBe('end');
  while (rig.gateway.stats().underWay !== 0) await new Promise(setImmediate);
  expect([rig.node.spent(payer.channelId), rig.gateway.counters.drops]).toEqual([9n, 9n]);
});

test('a stream that nobody pays for says so and ends; money that comes meanwhile keeps it going', async () => {
  const { rig, payer, client, service } = await eventRig(6n);
  await using _ = rig;
  service.write('data: one\n\ndata: two\n\n');
  await client.until('two');
  service.write('data: three\n\n');
  while (rig.node.waiters.size === 0) await new Promise(setImmediate);
  await rig.node.submit(payer.claim(12n));
  await client.until('three');
  service.write('data: four\n\n');
  service.write('data: five\n\n');
  expect(await client.ended).toBe('end');
  expect(client.text()).toMatch(/data: four\n\nevent: payment-required\ndata: \{.*payment-required.*\}\n\n$/);
  expect(client.text()).not.toContain('five');
  expect([rig.node.spent(payer.channelId), rig.gateway.counters.streamsUnpaid]).toEqual([12n, 1]);
});

test('bytes: a long answer breaks off where the money ends', async () => {
  const routes = Routes.parse([{ path: '*', price: '1', per: 'byte', ahead: 1_000 }]);
  await using rig = await gatewayRig({
    routes,
    service: (incoming, response) => response.end('x'.repeat(incoming.url === '/short' ? 10 : 500_000)),
  });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const short = await rig.get('/short', { headers: { authorization: payer.pay(await rig.challenge(), 1_000n) } });
  expect(short.body.length).toBe(10);
  while (rig.gateway.stats().underWay !== 0) await new Promise(setImmediate);
  expect(rig.node.spent(payer.channelId)).toBe(10n);
  const authorization = payer.pay(await rig.challenge(), 100_000n);
  await expect(rig.get('/long', { headers: { authorization } })).rejects.toThrow();
  while (rig.gateway.stats().underWay !== 0) await new Promise(setImmediate);
  const spent = rig.node.spent(payer.channelId);
  expect(spent <= 100_000n && spent > 10n, String(spent)).toBe(true);
  expect(rig.gateway.counters.streamsUnpaid).toBe(1);
});

test('a client that leaves a stream pays for what it got', async () => {
  const source = events();
  const routes = Routes.parse([{ path: '*', price: '3', per: 'event', ahead: 10 }]);
  await using rig = await gatewayRig({ routes, service: source.service });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const authorization = payer.pay(await rig.challenge(), 1_000n);
  const got = new Promise<void>((resolve) => {
    const outgoing = request({ port: rig.port, headers: { authorization }, agent: false }, (incoming) => {
      incoming.on('error', () => {});
      incoming.once('data', () => {
        outgoing.destroy();
        resolve();
      });
    });
    outgoing.on('error', () => {});
    outgoing.end();
  });
  (await source.open()).write('data: one\n\n');
  await got;
  while (rig.gateway.stats().underWay !== 0) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(rig.node.spent(payer.channelId)).toBe(3n);
});

test('events that are compressed can not be counted: refunded', async () => {
  const routes = Routes.parse([{ path: '*', price: '3', per: 'event' }]);
  await using rig = await gatewayRig({
    routes,
    service: (_, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' }).end('x'),
  });
  const payer = new TestPayer('alice');
  rig.node.open(payer);
  const authorization = payer.pay(await rig.challenge(), 1_000n);
  expect((await rig.get('/', { headers: { authorization } })).status).toBe(502);
  expect(rig.node.spent(payer.channelId)).toBe(0n);
});
