/**
 * A node's journals over a disk in memory, from the start to the stop, broken off at every single operation of the disk
 * or the registry: what was acknowledged is there at the next start, which is broken off at every operation in turn.
 */
import { afterAll, expect, test, vi } from 'vitest';
import { claimAmountLow, claimBytes } from '../../../protocol/claim.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { Journals } from '../../../src/journal/lane-journals.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import type { RegistryMeta } from '../../../src/registry/registry-store.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { MemoryFiles, PowerLoss } from '../../support/memory-files.ts';

const stderr = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
afterAll(() => stderr.mockRestore());

const LANES = 2;
const BLOCK_BYTES = 512;
/** The header's block, and two groups. */
const SEGMENT_BYTES = 3 * BLOCK_BYTES;
const AMOUNTS = 12;
const CHECKPOINT_AT = 7;
/** Of the event loop between two claims: segments are hardly ever ready, or always. */
const TURNS = brieflyOrAtLength(0, 1) === 1 ? [1, 2, 6] : [1, 6];

/** The registry in place of LMDB: whatever it is told is durable at once. */
interface Stored {
  meta: RegistryMeta;
  committed: number;
}

function emptyRegistry(): Stored {
  return { meta: { format: 1, createdAt: '', journalId: '0f'.repeat(16), replayFrom: [] }, committed: 0 };
}

/** One run of a node over a disk, as far as its journals are concerned. */
class Run {
  readonly files: MemoryFiles;
  readonly stored: Stored;
  /** The highest amount committed to some journal by this run, and the highest that was begun. */
  acknowledged = 0;
  attempted = 0;
  #balance: number;

  constructor(files: MemoryFiles, stored: Stored) {
    this.files = files;
    this.stored = structuredClone(stored);
    this.#balance = stored.committed;
  }

  /** Replays and begins, as a node does before its threads start. Returns the balance it starts with. */
  async start(): Promise<{ balance: number; journals: Journals; writers: JournalWriter[] }> {
    const { files } = this;
    const system = { ...nodeSystem, files };
    const table = {
      find: () => 0,
      commit: (_: number, view: DataView, offset: number) => {
        this.#balance = Math.max(this.#balance, claimAmountLow(view, offset));
      },
    };
    const run = this;
    const registry = {
      get meta() {
        return run.stored.meta;
      },
      setMeta: (change: Partial<RegistryMeta>) => {
        files.before('record', 'registry');
        this.stored.meta = { ...this.stored.meta, ...change };
      },
    };
    const options = { data: '/data', lanes: LANES, segmentBytes: SEGMENT_BYTES, blockBytes: BLOCK_BYTES, cut: false };
    const journals = Journals.replay(options, registry, table, system);
    const balance = this.#balance;
    this.checkpoint();
    await journals.begin();
    const writers = journals.starts.map((start) => new JournalWriter({ ...start, ...system, groupClaimsMax: 4 }));
    return { balance, journals, writers };
  }

  checkpoint(): void {
    this.files.before('checkpoint', 'registry');
    this.stored.committed = this.#balance;
  }

  /**
   * A whole life: claims into both lanes in turn, segments made ahead, a checkpoint in the middle, a clean stop.
   * @param turns of the event loop between two claims: with few, a writer meets segments that are not ready
   */
  async live(turns: number): Promise<void> {
    const { journals, writers } = await this.start();
    let preparing: Promise<void> | undefined;
    const segments = () => writers.map(({ segment }) => segment);
    for (let amount = 1; amount <= AMOUNTS; amount++) {
      this.attempted = amount;
      pay(writers[amount % LANES]!, amount);
      this.acknowledged = this.#balance = amount;
      preparing ??= journals.prepare(segments()).finally(() => {
        preparing = undefined;
      });
      // As in a node, a failure to prepare ends the run when it is looked at, and is not lost meanwhile.
      preparing.catch(() => {});
      await pass(turns);
      if (amount !== CHECKPOINT_AT) continue;
      await preparing;
      const before = segments();
      this.checkpoint();
      await journals.release(before);
    }
    await preparing;
    const last = segments();
    for (const writer of writers) writer.close();
    this.checkpoint();
    await journals.end(last);
  }
}

function pay(writer: JournalWriter, amount: number): void {
  const group = new JournalGroup(1);
  const claim = { channelId: 77n, sequence: 1, amount: BigInt(amount), signature: new Uint8Array(64), timestamp: 0 };
  group.append(claimBytes(claim), 0);
  writer.commit(group, 1);
}

/** Makes the operation numbered `place` of a disk fail, and with `forEver` all that follow. True once it has. */
function failAt(files: MemoryFiles, place: number, forEver: boolean, fault: () => Error): () => boolean {
  let count = 0;
  files.before = () => {
    if (count++ === place || (forEver && count > place)) throw fault();
  };
  return () => count > place;
}

/** Resolves however the work ends; what is under way beside the thread has ended then too. */
async function ended(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined);
  await pass(12);
}

async function pass(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** What a loss of power takes of what is not synced: nothing (a kill), all, or either half of it at random. */
const LOSSES: [string, () => () => boolean][] = [
  ['nothing', () => () => true],
  ['everything', () => () => false],
  ['every other thing', () => alternating(0)],
  ['the others', () => alternating(1)],
];

function alternating(first: number): () => boolean {
  let turn = first;
  return () => turn++ % 2 === 0;
}

async function expectAll(run: Run, files: MemoryFiles, where: string): Promise<Run> {
  files.before = () => {};
  const next = new Run(files, run.stored);
  const { balance } = await next.start().catch((error: Error) => {
    throw new Error(`${where}: the next start was refused: ${error.message}`, { cause: error });
  });
  expect(balance, where).toBeGreaterThanOrEqual(run.acknowledged);
  expect(balance, where).toBeLessThanOrEqual(run.attempted);
  return next;
}

test.each(LOSSES)('power lost at any operation, which takes %s of what is not synced', async (_, choice) => {
  for (const turns of TURNS) {
    let places = 0;
    for (let isReached = true; isReached; places++) {
      const run = new Run(new MemoryFiles(), emptyRegistry());
      const hasFailed = failAt(run.files, places, true, () => new PowerLoss('power lost'));
      await ended(run.live(turns));
      isReached = hasFailed();
      if (!isReached) expect(run.acknowledged).toBe(AMOUNTS);
      await expectAll(run, run.files.afterPowerLoss(choice()), `${turns} turns, operation ${places}`);
    }
    expect(places).toBeGreaterThan(80);
  }
});

test('power lost twice: in a life, and at any operation of the start that follows', async () => {
  let starts = 0;
  for (let first = 0, isReached = true; isReached; first += 3) {
    const run = new Run(new MemoryFiles(), emptyRegistry());
    const hasFailed = failAt(run.files, first, true, () => new PowerLoss('power lost'));
    await ended(run.live(4));
    isReached = hasFailed();
    for (let second = 0, isBroken = true; isBroken; second += 2, starts++) {
      const again = new Run(run.files.afterPowerLoss(alternating(first % 2)), run.stored);
      const hasFailedAgain = failAt(again.files, second, true, () => new PowerLoss('power lost'));
      await ended(again.start());
      isBroken = hasFailedAgain();
      again.acknowledged = run.acknowledged;
      again.attempted = run.attempted;
      await expectAll(again, again.files.afterPowerLoss(alternating(second % 2)), `${first}, then ${second}`);
    }
  }
  expect(starts).toBeGreaterThan(300);
});

test('one operation fails with EIO, anywhere: the disk then loses power or goes on', async () => {
  const fault = () => Object.assign(new Error('EIO: i/o error'), { code: 'EIO', syscall: 'memory' });
  for (let place = 0, isReached = true; isReached; place++) {
    const run = new Run(new MemoryFiles(), emptyRegistry());
    const hasFailed = failAt(run.files, place, false, fault);
    await ended(run.live(4));
    isReached = hasFailed();
    for (const [loss, choice] of LOSSES)
      await expectAll(run, run.files.afterPowerLoss(choice()), `operation ${place}, losing ${loss}`);
  }
});

test('a disk with any amount of room: what fits is there, and the next start has room again', async () => {
  for (let blocks = 0; blocks <= 24; blocks++) {
    const run = new Run(new MemoryFiles(), emptyRegistry());
    run.files.roomBytes = blocks * BLOCK_BYTES + 100;
    await ended(run.live(4));
    run.files.roomBytes = Number.POSITIVE_INFINITY;
    const next = await expectAll(run, run.files.afterPowerLoss(alternating(blocks)), `${blocks} blocks`);
    expect([...next.files.names.keys()].filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }
});
