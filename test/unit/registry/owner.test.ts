/** Whether the process that owns a registry still runs: by its start, where the system tells it, so that a pid used again is another one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { isOwnerAlive, ownerOf } from '../../../src/registry/owner.ts';

const own = ownerOf(process.pid);

test('this process is alive; a process of another start or boot is not', () => {
  expect(isOwnerAlive(own)).toBe(true);
  expect(isOwnerAlive({ ...own, bootId: 'of another boot' })).toBe(false);
  if (own.startTicks !== null) expect(isOwnerAlive({ ...own, startTicks: `${own.startTicks}0` })).toBe(false);
});

test('without a start to compare, a process is alive where a signal would reach it, or is another user’s', async () => {
  expect(isOwnerAlive({ ...own, startTicks: null })).toBe(true);
  const ended = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(ended, 'exit');
  expect(isOwnerAlive({ ...own, pid: ended.pid!, startTicks: null })).toBe(false);
  expect(isOwnerAlive({ ...own, pid: 1, startTicks: null })).toBe(true);
});
