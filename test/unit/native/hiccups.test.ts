/** The hiccup meter: what is made of two readings, and that C counts into the same buckets. */
import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { bucketOf, lowestOf } from '../../../src/log-buckets.ts';
import { hiccupsBetween, readHiccups } from '../../../src/native/hiccups.ts';
import { isNativeTested } from '../../support/native-only.ts';

test('what was seen between two readings, as percentiles of milliseconds', () => {
  const before = { 3: 10, 56: 5 };
  const after = { 3: 1_000, 56: 12, 5120: 2, 0: 1 };
  // 1 of 0 us, 990 of 3, 7 of 56..59, 2 of 5,120..5,631.
  expect(hiccupsBetween(before, after)).toEqual({
    count: 1_000,
    p50Ms: 0.003,
    p99Ms: 0.003,
    p999Ms: 5.631,
    maxMs: 5.631,
  });
  expect(hiccupsBetween(after, after)).toBeNull();
  expect(hiccupsBetween(undefined, after)).toBeNull();
});

test.runIf(isNativeTested)('a meter runs while it is read, and counts by the buckets of log-buckets', async () => {
  const before = readHiccups();
  let after = readHiccups();
  for (let look = 0; look < 500 && (hiccupsBetween(before, after)?.count ?? 0) < 5; look++) {
    await setTimeout(2);
    after = readHiccups();
  }
  expect(hiccupsBetween(before, after)?.count).toBeGreaterThanOrEqual(5);
  for (const us of Object.keys(after!).map(Number)) expect(lowestOf(bucketOf(us, 3), 3)).toBe(us);
});

test.runIf(isNativeTested && process.platform === 'linux')(
  'a thread is pinned to one core, and those beside it are not',
  async () => {
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
     const allowed = () => /Cpus_allowed_list:\\s*(\\S+)/.exec(require('node:fs').readFileSync('/proc/thread-self/status', 'utf8'))[1];
     const before = allowed();
     const cores = [0, 1, 4096].map((n) => [require(workerData).pinThread(n), allowed()]);
     parentPort.postMessage({ before, cores, slack: require(workerData).timerSlack(1) });`,
      { eval: true, workerData: new URL('../../../build/claimwire.node', import.meta.url).pathname },
    );
    const { before, cores, slack } = await new Promise<{ before: string; cores: [number, string][]; slack: boolean }>(
      (resolve, reject) => worker.once('message', resolve).once('error', reject),
    );
    expect(slack).toBe(true);
    for (const [core, allowed] of cores) expect(allowed).toBe(String(core));
    if (before.includes('-') || before.includes(',')) expect(cores[1]![0]).not.toBe(cores[0]![0]);
    await worker.terminate();
  },
);
