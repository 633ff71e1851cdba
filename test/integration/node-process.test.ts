/**
 * The node as a process among others: signals, readers of its output that die, and a machine's clock that is set back.
 * Runs the compiled program.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test, vi } from 'vitest';
import { STATUS } from '../../protocol/layout.ts';
import type { ChannelJson } from '../../src/channel/parse.ts';
import { checkRegistry } from '../../src/registry/check.ts';
import { claimwire, getJson, NodeProcess, openChannels, temporaryFolders } from '../support/node-process.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { openingJson, signedClaim, WirePeer } from '../support/wire.ts';

// Nodes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 });
const folder = temporaryFolders();

/** A node with channel 1 open and 100 acknowledged on it. */
async function start(name: string, flags: string[] = [], env: Record<string, string> = {}) {
  const data = folder(name);
  const node = new NodeProcess(data, flags, undefined, { env });
  const ready = await node.ready;
  await openChannels(ready, data, [openingJson(1n)]);
  const peer = await WirePeer.to(ready.udp);
  expect((await peer.ask(signedClaim(1n, 100n))).status).toBe(STATUS.COMMITTED);
  return { data, node, ready, peer };
}

/** What of the channels a checkpoint has written down, as a text. */
async function channelsIn(data: string): Promise<string> {
  if (!storeUnderTest.isEmbedded) return await storeUnderTest.databases.channelsOf(data);
  return readFileSync(join(data, 'registry', 'data.mdb'), 'latin1');
}

async function untilTrue(what: string, is: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !(await is()); await new Promise((resolve) => setTimeout(resolve, 50)))
    if (performance.now() > end) throw new Error(`expected ${what} within 60 s`);
}

test('SIGUSR1 opens no debugger', async () => {
  const { node, peer } = await start('sigusr1');
  node.kill('SIGUSR1');
  expect((await peer.ask(signedClaim(1n, 200n))).status).toBe(STATUS.COMMITTED);
  // Node would say so, or that it could not have the port.
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(node.stderr).not.toMatch(/debugger|inspector/i);
  peer.close();
  await node.stop();
});

test('SIGHUP drains as SIGTERM does, also when it comes twice', async () => {
  const { data, node, peer } = await start('sighup');
  node.kill('SIGHUP');
  await untilTrue('the drain to begin', () => node.stderr.includes('SIGHUP: draining'));
  node.kill('SIGHUP');
  expect(await node.exit).toEqual({ code: 0, signal: null });
  expect(JSON.parse(node.stdout.at(-1)!)).toMatchObject({ event: 'stopped', channels: 1 });
  peer.close();
  // Checkpointed: nothing is left to replay.
  const again = new NodeProcess(data);
  await again.ready;
  expect(again.stderr).not.toContain('replayed');
  await again.stop();
});

test.each([
  ['stdout', ['stdout']],
  ['stderr', ['stderr']],
  ['stdout and stderr', ['stdout', 'stderr']],
] as const)('a closed %s ends no node: it drains when asked to', async (_name, streams) => {
  const { data, node, peer } = await start('closed');
  for (const stream of streams) node.closeReader(stream);
  // It has something to say on both from here on.
  node.kill('SIGTERM');
  expect(await node.exit).toEqual({ code: 0, signal: null });
  peer.close();
  const again = new NodeProcess(data);
  const [channel] = await getJson<ChannelJson[]>(await again.ready, '/channels');
  expect(channel!.committed).toBe('100');
  expect(again.stderr).not.toContain('replayed');
  await again.stop();
});

test('a log on a full disk ends no node either', async () => {
  const data = folder('log-full');
  const cli = resolve(import.meta.dirname, '../../dist/tools/cli.js');
  const store = storeUnderTest.flags(data).join(' ');
  const run = `exec "${process.execPath}" "${cli}" node --data "${data}" --udp 127.0.0.1:0 --http 127.0.0.1:0 ${store} 2>/dev/full`;
  const child = spawn('bash', ['-c', run], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const input = createInterface({ input: child.stdout });
  const ended = once(child, 'close');
  await new Promise<void>((done) => {
    input.on('line', (line) => {
      lines.push(line);
      done();
    });
    void ended.then(() => done());
  });
  child.kill('SIGTERM');
  expect((await ended)[0]).toBe(0);
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(['ready', 'stopped']);
});

test('commands that print and end still end when their reader has seen enough', async () => {
  expect((await claimwire('--help')).code).toBe(0);
  const cli = resolve(import.meta.dirname, '../../dist/tools/cli.js');
  const script = `{ "${process.execPath}" "${cli}" node --help; echo "code $?" >&2; } | true`;
  const run = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(run.stderr).toBe('code 0\n');
});

test('a clock set back: what has expired stays expired, checkpoints go on, uptime is none below 0', async () => {
  const clock = join(folder('clock'), 'shift');
  const preload = resolve(import.meta.dirname, '../support/shifted-clock.cjs');
  writeFileSync(clock, '0');
  const env = { NODE_OPTIONS: `--require ${preload}`, CLAIMWIRE_TEST_CLOCK: clock };
  for (const flags of [
    ['--layout', 'lanes', '--lanes', '2'],
    ['--layout', 'pipeline', '--sockets', 'dgram'],
  ]) {
    writeFileSync(clock, '0');
    const { data, node, ready, peer } = await start('back', ['--checkpoint-seconds', '1', ...flags], env);
    const expiresAt = Math.floor(Date.now() / 1_000) + 30;
    await openChannels(ready, data, [openingJson(2n, { expiresAt })]);
    expect((await peer.ask(signedClaim(2n, 100n))).status).toBe(STATUS.COMMITTED);
    writeFileSync(clock, '60000');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await peer.ask(signedClaim(2n, 200n))).status).toBe(STATUS.CHANNEL_CLOSED);
    writeFileSync(clock, '-3600000');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await peer.ask(signedClaim(2n, 300n))).status, flags[1]).toBe(STATUS.CHANNEL_CLOSED);
    await untilTrue('a line in the log', () => /clock: set back by 36\d\d s/.test(node.stderr));
    const { uptimeSeconds } = await getJson<{ uptimeSeconds: number }>(ready, '/stats');
    expect(uptimeSeconds).toBeGreaterThanOrEqual(0);
    const before = await channelsIn(data);
    expect((await peer.ask(signedClaim(1n, 900n))).status).toBe(STATUS.COMMITTED);
    await untilTrue('a checkpoint', async () => (await channelsIn(data)) !== before);
    // A start goes by the machine's clock again.
    peer.close();
    expect(await node.stop()).toMatchObject({ event: 'stopped' });
    if (storeUnderTest.isEmbedded) expect(checkRegistry(join(data, 'registry'))).toBe(2);
  }
});
