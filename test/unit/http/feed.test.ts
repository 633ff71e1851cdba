/** Samples as server-sent events: the past first, one look for all readers, and readers that are many, slow or gone. */
import { EventEmitter } from 'node:events';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Feed } from '../../../src/http/feed.ts';
import { Holds } from '../../../src/http/holds.ts';
import type { Call } from '../../../src/http/route.ts';
import type { Sample } from '../../../src/metrics/sample.ts';
import { type FakeAdmin, startFakeAdmin } from '../../support/fake-node.ts';
import { RawHttp, until } from '../../support/raw-http.ts';

let admin: FakeAdmin;
let clients: RawHttp[] = [];

beforeEach(async () => {
  admin = await startFakeAdmin();
});
afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  clients = [];
  await admin.close();
});

const request = (query = '', bearer = '') =>
  `GET /feed${query} HTTP/1.1\r\nHost: localhost\r\n${bearer === '' ? '' : `Authorization: Bearer ${bearer}\r\n`}\r\n`;

function client(bytes: string): RawHttp {
  const made = new RawHttp(admin.server.port, bytes);
  clients.push(made);
  return made;
}
async function reading(query = '', bearer = ''): Promise<RawHttp> {
  const made = client(request(query, bearer));
  await made.answers(1);
  return made;
}
function samples({ text }: RawHttp): Sample[] {
  return [...text.matchAll(/event: sample\ndata: (.*)\n\n/g)].map(([, json]) => JSON.parse(json!) as Sample);
}
async function httpCounters(): Promise<Record<string, number>> {
  return ((await (await fetch(`${admin.url}/stats`)).json()) as { http: Record<string, number> }).http;
}

test('a look a second goes to every reader, without a token', async () => {
  const readers = [await reading(), await reading()];
  admin.node.counters.received += 50;
  admin.measures.lanes[0]!.ack.add(0.004, 50);
  admin.clock.advance(1_000);
  await until(() => readers.every((reader) => samples(reader).length === 1));
  expect(readers[0]!.text).toContain('content-type: text/event-stream');
  expect(samples(readers[0]!)[0]).toMatchObject({
    rates: { received: 50 },
    ack: { count: 50, p50: 4 },
    channels: { open: 0, max: 1_024 },
  });
  expect(samples(readers[1]!)).toEqual(samples(readers[0]!));
  expect(admin.clock.pending).toBe(1);
  for (const { socket } of readers) socket.end();
  await until(() => admin.clock.pending === 0);
  expect((await httpCounters()).held).toBe(0);
});

test('who comes second gets the past first, as much as is asked for and kept', async () => {
  await reading();
  admin.clock.advance(100_000);
  const [all, some, none] = [await reading('?history=600'), await reading('?history=7'), await reading()];
  await until(() => samples(all).length === 100 && samples(some).length === 7);
  admin.clock.advance(1_000);
  await until(() => samples(all).length === 101 && samples(some).length === 8 && samples(none).length === 1);
  const times = samples(all).map(({ at }) => at);
  expect(times).toEqual(times.map((_, index) => times[0]! + index * 1_000));
  expect(times.at(-1)).toBe(admin.clock.wall());
});

test('a query that it does not know is refused', async () => {
  for (const query of ['?history=601', '?history=-1', '?history=', '?history=x', '?histori=1'])
    expect(await client(request(query)).answers(1), query).toEqual([400]);
});

test('readers are bounded, and those without a token do not keep the operator out', async () => {
  const readers = await Promise.all(Array.from({ length: 32 }, () => reading()));
  const refused = await reading();
  expect(refused.statuses).toEqual([503]);
  expect(refused.text).toContain('feed: expected at most 32 readers');
  expect((await reading('', admin.token)).statuses).toEqual([200]);
  expect((await httpCounters()).busy).toBe(1);
  readers[0]!.socket.destroy();
  // Its place is free when the server has seen the end of its connection, which is after the reader has.
  while ((await httpCounters()).held !== 32);
  expect((await reading()).statuses).toEqual([200]);
});

test('a reader that does not read is cut, and holds nobody up', async () => {
  const { sampler, clock } = admin;
  let cuts = 0;
  const feed = new Feed({ sampler, holds: new Holds({ held: 0, busy: 0 }), onBusy: () => {}, onCut: () => cuts++ });
  const connection = Object.assign(new EventEmitter(), { place: undefined, destroyed: false, hasEnded: false });
  // It takes the first piece, and then never more.
  const writes: string[] = [];
  const response = new Writable({ highWaterMark: 1, write: (part) => void writes.push(String(part)) });
  const call = { response, connection, url: new URL('http://localhost/feed') } as unknown as Call;
  Object.assign(response, { writeHead: () => {}, flushHeaders: () => {} });
  const ended = feed.routes()[0]!.answer(call);
  const fast = await reading();
  clock.advance(31_000);
  await until(() => samples(fast).length === 31);
  expect([writes.length, cuts, response.destroyed]).toEqual([1, 0, false]);
  clock.advance(1_000);
  expect([writes.length, cuts, response.destroyed]).toEqual([1, 1, true]);
  await ended;
  clock.advance(1_000);
  await until(() => samples(fast).length === 33);
  expect(cuts).toBe(1);
});

test('a reader over a connection that takes no more is cut and counted', async () => {
  const deaf = await reading();
  deaf.socket.pause();
  for (let minutes = 0; minutes < 300 && (await httpCounters()).feedCut === 0; minutes++) admin.clock.advance(60_000);
  expect((await httpCounters()).feedCut).toBe(1);
});

test('the server stops, and its readers are let go', async () => {
  const reader = await reading();
  await admin.close();
  await reader.closed;
  expect(admin.clock.pending).toBe(0);
});
