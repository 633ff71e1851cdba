/**
 * C's claim path under real threads, beside an operator, beside a lane that runs TypeScript, and in a thread that is
 * ended. Starts compiled code in workers (support/native-path-worker.mjs).
 */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { ChannelTable, HOT_VERSION } from '../../../src/channel/table.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { describeNative } from '../../support/native-only.ts';

type Seen = Record<string, number> & { last?: bigint };
const SHAPE = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 4 };
const ROWS = 4;

function tableOfRows(): { arena: Arena; table: ChannelTable } {
  const arena = Arena.create(SHAPE);
  const table = new ChannelTable(arena);
  for (let row = 0; row < ROWS; row++)
    table.insert({
      channelId: BigInt(row + 1),
      ledgerChannelId: new Uint8Array(32),
      publicKey: new Uint8Array(33).fill(2),
      capacity: 0xffff_ffffn,
      committed: 0n,
      sequence: 0,
      timestampBits: 0n,
      signature: new Uint8Array(64),
      profile: 'xrpl',
      state: 'open',
      expiresAt: 0,
    });
  return { arena, table };
}

const next = (worker: Worker) =>
  new Promise<Seen>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });

function start(arena: Arena, role: string, lane: number, count: number, shared: Int32Array): Worker {
  const file = new URL('../../support/native-path-worker.mjs', import.meta.url);
  return new Worker(file, { workerData: { role, lane, count, shared, memory: arena.memory, shape: SHAPE } });
}

/** Runs the roles at the same time; those that read go on until all `writers` are done. */
async function together(arena: Arena, roles: string[], writers: number, count: number): Promise<Seen[]> {
  const shared = new Int32Array(new SharedArrayBuffer(64 + 2 * ROWS * 8));
  shared[1] = writers;
  const workers = roles.map((role, lane) => start(arena, role, lane, count, shared));
  try {
    await Promise.all(workers.map(next));
    const results = workers.map(next);
    for (const worker of workers) worker.postMessage('go');
    return await Promise.all(results);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

describeNative('C', () => {
  test('beside a changing capacity takes nothing above both values', async () => {
    const { arena } = tableOfRows();
    const [, receiver] = await together(arena, ['capacityWriter', 'receiver'], 1, 600_000);
    expect(receiver!.above).toBe(0);
    expect(receiver!.reads).toBeGreaterThan(1_000);
    // What is within both is plain but for the instants in which the fields are being changed.
    expect(receiver!.within).toBeGreaterThan(100);
  });

  test.each([
    ['committerByC', 'committerBySteps', 'snapshots'],
    ['committerByC', 'committerByC', 'snapshots'],
  ])('%s and %s on the same rows: no lock lost, no balance falls, %s are whole', async (...roles) => {
    const { arena, table } = tableOfRows();
    const count = 60_000;
    const [first, second, reader] = await together(arena, roles, 2, count);
    expect(reader!.reads).toBeGreaterThan(100);
    expect(reader!.wrong).toBe(0);
    const [highest] = [first!.last!, second!.last!].sort((left, right) => (left < right ? 1 : -1));
    for (let row = 0; row < ROWS; row++) {
      const { committed, timestampBits } = table.read(row);
      expect(committed).toBe(highest! + BigInt(row));
      expect(timestampBits).toBe(committed ^ 0xffn);
      // Each commit locks and unlocks once.
      expect(table.words[table.hot(row) + HOT_VERSION]).toBe(2 * 2 * count);
      expect(table.takeDirty(row)).toBe(true);
    }
  });

  test('commits so that a balance read half by half is never above what it commits', async () => {
    const { arena } = tableOfRows();
    const [, reader] = await together(arena, ['committerByC', 'halves'], 1, 100_000);
    expect(reader!.reads).toBeGreaterThan(100);
    expect(reader!.wrong).toBe(0);
  });

  test('in a thread that is ended in the middle takes nothing else with it', async () => {
    for (let round = 0; round < 6; round++) {
      const { arena } = tableOfRows();
      const worker = start(arena, 'endless', 0, 0, new Int32Array(new SharedArrayBuffer(192)));
      await next(worker);
      const running = next(worker);
      worker.postMessage('go');
      await running;
      expect(await worker.terminate()).toBe(1);
      // The memory C was given is still ours.
      new ChannelTable(arena).change(1, { capacity: 5n });
      expect(new ChannelTable(arena).read(1).capacity).toBe(5n);
    }
  });
});
