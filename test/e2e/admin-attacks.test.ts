/**
 * The admin interface of a real node under attack by programs without the token: its memory stays bounded, it answers, its
 * operator has access, and afterwards everything is as before.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { brieflyOrAtLength } from '../support/length.ts';
import {
  adminFlags,
  claimwire,
  getJson,
  NodeProcess,
  openChannels,
  type ReadyLine,
  temporaryFolders,
} from '../support/node-process.ts';

const ATTACKERS = resolve(import.meta.dirname, '../siege/attackers');
const SECONDS = brieflyOrAtLength(1.2, 4);
const CHANNELS = 20_000;
const GROWTH_BYTES_MAX = 128 << 20;
const KEY = '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7';
const folder = temporaryFolders();

const opening = (id: number) => ({
  ledgerChannelId: id.toString(16).padStart(16, '0').padEnd(64, 'E'),
  publicKey: KEY,
  capacity: '1000',
});

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

/** One node goes through all attacks; memory is compared with what it had before each. */
let node: NodeProcess;
let ready: ReadyLine;
let data: string;
let channels = CHANNELS;
beforeAll(async () => {
  data = folder('attacked');
  node = new NodeProcess(data, ['--lanes', '1']);
  ready = await node.ready;
  for (let first = 0; first < CHANNELS; first += 4_000)
    await openChannels(
      ready,
      data,
      Array.from({ length: 4_000 }, (_, index) => opening(first + index)),
    );
});
afterAll(() => node?.stop());

test.skipIf(process.platform !== 'linux').each([
  ['pipelined-listings.mjs', { connections: 16, requests: 500, reader: 'mixed' }],
  ['pipelined-listings.mjs', { connections: 200, requests: 300, reader: 'gone' }],
  ['endless-bodies.mjs', { connections: 128, kind: 'mixed' }],
])('%s %j: memory stays, health is told, the operator opens channels', { timeout: 90_000 }, async (name, settings) => {
  const before = residentBytes(node.pid);
  let peak = before;
  const given = JSON.stringify({ http: `http://${ready.http}`, seconds: SECONDS, ...settings });
  let isOver = false;
  const attack = promisify(execFile)(process.execPath, [join(ATTACKERS, name), given]).finally(() => {
    isOver = true;
  });
  let asked = 0;
  for (; !isOver; asked++) {
    // On a connection of its own, as a probe asks: nothing tells it from the attacker's.
    const health = await fetch(`http://${ready.http}/healthz`, { headers: { connection: 'close' } });
    expect(await health.json()).toEqual({ status: 'ok' });
    if (asked % 10 === 0) await openChannels(ready, data, [opening(channels++)]);
    peak = Math.max(peak, residentBytes(node.pid));
    await new Promise((done) => setTimeout(done, 20));
  }
  const { connected } = JSON.parse((await attack).stdout) as { connected: number };
  expect(connected).toBeGreaterThanOrEqual(settings.connections);
  expect(asked).toBeGreaterThan(1);
  expect(peak - before).toBeLessThan(GROWTH_BYTES_MAX);

  // The attack is over: only this connection is left, and reading needs no token again.
  for (let connections = 64; connections > 2; )
    ({ connections } = (await getJson<{ http: { connections: number } }>(ready, '/stats')).http);
  const listed = await claimwire('channel', 'list', '--json', ...adminFlags(ready, data));
  expect(listed.code).toBe(0);
  expect((JSON.parse(listed.stdout) as unknown[]).length).toBe(channels);
});
