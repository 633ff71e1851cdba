/**
 * A start that fails leaves nothing: no thread that goes on taking claims, no lock, no process. Runs the compiled program.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { expect, test, vi } from 'vitest';
import { NodeProcess, openChannels, removeFolder, temporaryFolders } from '../support/node-process.ts';
import { storeUnderTest } from '../support/store-under-test.ts';
import { openingJson, signedClaim, WirePeer } from '../support/wire.ts';

// Nodes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 });
const folder = temporaryFolders();
const ENDED_MS_MAX = 40_000;

/** How the process ended; 'runs on' where it did not, and is killed then. */
async function endOf(node: NodeProcess): Promise<number | null | 'runs on'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'runs on'>((done) => {
    timer = setTimeout(() => done('runs on'), ENDED_MS_MAX);
  });
  const end = await Promise.race([node.exit.then(({ code }) => code), late]);
  clearTimeout(timer);
  if (end === 'runs on') node.kill('SIGKILL');
  return end;
}

/** The folder is free, and sound. */
async function startAndStop(data: string): Promise<void> {
  const node = new NodeProcess(data);
  await node.ready;
  await node.stop();
}

/** Known before the node runs, so that claims can be sent to it from its first moment on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

test('a token file that others may read: the start is refused before any thread takes claims, and the process ends', async () => {
  const data = folder('token');
  const first = new NodeProcess(data);
  await openChannels(await first.ready, data, [openingJson(1n)]);
  await first.stop();
  chmodSync(join(data, 'admin-token'), 0o644);
  const port = await freePort();
  const peer = await WirePeer.to(`127.0.0.1:${port}`);
  const node = new NodeProcess(data, ['--udp', `127.0.0.1:${port}`]);
  const claim = signedClaim(1n, 500n);
  const sending = setInterval(() => void peer.send(claim), 50);
  const end = await endOf(node);
  clearInterval(sending);
  expect(end).toBe(1);
  expect(node.stderr).toContain('expected mode 600, got 644');
  expect(peer.acks).toEqual([]);
  peer.close();
  chmodSync(join(data, 'admin-token'), 0o600);
  await startAndStop(data);
});

test('an HTTP address that is taken is found before there are threads', async () => {
  const data = folder('http');
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => taken.once('listening', done));
  const { port } = taken.address() as { port: number };
  const node = new NodeProcess(data, ['--http', `127.0.0.1:${port}`]);
  expect(await endOf(node)).toBe(1);
  expect(node.stderr).toContain(`http 127.0.0.1:${port}: expected an address to listen on, got EADDRINUSE`);
  expect(node.stderr).not.toContain('layout');
  taken.close();
});

test('a TLS key that is not the certificate’s is the operator’s fault, told before there are threads', async () => {
  const data = folder('tls');
  const cert = resolve(import.meta.dirname, '../support/wire-tls-cert.pem');
  const node = new NodeProcess(data, ['--tls-cert', cert, '--tls-key', cert]);
  expect(await endOf(node)).toBe(1);
  expect(node.stderr).toMatch(/^claimwire: tls: expected a PEM certificate and the key that belongs to it, got: /m);
});

test('a lane that fails while the others are ready ends the start with its reason, and the process', async () => {
  const data = folder('lane');
  const preload = join(data, 'fail.cjs');
  writeFileSync(
    preload,
    `const { isMainThread, workerData } = require('node:worker_threads');
     if (!isMainThread && workerData?.role === 'lane' && workerData.thread === 2) throw new Error('a lane of no use');`,
  );
  const node = new NodeProcess(data, ['--layout', 'lanes', '--lanes', '3'], undefined, {
    env: { NODE_OPTIONS: `--require ${preload}` },
  });
  expect(await endOf(node)).toBe(1);
  expect(node.stderr).toContain('a lane of no use');
});

test('a lane that just ends, and a ready one that fails while another still starts, end the start too', async () => {
  for (const [name, fault, said] of [
    ['ends', 'workerData.thread === 1) process.exit(3)', 'lane thread: expected it to run on, got its end with code 3'],
    [
      'fails-later',
      `workerData.thread === 0) setTimeout(() => { throw new Error('too late'); }, 400);
       if (!isMainThread && workerData?.thread === 1) { const until = Date.now() + 3000; while (Date.now() < until); }`,
      'too late',
    ],
  ] as const) {
    const data = folder(name);
    const preload = join(data, 'fail.cjs');
    writeFileSync(
      preload,
      `const { isMainThread, workerData } = require('node:worker_threads');
       if (!isMainThread && workerData?.role === 'lane' && ${fault};`,
    );
    const node = new NodeProcess(data, ['--layout', 'lanes', '--lanes', '2'], undefined, {
      env: { NODE_OPTIONS: `--require ${preload}` },
    });
    expect(await endOf(node), name).toBe(1);
    expect(node.stderr).toContain(said);
    // The lock has gone with it, and what a library's user would have left.
    removeFolder(preload);
    await startAndStop(data);
  }
});

test('a library’s start that fails leaves its process no thread: it ends by itself', async () => {
  const data = folder('library');
  const preload = join(data, 'fail.cjs');
  writeFileSync(
    preload,
    `const { isMainThread, workerData } = require('node:worker_threads');
     if (!isMainThread && workerData?.role === 'lane' && workerData.thread === 1) throw new Error('a lane of no use');`,
  );
  const index = resolve(import.meta.dirname, '../../dist/src/index.js');
  const script = `import { ClaimwireNode } from ${JSON.stringify(index)};
    const udp = { host: '127.0.0.1', port: 0 };
    try { await ClaimwireNode.start({ ...${JSON.stringify({ data, ...storeUnderTest.options(data) })}, udp, layout: 'lanes', lanes: 2 }); }
    catch (error) { console.log(error.message); }`;
  const program = join(data, 'program.mjs');
  writeFileSync(program, script);
  const run = spawnSync(process.execPath, ['--require', preload, program], { encoding: 'utf8', timeout: ENDED_MS_MAX });
  expect(run).toMatchObject({ status: 0, stdout: 'lane thread: a lane of no use\n' });
  removeFolder(preload);
  await startAndStop(data);
});
