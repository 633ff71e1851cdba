/** Memory against its limit, and room on the disk, as the system tells them, or does not. */
import { expect, test } from 'vitest';
import { Machine, type MachineSource } from '../../../src/metrics/machine.ts';

const GIB = 2 ** 30;
const STATUS = 'Name:\tnode\nVmRSS:\t 5000 kB\nRssAnon:\t    3000 kB\nRssFile:\t    1900 kB\nRssShmem:\t     100 kB\n';
const source = (change: Partial<MachineSource> = {}): MachineSource => ({
  status: () => STATUS,
  memory: () => ({ resident: 7, limit: 8 * GIB }),
  statfs: async () => ({ bsize: 4_096, blocks: 1_000, bavail: 250 }),
  ...change,
});

test('pages of files are no used memory, since the system can take them back; without /proc it is the resident set', () => {
  expect(new Machine('/data', source()).state().memoryUsed).toBe(3_100 * 1_024);
  expect(new Machine('/data', source({ status: () => undefined })).state().memoryUsed).toBe(7);
});

test('the real machine has memory, a limit above what is used, and a disk', async () => {
  const machine = new Machine('/');
  await expect.poll(() => machine.state().disk?.size).toBeGreaterThan(0);
  const { memoryUsed, memoryLimit, disk } = machine.state();
  expect(memoryUsed).toBeGreaterThan(10 << 20);
  expect(memoryLimit).toBeGreaterThan(memoryUsed);
  expect(disk!.free).toBeLessThanOrEqual(disk!.size);
});

test('a disk that hangs is asked once, and makes nobody wait; one that fails is asked again', async () => {
  let asked = 0;
  const hanging = new Machine('/data', source({ statfs: () => new Promise(() => void asked++) }));
  for (let scrape = 0; scrape < 5; scrape++) expect(hanging.state().disk).toBeUndefined();
  expect(asked).toBe(1);
  let fails = true;
  const failing = new Machine(
    '/data',
    source({ statfs: async () => (fails ? Promise.reject(new Error('EIO')) : { bsize: 2, blocks: 4, bavail: 3 }) }),
  );
  await new Promise(setImmediate);
  fails = false;
  failing.state();
  await new Promise(setImmediate);
  expect(failing.state().disk).toEqual({ free: 6, size: 8 });
  expect(new Machine(undefined, source()).state().disk).toBeUndefined();
});
