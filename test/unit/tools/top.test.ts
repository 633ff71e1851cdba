/** `claimwire top` and `stats`, against a fake of GET /feed: the screen, keys, lines, a node that goes away, and what hostile text does. */
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stripVTControlCharacters } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AdminClient } from '../../../src/http/client.ts';
import { output } from '../../../tools/output.ts';
import { command as stats } from '../../../tools/stats.ts';
import { bar, bytesText, dropsText, rateText, reasonsText, sparkline, timeText } from '../../../tools/top/figures.ts';
import { runLive } from '../../../tools/top/live.ts';
import { follow, type Look } from '../../../tools/top/samples.ts';
import { screenLines, type View } from '../../../tools/top/screen.ts';
import { openTerminal } from '../../../tools/top/terminal.ts';
import { sampleLine } from '../../../tools/top.ts';
import { FakeFeed, percentiles, sampleAt } from '../../support/fake-feed.ts';
import { until } from '../../support/raw-http.ts';

let feed: FakeFeed;
beforeEach(async () => {
  feed = await FakeFeed.start();
});
afterEach(async () => {
  vi.restoreAllMocks();
  output.json = false;
  await feed.stop();
});
const client = () => AdminClient.open({ http: feed.url, tokenFile: '/none' });

const VIEW: View = {
  http: 'http://127.0.0.1:9394',
  sample: sampleAt(60),
  history: Array.from({ length: 61 }, (_, index) => sampleAt(index)),
  stats: undefined,
  channels: {
    sort: 'exposure',
    rows: [{ channelId: '6743924028402237286', state: 'open', exposure: '90', committed: '100', capacity: '1000' }],
    looked: 1,
    isPart: false,
  },
  isPaused: false,
  lost: undefined,
  hasHelp: false,
};

test.each([
  [80, 35],
  [80, 24],
  [150, 35],
  [40, 10],
  [20, 3],
  [300, 100],
])('a screen of %i columns and %i rows is filled exactly, with what matters most', (columns, rows) => {
  for (const view of [
    VIEW,
    { ...VIEW, hasHelp: true },
    { ...VIEW, sample: undefined, history: [], channels: undefined },
  ]) {
    const lines = screenLines(view, columns, rows, false);
    expect(lines).toHaveLength(rows);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(columns);
  }
  const text = screenLines(VIEW, columns, rows, false).join('\n');
  if (rows < 24) return;
  for (const part of [
    'received',
    'ack',
    'verify',
    'ring',
    'badSignature 9/s',
    'refusalLimited 1/s',
    '6743924028402237286',
    'q quit',
  ])
    expect(text).toContain(part);
});

test('colours are asked for, and text of a server never steers the terminal', () => {
  const evil = {
    ...VIEW,
    sample: sampleAt(1, { refused: { '\x1b]0;owned\x07bad\nName': 3 }, ledger: { url: '\x1b[2J', ageSeconds: 4 } }),
  };
  for (const columns of [80, 150]) {
    expect(screenLines(evil, columns, 40, false).join('')).not.toMatch(/\p{Cc}/u);
    const coloured = screenLines(evil, columns, 40, true).join('');
    expect(stripVTControlCharacters(coloured)).not.toMatch(/\p{Cc}/u);
    expect(coloured).toContain('\x1b[');
  }
});

test('a lost, a paused and an unready node are told', () => {
  const text = (more: Partial<View>) => screenLines({ ...VIEW, ...more }, 100, 45, false).join('\n');
  expect(text({ lost: 'ECONNREFUSED' })).toMatch(/ LOST .*lost the node: ECONNREFUSED; trying again/s);
  expect(text({ isPaused: true })).toContain(' PAUSED ');
  expect(text({ sample: sampleAt(1, { ready: false }) })).toContain(' NOT READY ');
});

test('a node of a cluster tells its shards, its database and who is silent; another has no such lines', () => {
  const text = (more: object) => {
    const lines = screenLines({ ...VIEW, sample: sampleAt(60, more) }, 110, 45, false);
    return lines.filter((line) => /^(cluster|database)/.test(line)).map((line) => line.trimEnd());
  };
  expect(text({})).toEqual([]);
  const cluster = { epoch: 4, version: 58, members: 3, silent: 1, isLeaving: true, shardsServed: 342, shardsWanted: 0 };
  const standbys = { synchronous: 1, other: 0, lagSeconds: 0.004 };
  expect(
    text({ cluster: { ...cluster, shardsMoving: 64 }, database: { silentMs: 900, retried: 2, standbys } }),
  ).toEqual([
    'cluster    342 of 0 shards, 64 moving, leaving   1 of 3 nodes SILENT   epoch 4, map 58',
    'database   answers   1 synchronous, 0 other standbys, 4.00 ms behind   2 appends made again',
  ]);
  expect(text({ database: { silentMs: 4_000, retried: 0, standbys: null } })).toEqual(['database   SILENT for 4.0 s']);
});

test('figures', () => {
  expect([0, 0.25, 12, 182_345].map(rateText)).toEqual(['0', '0.3/s', '12/s', '182k/s']);
  expect([0, 0.0004, 0.08, 1.237, 45.67, 998, 3_100].map(timeText)).toEqual([
    '-',
    '1 µs',
    '80 µs',
    '1.24 ms',
    '45.7 ms',
    '998 ms',
    '3.1 s',
  ]);
  expect([0, 2_048, 16 * 2 ** 30].map(bytesText)).toEqual(['0 B', '2.0 KiB', '16 GiB']);
  expect(['7', '12345670000', 'evil'].map(dropsText)).toEqual(['7 drops', '12,345.67 XRP', '-']);
  expect(reasonsText({ badAmount: 1, badSignature: 9, overCapacity: 0 })).toBe('badSignature 9/s, badAmount 1/s');
  expect(sparkline([0, 1, 4, 8], 20, String)).toBe(' ▂▅█ ≤ 8');
  expect([bar(0.5, 4), bar(7, 4), bar(Number.NaN, 4)]).toEqual(['[##..]', '[####]', '[....]']);
  expect(sampleLine(sampleAt(1, { ack: percentiles(1) }))).toMatch(
    /^2026-06-01T12:00:01Z received \S+\/s +committed .* ack p50 1\.00 ms +p99 4\.00 ms .* ring 1234\/16384\n$/,
  );
});

/** Whether the last that a terminal got gives its screen and cursor back. */
const isLeft = (text: string) => text.endsWith('\x1b[?25h\x1b[?1049l');

/** A terminal in memory, with the real code that takes it over. */
function fakeTerminal() {
  const input = Object.assign(new EventEmitter(), {
    isTTY: true,
    isRaw: false,
    setRawMode(isRaw: boolean) {
      input.isRaw = isRaw;
    },
    resume() {},
    pause() {},
  });
  const out = Object.assign(new EventEmitter(), {
    columns: 80,
    rows: 30,
    text: '',
    write(text: string) {
      out.text += text;
      return true;
    },
  });
  const open = (events: Parameters<typeof openTerminal>[0]) => openTerminal(events, input as never, out as never);
  /** What the newest drawing shows. */
  const shown = () => out.text.split('\x1b[H').at(-1)!;
  return { input, out, open, shown };
}

test('live: keys pause, sort, explain and leave, a new size is drawn, and the terminal is left as it was', async () => {
  const listeners = () => ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGCONT', 'exit'].map((name) => process.listenerCount(name));
  const before = listeners();
  const { input, out, open, shown } = fakeTerminal();
  feed.history = [sampleAt(0), sampleAt(1)];
  const ended = runLive({ admin: client(), http: feed.url, inColour: false, open });
  await until(() => shown().includes('90000000'));
  expect(input.isRaw).toBe(true);
  expect(out.text.startsWith('\x1b[?1049h\x1b[?25l')).toBe(true);
  feed.send(sampleAt(2));
  input.emit('data', '\x1b[Ap');
  input.emit('data', 'p');
  await until(() => shown().includes('PAUSED'));
  const paused = shown();
  feed.send(sampleAt(500));
  input.emit('data', 's');
  await until(() => shown().includes('sort: committed'));
  expect(shown().match(/received +\S+/)![0]).toBe(paused.match(/received +\S+/)![0]);
  input.emit('data', '?');
  expect(shown()).toContain('from the arrival of a claim to its ack');
  out.columns = 60;
  out.emit('resize');
  for (const line of shown().split('\r\n'))
    expect(line.replace('\x1b[K', '').length).toBeLessThanOrEqual(60 + '\x1b[J'.length);
  input.emit('data', 'q');
  expect(await ended).toBe(0);
  expect(out.text).toSatisfy(isLeft);
  expect(input.isRaw).toBe(false);
  expect(listeners()).toEqual(before);
});

test('a node whose clock is behind is drawn as its looks come', async () => {
  const terminal = fakeTerminal();
  const behind = (index: number, received: number) => {
    const sample = sampleAt(index);
    return { ...sample, at: Date.now() - 600_000 + index * 1_000, rates: { ...sample.rates, received } };
  };
  feed.history = [behind(0, 1)];
  const ended = runLive({ admin: client(), http: feed.url, inColour: false, open: terminal.open });
  await until(() => /received +1\/s/.test(terminal.shown()));
  const since = performance.now();
  feed.send(behind(1, 77));
  await until(() => /received +77\/s/.test(terminal.shown()));
  // The list of channels is drawn every five seconds, and everything else with it.
  expect(performance.now() - since).toBeLessThan(3_000);
  terminal.input.emit('data', 'q');
  expect(await ended).toBe(0);
});

test.each([
  ['SIGTERM', (_: ReturnType<typeof fakeTerminal>) => process.emit('SIGTERM')],
  ['a broken pipe', ({ out }: ReturnType<typeof fakeTerminal>) => out.emit('error', new Error('EPIPE'))],
  ['Ctrl-C', ({ input }: ReturnType<typeof fakeTerminal>) => input.emit('data', '\x03')],
])('live: %s leaves the terminal as it was', async (_name, end) => {
  const terminal = fakeTerminal();
  feed.history = [sampleAt(0)];
  const ended = runLive({ admin: client(), http: feed.url, inColour: false, open: terminal.open });
  await until(() => terminal.shown().includes('received'));
  end(terminal);
  expect(await ended).toBe(0);
  expect(terminal.out.text).toSatisfy(isLeft);
  expect(terminal.input.isRaw).toBe(false);
});

test('a node that goes away is told and waited for; looks of the past come once', async () => {
  const ended = new AbortController();
  feed.history = [sampleAt(0)];
  const { port } = feed;
  const looks = follow(client(), { history: 9, signal: ended.signal, retryMs: 5, silentMsMax: 10_000 });
  const next = async () => (await looks.next()).value as Look;
  expect(await next()).toMatchObject({ sample: { at: sampleAt(0).at } });
  await feed.stop();
  expect(await next()).toMatchObject({ lost: expect.stringMatching(/expected a claimwire node|ended the connection/) });
  expect(await next()).toMatchObject({ lost: expect.stringContaining('ECONNREFUSED') });
  feed = await FakeFeed.start(port);
  feed.history = [sampleAt(0), sampleAt(1)];
  let look = await next();
  while ('lost' in look) look = await next();
  expect(look).toMatchObject({ sample: { at: sampleAt(1).at } });
  ended.abort();
  expect(await looks.next()).toMatchObject({ done: true });
});

test("a node's clock that is set back hides no look", async () => {
  const ended = new AbortController();
  feed.history = [sampleAt(100)];
  const looks = follow(client(), { history: 9, signal: ended.signal });
  const at = async () => ((await looks.next()).value as { sample: { at: number } }).sample.at;
  expect(await at()).toBe(sampleAt(100).at);
  feed.send(sampleAt(5), sampleAt(101));
  expect([await at(), await at()]).toEqual([sampleAt(5).at, sampleAt(101).at]);
  ended.abort();
});

test('a silent node is lost after a while; a wrong address fails at once', async () => {
  feed.history = [sampleAt(0)];
  const ended = new AbortController();
  const looks = follow(client(), { history: 1, signal: ended.signal, silentMsMax: 50, retryMs: 5 });
  const next = async () => (await looks.next()).value as Look;
  // On a busy machine it may seem silent before its first look as well.
  let look = await next();
  while ('lost' in look) look = await next();
  expect(await next()).toEqual({ lost: 'no sign of the node for 0.05 s' });
  ended.abort();
  const nowhere = AdminClient.open({ http: 'http://127.0.0.1:1', tokenFile: '/none' });
  await expect(follow(nowhere, { history: 0, signal: ended.signal }).next()).resolves.toMatchObject({ done: true });
  await expect(follow(nowhere, { history: 0, signal: new AbortController().signal }).next()).rejects.toMatchObject({
    code: 'NODE_UNREACHABLE',
  });
});

test('a node of an earlier release, which has no feed, is named as such', async () => {
  const old = createServer((_, response) => {
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end('{"error":{"code":"INPUT_INVALID","message":"path: expected one of /channels, /stats"}}');
  }).listen(0, '127.0.0.1');
  await once(old, 'listening');
  const admin = AdminClient.open({
    http: `http://127.0.0.1:${(old.address() as AddressInfo).port}`,
    tokenFile: '/none',
  });
  await expect(follow(admin, { history: 0, signal: new AbortController().signal }).next()).rejects.toThrow(
    /expected a node that answers GET \/feed, got one without; it is of an earlier release/,
  );
  old.close();
});

test('what is no sample ends it, coded', async () => {
  for (const text of [
    'event: sample\ndata: {}\n\n',
    'event: sample\ndata: 7\n\n',
    `event: sample\ndata: ${'x'.repeat(1 << 21)}`,
  ]) {
    const looks = follow(client(), { history: 0, signal: new AbortController().signal });
    const first = looks.next();
    await until(() => feed.readers > 0);
    feed.sendText(text);
    await expect(first).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    await until(() => feed.readers === 0);
  }
});

test('a signal ends the feed, also after a collection of garbage', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const ended = new AbortController();
  feed.history = [sampleAt(0)];
  const looks = follow(client(), { history: 1, signal: ended.signal });
  await looks.next();
  const last = looks.next();
  for (let turn = 0; turn < 5; turn++) {
    await new Promise(setImmediate);
    collect();
  }
  ended.abort();
  const late = new Promise((resolve) => setTimeout(resolve, 2_000, 'late'));
  expect(await Promise.race([last, late])).toMatchObject({ done: true });
});

test('stats prints a table, or JSON', async () => {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  const run = async (...args: string[]) => {
    printed = '';
    const ended = stats.run(['--http', feed.url, ...args]);
    await until(() => feed.readers > 0);
    feed.send(sampleAt(3));
    expect(await ended).toBe(0);
    await until(() => feed.readers === 0);
    return printed;
  };
  const text = await run();
  for (const line of [
    /^runs +lanes, 2 verifying, backend native \(avx2\)/m,
    /^ {2}sync +\S+ .s/m,
    /^since start +received +1000000$/m,
    /refused.badSignature +42/,
  ])
    expect(text).toMatch(line);
  expect(text).not.toContain('badAmount');
  expect(JSON.parse(await run('--json'))).toMatchObject({
    stats: { backend: 'native' },
    sample: { at: sampleAt(3).at },
  });
});
