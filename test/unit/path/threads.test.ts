/**
 * The shared structures under real threads: nothing lost, doubled or out of order in the ring, no wake-up lost, and no
 * reader of the table ever sees a mixture. Starts compiled code in workers (support/path-worker.mjs).
 */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { ChannelTable } from '../../../src/channel/table.ts';
import { Arena, type ArenaShape } from '../../../src/ring/arena.ts';
import { ClaimRing, cursorWord } from '../../../src/ring/claim-ring.ts';
import { SLOT_ROW } from '../../../src/ring/slot.ts';

type Seen = Record<string, number>;
const SHAPE: ArenaShape = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 4 };

/** Runs the roles at the same time, each in a thread, and resolves to what each saw, in order. */
async function together(arena: Arena, roles: string[], count: number): Promise<Seen[]> {
  const { shape } = arena.plan;
  const shared = new Int32Array(new SharedArrayBuffer(16));
  const file = new URL('../../support/path-worker.mjs', import.meta.url);
  const workers = roles.map((role) => {
    const workerData = { role, memory: arena.memory, shape, shared, count };
    return new Worker(file, { workerData });
  });
  const next = (worker: Worker) =>
    new Promise<Seen>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  try {
    await Promise.all(workers.map(next));
    const results = workers.map(next);
    for (const worker of workers) worker.postMessage('go');
    return await Promise.all(results);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function tableWithOneRow(arena: Arena): void {
  new ChannelTable(arena).insert({
    channelId: 1n,
    ledgerChannelId: new Uint8Array(32),
    publicKey: new Uint8Array(33).fill(2),
    capacity: 0xffff_ffffn,
    committed: 0n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    profile: 'link',
    state: 'open',
    expiresAt: 0,
  });
}

test.each([0, 2 ** 32 - 5_000])(
  'a claim goes through a ring of threads once, in order (cursors from %i)',
  async (start) => {
    const arena = Arena.create(SHAPE);
    for (const line of [0, 1, 2]) Atomics.store(arena.ints, cursorWord(arena, 0, line), start | 0);
    const count = 60_000;
    const [producer, first, second, third, committer] = await together(
      arena,
      ['producer', 'verifier', 'verifier', 'verifier', 'committer'],
      count,
    );
    expect(producer).toEqual({ produced: count });
    expect(committer).toEqual({ committed: count, wrong: 0 });
    expect(first!.taken! + second!.taken! + third!.taken!).toBe(count);
    expect([first!.wrong, second!.wrong, third!.wrong]).toEqual([0, 0, 0]);
    const ring = new ClaimRing(arena, 0);
    expect([ring.received, ring.reserved, ring.committed]).toEqual(new Array(3).fill((start + count) >>> 0));
  },
);

test('takers that race for every single slot share them out', async () => {
  const size = 1 << 16;
  const arena = Arena.create({ ...SHAPE, ringSlots: size });
  const ring = new ClaimRing(arena, 0);
  for (let count = 0; count < size; count++) ring.push();
  ring.publish();
  const takers = await together(arena, ['taker', 'taker', 'taker'], 0);
  expect(takers.reduce((sum, { taken }) => sum + taken!, 0)).toBe(size);
  const counts = Array.from({ length: size }, (_, index) => arena.words[(ring.slot(index) + SLOT_ROW) >>> 2]);
  expect(counts.every((count) => count === 1)).toBe(true);
});

test.each(['snapshots', 'halves'])(
  'a reader beside a committer sees whole rows, never more than was stored (%s)',
  async (role) => {
    const arena = Arena.create(SHAPE);
    tableWithOneRow(arena);
    const [, reader] = await together(arena, ['tableWriter', role], 400_000);
    expect(reader!.reads).toBeGreaterThan(100);
    expect(reader!.wrong).toBe(0);
  },
);

test('acceptance beside a changing capacity admits nothing above both values, and refuses nothing within both', async () => {
  const arena = Arena.create(SHAPE);
  tableWithOneRow(arena);
  const [, admission] = await together(arena, ['capacityWriter', 'admission'], 400_000);
  expect(admission!.reads).toBeGreaterThan(1_000);
  expect(admission!.wrong).toBe(0);
});
