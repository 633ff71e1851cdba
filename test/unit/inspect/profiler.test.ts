/** Profiles of real threads, none of which has code for it. In a process of its own: a test is in a worker, which cannot reach others. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { namesOf, profileThreads } from '../../../src/inspect/profiler.ts';

test('threads that compute or sleep for ever are profiled; one that cannot answer is told; one profile at a time', async () => {
  const child = resolve(import.meta.dirname, '../../support/profile-child.mjs');
  const { stdout } = await promisify(execFile)(process.execPath, [child], { timeout: 30_000 });
  const told = JSON.parse(stdout);
  expect(told.second).toBe('NODE_BUSY');
  expect(told.first).toMatchObject({
    silent: ['gone'],
    names: ['main', 'busy', 'asleep'],
    matches: [true, true, true],
  });
  expect(told.first.functions).toContain('compute');
  expect(told.first.seconds).toBeGreaterThanOrEqual(0.2);
  expect(told.aborted.seconds).toBeLessThan(10);
  expect(told.aborted.names).toContain('main');
});

test('in a worker it says why it cannot', async () => {
  await expect(profileThreads(1)).rejects.toMatchObject({
    code: 'NODE_FAILED',
    message: expect.stringContaining('in a worker'),
  });
});

test('several threads of a name are numbered as they were started', () => {
  expect(namesOf(['[worker 7] lane', '[worker 2] net', '[worker 3] lane', 'odd'])).toEqual([
    { name: 'lane 1', thread: 7 },
    { name: 'net', thread: 2 },
    { name: 'lane 0', thread: 3 },
    { name: 'worker', thread: 0 },
  ]);
});
