/**
 * What a node does when its disk fails, fills or hangs: by a library preloaded into it and a small file system. Runs the
 * compiled program. Linux with a C compiler; mounting takes root.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { STATUS } from '../../protocol/layout.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { isNativeTested } from '../support/native-only.ts';
import {
  claimwire,
  getJson,
  NodeProcess,
  openChannels,
  postChannels,
  type ReadyLine,
  temporaryFolders,
} from '../support/node-process.ts';
import { openingJson, signedClaim, WirePeer } from '../support/wire.ts';

// Nodes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 });
const folder = temporaryFolders();
const LAYOUTS = [
  ['--layout', 'lanes'],
  ['--layout', 'pipeline', '--sockets', 'dgram'],
];

async function untilTrue(what: string, is: () => Promise<boolean> | boolean, ms = 60_000): Promise<void> {
  for (const end = performance.now() + ms; !(await is()); await new Promise((resolve) => setTimeout(resolve, 50)))
    if (performance.now() > end) throw new Error(`expected ${what} within ${ms} ms`);
}

async function isReady(ready: ReadyLine): Promise<boolean> {
  return (await fetch(`http://${ready.http}/readyz`)).ok;
}

async function committed(ready: ReadyLine): Promise<string[]> {
  return (await getJson<{ committed: string }[]>(ready, '/channels')).map((channel) => channel.committed);
}

/** A node on a faulty disk with channel 1 open, a peer that has had 100 acknowledged on it. */
async function startOn(disk: FaultyDisk, name: string, flags: string[] = []) {
  const data = folder(name);
  const node = new NodeProcess(data, flags, undefined, { env: disk.env });
  const ready = await node.ready;
  await openChannels(ready, data, [openingJson(1n)]);
  const peer = await WirePeer.to(ready.udp);
  expect((await peer.ask(signedClaim(1n, 100n))).status).toBe(STATUS.COMMITTED);
  return { data, node, ready, peer };
}

describe.skipIf(!isNativeTested)('a faulty disk', () => {
  let disk: FaultyDisk;
  beforeAll(() => {
    disk = new FaultyDisk();
  });
  afterEach(() => disk.mend());
  afterAll(() => disk.remove());

  test('one failed registry commit: the client is told, the node says why in one line, drains and exits with 1', async () => {
    const { data, node, ready, peer } = await startOn(disk, 'eio');
    disk.set('eio', 'data.mdb');
    const answer = await postChannels(ready, data, openingJson(2n));
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ error: { code: 'REGISTRY_FAILED' } });
    expect((await node.exit).code).toBe(1);
    peer.close();
    const lines = node.stderr.split('\n').filter((line) => / error /.test(line));
    expect(lines).toEqual([expect.stringMatching(/ error registry .*: expected the disk to take it, got: /)]);
    expect(node.stderr).not.toMatch(/unhandled|at process\.processTicks/i);
    expect(node.stdout.length).toBe(1);
    disk.mend();
    expect((await claimwire('journal', 'verify', join(data, 'journal', '0'))).code).toBe(0);
    const again = new NodeProcess(data);
    expect(await committed(await again.ready)).toEqual(['100']);
    await again.stop();
  });

  test('a checkpoint that fails ends the node the same way', async () => {
    const { data, node, peer } = await startOn(disk, 'checkpoint', ['--checkpoint-seconds', '1']);
    disk.set('eio', 'data.mdb');
    await peer.send(signedClaim(1n, 200n));
    expect((await node.exit).code).toBe(1);
    peer.close();
    expect(node.stderr).toContain('expected the disk to take it, got: ');
    disk.mend();
    const again = new NodeProcess(data);
    expect(await committed(await again.ready)).not.toEqual(['0']);
    await again.stop();
  });

  test.each(LAYOUTS)('a sync that hangs: not ready while claims wait for it, ready after (%s %s)', async (...flags) => {
    const { node, ready, peer } = await startOn(disk, 'hang', flags);
    expect(await isReady(ready)).toBe(true);
    disk.set('hang', '.seg');
    await peer.send(signedClaim(1n, 300n));
    await untilTrue('/readyz to say no', async () => !(await isReady(ready)));
    expect((await fetch(`http://${ready.http}/healthz`)).status).toBe(200);
    await untilTrue('a line in the log', () => /warn .*: not ready$/m.test(node.stderr));
    disk.mend();
    expect((await peer.ask(signedClaim(1n, 300n))).amount).toBe(300n);
    await untilTrue('/readyz to say yes', () => isReady(ready));
    peer.close();
    await node.stop();
  });

  test.each(LAYOUTS)('a journal that fails while draining: exit 1, no stopped line (%s %s)', async (...flags) => {
    const { data, node, peer } = await startOn(disk, 'drain', flags);
    disk.set('hang', '.seg');
    await peer.send(signedClaim(1n, 400n));
    await new Promise((resolve) => setTimeout(resolve, 300));
    node.kill('SIGTERM');
    await untilTrue('the drain to begin', () => node.stderr.includes('SIGTERM: draining'));
    disk.set('eio', '.seg');
    expect((await node.exit).code).toBe(1);
    peer.close();
    expect(node.stderr).toMatch(/ error while draining: .*: expected the disk to take it, got EIO/);
    expect(node.stdout.length).toBe(1);
    disk.mend();
    const again = new NodeProcess(data);
    expect(['100', '400']).toContain((await committed(await again.ready))[0]);
    await again.stop();
  });
});

const canMount = process.platform === 'linux' && process.getuid?.() === 0;
if (!canMount) console.warn('FULL DISKS NOT CHECKED HERE: mounting a small file system takes root');

describe.skipIf(!canMount)('a full disk', () => {
  let mounted = '';
  afterEach(() => {
    if (mounted !== '') spawnSync('umount', ['-l', mounted]);
    mounted = '';
  });

  /** A file system of `megabytes` at `path`. */
  function mount(path: string, megabytes: number): void {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const run = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'tmpfs', path], {
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    mounted = path;
  }
  function fill(path: string, leftBytes: number): void {
    const { bavail, bsize } = statfsSync(path);
    writeFileSync(join(path, 'filler'), Buffer.alloc(bavail * bsize - leftBytes, 1));
  }
  const many = (first: number) => Array.from({ length: 2_000 }, (_, index) => openingJson(BigInt(first + index)));

  // LMDB says ENOSPC where it could write nothing, and EIO where it could write some.
  test.each([0, 160 * 1024])(
    '%i bytes left: 507, the node stays up, takes claims, and takes channels once there is room',
    async (left) => {
      const data = folder('full');
      mount(join(data, 'registry-disk'), 8);
      rmSync(join(data, 'registry'), { recursive: true, force: true });
      spawnSync('ln', ['-s', join(data, 'registry-disk', 'registry'), join(data, 'registry')]);
      mkdirSync(join(data, 'registry-disk', 'registry'));
      const seed = folder('seed');
      const seeding = new NodeProcess(seed);
      await seeding.ready;
      await seeding.stop();
      spawnSync('cp', [join(seed, 'registry', 'data.mdb'), join(data, 'registry-disk', 'registry', 'data.mdb')]);
      const node = new NodeProcess(data, ['--checkpoint-seconds', '1']);
      const ready = await node.ready;
      await openChannels(ready, data, [openingJson(1n)]);
      const peer = await WirePeer.to(ready.udp);
      expect((await peer.ask(signedClaim(1n, 100n))).status).toBe(STATUS.COMMITTED);
      fill(join(data, 'registry-disk'), left);
      for (let tries = 0; tries < 3; tries++) {
        const answer = await postChannels(ready, data, many(10));
        expect(answer.status).toBe(507);
        expect(await answer.json()).toMatchObject({ error: { code: 'REGISTRY_FULL' } });
      }
      expect((await peer.ask(signedClaim(1n, 200n))).status).toBe(STATUS.COMMITTED);
      expect(await isReady(ready)).toBe(true);
      expect(await committed(ready)).toEqual(['200']);
      rmSync(join(data, 'registry-disk', 'filler'));
      expect((await postChannels(ready, data, many(10))).status).toBe(200);
      expect((await peer.ask(signedClaim(1n, 300n))).status).toBe(STATUS.COMMITTED);
      peer.close();
      expect(await node.stop()).toMatchObject({ event: 'stopped', channels: 2_001 });
      expect(node.stderr).not.toMatch(/unhandled/i);
      const again = new NodeProcess(data);
      expect((await committed(await again.ready))[0]).toBe('300');
      await again.stop();
    },
    60_000,
  );

  test('journal and registry on one full disk: claims go on in the segments that are there', async () => {
    const data = folder('all-full');
    mount(data, 260);
    const node = new NodeProcess(data, ['--checkpoint-seconds', '1', '--layout', 'lanes', '--lanes', '1']);
    const ready = await node.ready;
    await openChannels(ready, data, [openingJson(1n)]);
    // The second segment is prepared, and a full disk then stops nothing that is there.
    await untilTrue('two segments', () => {
      const { bavail, bsize, blocks } = statfsSync(data);
      return (blocks - bavail) * bsize > 128 * 2 ** 20;
    });
    fill(data, 0);
    const answer = await postChannels(ready, data, many(10));
    expect(answer.status).toBe(507);
    const peer = await WirePeer.to(ready.udp);
    for (let amount = 1n; amount <= 50n; amount++)
      expect((await peer.ask(signedClaim(1n, amount))).status).toBe(STATUS.COMMITTED);
    peer.close();
    rmSync(join(data, 'filler'));
    await node.stop();
  });
});
