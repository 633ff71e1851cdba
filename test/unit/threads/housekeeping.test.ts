/**
 * Housekeeping by a clock of the test's: when a checkpoint is due, what a full disk changes, what ends the node.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ClaimwireError } from '../../../src/errors.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { Housekeeping, type HousekeepingOptions } from '../../../src/threads/housekeeping.ts';

const FULL = new ClaimwireError('REGISTRY_FULL', 'registry: full');
const SEGMENT_FULL = new ClaimwireError(
  'JOURNAL_FAILED',
  'prepare: full',
  {},
  {
    cause: Object.assign(new Error('no space'), { code: 'ENOSPC' }),
  },
);

/** What was asked for, in order; `faults` are thrown by the next calls of that name. */
function start() {
  const calls: string[] = [];
  const faults: Record<string, Error[]> = { checkpoint: [], prepare: [] };
  const failures: Error[] = [];
  const call = (name: string) => async () => {
    calls.push(name);
    const fault = faults[name]?.shift();
    if (fault !== undefined) throw fault;
  };
  const ring = { depth: 0, committed: 0 };
  const options = {
    store: { checkpoint: call('checkpoint') },
    logs: { prepare: call('prepare'), release: call('release'), hasGrown: () => false },
    topology: { rings: [ring], journalSegments: [1], control: { advanceClock: (seconds: number) => seconds } },
    checkpointSeconds: 30,
    clock: nodeSystem.clock,
    onFailure: (error: Error) => failures.push(error),
  } as unknown as HousekeepingOptions;
  return { calls, faults, failures, ring, options, housekeeping: new Housekeeping(options) };
}

let logged = '';
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'hrtime', 'Date'] });
  logged = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    logged += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});
const count = (calls: string[], name: string) => calls.filter((called) => called === name).length;

test('checkpoints are due by the monotonic clock: one set back puts none off, one set ahead brings none on', async () => {
  const { calls, housekeeping } = start();
  vi.setSystemTime(Date.now() - 3_600_000);
  await vi.advanceTimersByTimeAsync(29_000);
  expect(count(calls, 'checkpoint')).toBe(0);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(count(calls, 'checkpoint')).toBe(1);
  vi.setSystemTime(Date.now() + 7_200_000);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(count(calls, 'checkpoint')).toBe(1);
  await housekeeping.stop();
});

test('a full registry is tried again, said once, and ends nothing', async () => {
  const { calls, faults, failures, housekeeping } = start();
  faults.checkpoint!.push(FULL, FULL);
  await vi.advanceTimersByTimeAsync(30_500);
  expect(count(calls, 'checkpoint')).toBe(1);
  expect(count(calls, 'release')).toBe(0);
  await vi.advanceTimersByTimeAsync(11_000);
  expect(count(calls, 'checkpoint')).toBe(3);
  expect(count(calls, 'release')).toBe(1);
  expect(failures).toEqual([]);
  expect(logged.match(/registry: full; going on/g)).toHaveLength(1);
  expect(logged).toContain('there is room again');
  await housekeeping.stop();
});

test('where a segment finds no room, a checkpoint that lets old ones go comes first', async () => {
  const { calls, faults, failures, housekeeping } = start();
  faults.prepare!.push(SEGMENT_FULL);
  await vi.advanceTimersByTimeAsync(250);
  expect(calls).toEqual(['prepare']);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(calls).toEqual(['prepare', 'checkpoint', 'release', 'prepare']);
  expect(failures).toEqual([]);
  await housekeeping.stop();
});

test('segments that end while a checkpoint runs are not released by it: the registry may lack what they hold', async () => {
  const { options, housekeeping } = start();
  const released: (readonly number[])[] = [];
  let segments = [4, 6];
  options.topology = { ...options.topology, journalSegments: [] } as never;
  Object.defineProperty(options.topology, 'journalSegments', { get: () => segments });
  options.store.checkpoint = async () => {
    segments = [5, 9];
    return 1;
  };
  options.logs.release = async (below) => void released.push(below);
  await vi.advanceTimersByTimeAsync(30_500);
  expect(released).toEqual([[4, 6]]);
  await housekeeping.stop();
});

test('anything else that fails is the node’s failure', async () => {
  const { faults, failures, housekeeping } = start();
  const broken = new ClaimwireError('REGISTRY_FAILED', 'registry: broken');
  faults.checkpoint!.push(broken);
  await vi.advanceTimersByTimeAsync(30_500);
  expect(failures).toEqual([broken]);
  await housekeeping.stop();
});

test('claims that get on no more stall the node within a second, whenever that begins', async () => {
  for (const afterLookMs of [1, 100, 249]) {
    const { ring, housekeeping } = start();
    await vi.advanceTimersByTimeAsync(1_000 + afterLookMs);
    expect(housekeeping.isStalled).toBe(false);
    // Claims got on until just now.
    ring.depth = 3;
    ring.committed += 1;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(housekeeping.isStalled, `${afterLookMs} ms after a look`).toBe(true);
    await housekeeping.stop();
  }
});

test('a thread that stood still for seconds does not make an idle node not ready with the first claim that comes', async () => {
  const { ring, options, housekeeping } = start();
  await housekeeping.stop();
  let now = 0;
  let look = () => {};
  const clock = {
    wall: () => 0,
    monotonic: () => now,
    every: (_ms: number, run: () => void) => {
      look = run;
      return () => {};
    },
  };
  const late = new Housekeeping({ ...options, clock });
  look();
  ring.depth = 1;
  now += 8_000;
  look();
  expect([late.isStalled, late.isStuck]).toEqual([false, false]);
  await late.stop();
});

test('changes are taken for seconds longer', async () => {
  const { ring, housekeeping } = start();
  ring.depth = 3;
  await vi.advanceTimersByTimeAsync(4_500);
  expect([housekeeping.isStalled, housekeeping.isStuck]).toEqual([true, false]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(housekeeping.isStuck).toBe(true);
  ring.committed += 1;
  await vi.advanceTimersByTimeAsync(250);
  expect([housekeeping.isStalled, housekeeping.isStuck]).toEqual([false, false]);
  await housekeeping.stop();
});

test('claims that wait for three looks stall the node, progress or an empty ring ends that', async () => {
  const { ring, housekeeping } = start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(housekeeping.isStalled).toBe(false);
  ring.depth = 3;
  await vi.advanceTimersByTimeAsync(650);
  expect(housekeeping.isStalled).toBe(false);
  ring.committed = 1;
  await vi.advanceTimersByTimeAsync(650);
  expect(housekeeping.isStalled).toBe(false);
  await vi.advanceTimersByTimeAsync(500);
  expect(housekeeping.isStalled).toBe(true);
  expect(logged).toContain('3 in ring 0): not ready');
  ring.committed = 2;
  await vi.advanceTimersByTimeAsync(250);
  expect(housekeeping.isStalled).toBe(false);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(housekeeping.isStalled).toBe(true);
  ring.depth = 0;
  await vi.advanceTimersByTimeAsync(250);
  expect(housekeeping.isStalled).toBe(false);
  await housekeeping.stop();
});
