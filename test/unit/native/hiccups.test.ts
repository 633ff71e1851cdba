/** The hiccup meter: what is made of two readings, and that C counts into the same buckets. */
import { spawnSync } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
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

test.runIf(isNativeTested)(
  'it outlives the thread that first read it, whose end unloads an addon that no other thread has',
  () => {
    const addon = new URL('../../../build/claimwire.node', import.meta.url).pathname;
    const program = `const { Worker } = require('node:worker_threads');
    const worker = new Worker('require(${JSON.stringify(addon)}).hiccups(new Float64Array(240))', { eval: true });
    worker.once('exit', () => setTimeout(() => console.log('alive'), 30));`;
    const { status, signal, stdout } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' });
    expect([status, signal, stdout.trim()]).toEqual([0, null, 'alive']);
  },
);
