/**
 * The bottleneck finder on live nodes that are held back on purpose: `make bottlenecks`. Not in the suite, since it needs the
 * machine's time and asserts what a busy machine would change.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { LoadedNode } from '../../bench/framework/loaded-node.ts';
import { NodeUnderTest, type Program } from '../../bench/node-under-test.ts';
import type { Bottleneck } from '../../src/metrics/bottleneck.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { temporaryFolders } from '../support/node-process.ts';

vi.setConfig({ testTimeout: 120_000 });
const IS_ASKED_FOR = process.env.BOTTLENECKS !== undefined;
const CLI = resolve(import.meta.dirname, '../../dist/tools/cli.js');
const folder = temporaryFolders();
const hogs: ChildProcess[] = [];
const disk = IS_ASKED_FOR ? new FaultyDisk() : undefined;

afterEach(() => {
  for (const hog of hogs.splice(0)) hog.kill('SIGKILL');
});
afterAll(() => disk?.remove());

const MAX = ['--rate', 'max', '--duration', '4', '--warmup', '1'];

/** What holds a node with these flags back under this load, looked at for two seconds in its middle. */
async function found(flags: string[], load: string[], { env = {}, begun }: Held = {}): Promise<Bottleneck> {
  const program: Program = {
    node: [process.execPath, CLI, 'node'],
    load: [process.execPath, CLI, 'load'],
    options: { env: { ...process.env, ...env } },
  };
  return await NodeUnderTest.run(
    folder('bottleneck'),
    flags,
    async (running) => {
      const loaded = new LoadedNode(running);
      await loaded.load(['--rate', 'max', '--duration', '0.5', '--warmup', '0']);
      begun?.(running);
      return await loaded.bottleneck(load, 1.5, 2);
    },
    program,
  );
}

interface Held {
  env?: Record<string, string>;
  begun?: (node: NodeUnderTest) => void;
}

describe.runIf(IS_ASKED_FOR)('live nodes held back on purpose', () => {
  test('the disk throttled: every write and sync of the journal takes 2 ms longer', async () => {
    const slow = () => disk!.set('slow', 'journal');
    // A window that would fill larger groups hides the disk: 200 claims unanswered keep groups small.
    const bottleneck = await found(['--lanes', '1'], [...MAX, '--window', '200'], { env: disk!.env, begun: slow });
    disk!.mend();
    expect(bottleneck, JSON.stringify(bottleneck)).toMatchObject({ kind: 'disk-sync' });
  });

  test('the network throttled: receive buffers of 4 KB', async () => {
    const library = join(folder('small-buffers'), 'small-buffers.so');
    const source = resolve(import.meta.dirname, '../support/small-buffers.c');
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
    const small = { LD_PRELOAD: library, CLAIMWIRE_TEST_BUFFER: '4096' };
    const bursts = [
      '--rate',
      '20000',
      '--arrivals',
      'burst:2000',
      '--duration',
      '4',
      '--warmup',
      '1',
      '--per-datagram',
      '1',
    ];
    const bottleneck = await found([], bursts, { env: small });
    expect(bottleneck, JSON.stringify(bottleneck)).toMatchObject({ kind: 'receive-buffer' });
  });

  test('one core taken: two busy processes pinned to it', async () => {
    // Without syncs, since a disk that others use at the same time would be a second cause.
    const busy = () => {
      for (let hog = 0; hog < 2; hog++) hogs.push(spawn('taskset', ['-c', '1', 'sh', '-c', 'while :; do :; done']));
    };
    const bottleneck = await found(['--durability', 'os'], MAX, { begun: busy });
    expect(bottleneck, JSON.stringify(bottleneck)).toMatchObject({ kind: 'core-taken' });
  });

  test('tables evicted: a cache of 32 MiB and 20,000 keys in turn', async () => {
    const many = ['--channels', '20000', '--keys', '20000'];
    const bottleneck = await found(['--key-cache', '32M', '--lanes', '1'], [...MAX, ...many]);
    expect(bottleneck, JSON.stringify(bottleneck)).toMatchObject({ kind: 'key-tables' });
  });
});
