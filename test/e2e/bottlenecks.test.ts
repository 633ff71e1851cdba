/**
 * The bottleneck finder on live nodes that are held back on purpose: `make bottlenecks`. Not in the suite, since it needs the
 * machine's time.
 *
 * Each case looks five times, and most of the looks must name the cause. On a machine that others use a run may still meet
 * another cause, truly: then it is run again, at most twice, and each try is printed with its evidence.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { LoadedNode } from '../../bench/framework/loaded-node.ts';
import type { SteadyBottleneck } from '../../bench/framework/steady-bottleneck.ts';
import { NodeUnderTest, type Program } from '../../bench/node-under-test.ts';
import type { BottleneckKind } from '../../src/metrics/bottleneck.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { temporaryFolders } from '../support/node-process.ts';

vi.setConfig({ testTimeout: 180_000 });
const TRIES_MAX = 3;
const LOOKS = 5;
const LOOK_SECONDS = 0.8;
const IS_ASKED_FOR = process.env.BOTTLENECKS !== undefined;
const CLI = resolve(import.meta.dirname, '../../dist/tools/cli.js');
const folder = temporaryFolders();
const hogs: ChildProcess[] = [];
const disk = IS_ASKED_FOR ? new FaultyDisk() : undefined;

afterEach(() => {
  for (const hog of hogs.splice(0)) hog.kill('SIGKILL');
});
afterAll(() => disk?.remove());

const MAX = ['--rate', 'max', '--duration', '6', '--warmup', '1'];

/** Expects `kind` from one of the tries, most of whose looks name it. */
async function expectFound(kind: BottleneckKind, look: () => Promise<SteadyBottleneck>): Promise<void> {
  const tries: SteadyBottleneck[] = [];
  for (let count = 1; count <= TRIES_MAX; count++) {
    const found = await look();
    tries.push(found);
    const isIt = found.kind === kind && found.named > found.looks / 2;
    process.stdout.write(`${kind}, try ${count}: ${found.kind}; ${found.evidence.join('; ')}\n`);
    if (isIt) return;
  }
  expect(tries.at(-1), JSON.stringify(tries)).toMatchObject({ kind });
  expect.fail(`${kind}: named, but in fewer than most of the looks`);
}

/** What holds a node with these flags back under this load, by looks in its middle. */
async function found(flags: string[], load: string[], { env = {}, begun }: Held = {}): Promise<SteadyBottleneck> {
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
      return await loaded.bottleneck(load, 1.2, LOOK_SECONDS, LOOKS);
    },
    program,
  );
}

/** A disk that others use at the same time would be a second cause. */
const NO_SYNCS = ['--durability', 'os'];

interface Held {
  env?: Record<string, string>;
  begun?: (node: NodeUnderTest) => void;
}

describe.runIf(IS_ASKED_FOR)('live nodes held back on purpose', () => {
  test('the disk throttled: every write and sync of the journal takes 2 ms longer', async () => {
    const slow = () => disk!.set('slow', 'journal');
    // A window that would fill larger groups hides the disk: 200 claims unanswered keep groups small.
    const load = [...MAX, '--window', '200'];
    await expectFound('disk-sync', async () => {
      const bottleneck = await found(['--lanes', '1'], load, { env: disk!.env, begun: slow });
      disk!.mend();
      return bottleneck;
    });
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
      '6',
      '--warmup',
      '1',
      '--per-datagram',
      '1',
    ];
    await expectFound('receive-buffer', () => found(NO_SYNCS, bursts, { env: small }));
  });

  test('one core taken: two busy processes pinned to it', async () => {
    const busy = () => {
      for (let hog = 0; hog < 2; hog++) hogs.push(spawn('taskset', ['-c', '1', 'sh', '-c', 'while :; do :; done']));
    };
    await expectFound('core-taken', async () => {
      const bottleneck = await found(NO_SYNCS, MAX, { begun: busy });
      for (const hog of hogs.splice(0)) hog.kill('SIGKILL');
      return bottleneck;
    });
  });

  test('tables evicted: a cache of 32 MiB and 20,000 keys in turn', async () => {
    const many = ['--channels', '20000', '--keys', '20000'];
    await expectFound('key-tables', () =>
      found([...NO_SYNCS, '--key-cache', '32M', '--lanes', '1'], [...MAX, ...many]),
    );
  });
});
