/**
 * Starts beside a registry or a disk that is not as the last run left it: no room for another segment, and a registry set
 * back by one commit. Real files; no thread is started.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { closeFolder, loadChannels, openFolder } from '../../../src/folder/data-folder.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { Journals } from '../../../src/journal/lane-journals.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { type Files, nodeFiles } from '../../../src/system/files.ts';
import { nodeSystem, type System } from '../../../src/system/system.ts';
import { openingOf } from '../../support/wire.ts';

/** A disk that holds so many segments of a lane. */
const room = { segments: Number.POSITIVE_INFINITY };
const files: Files = {
  ...nodeFiles,
  open: (path, flags, done) => {
    if (path.endsWith('.keeper.tmp')) {
      const segments = fs.readdirSync(dirname(path)).filter((name) => name.endsWith('.seg'));
      if (segments.length >= room.segments)
        return done(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }), -1);
    }
    nodeFiles.open(path, flags, done);
  },
};
const system: System = { ...nodeSystem, files };

const ROOT = fs.mkdtempSync(join(tmpdir(), 'claimwire-journals-start-'));
afterAll(() => fs.rmSync(ROOT, { recursive: true, force: true }));
afterEach(() => {
  room.segments = Number.POSITIVE_INFINITY;
});
vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
let folders = 0;
const freshFolder = () => join(ROOT, `data-${folders++}`);
const segmentsOf = (data: string, lane = 0) =>
  fs.readdirSync(join(data, 'journal', String(lane))).filter((name) => name.endsWith('.seg'));

const CHANNEL = 77n;
const SEGMENT_BYTES = 64 * 1024;

type Started = Awaited<ReturnType<typeof start>>;

/** A node's start as far as its threads, with a writer for each lane in place of these. */
async function start(data: string, lanes = 1) {
  const folder = await openFolder(data, system);
  try {
    const { registry } = folder;
    const shape = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };
    const table = new ChannelTable(Arena.create(shape));
    const store = new ChannelStore(table, registry, async () => {});
    loadChannels(registry, store);
    const options = { data, lanes, segmentBytes: SEGMENT_BYTES, blockBytes: 4_096, cut: false };
    const journals = Journals.replay(options, registry, table, system);
    await store.checkpoint();
    await journals.begin();
    store.freeRemoved();
    if (store.count === 0) await store.open([openingOf(CHANNEL)]);
    const writers = journals.starts
      .slice(0, lanes)
      .map((lane) => new JournalWriter({ ...lane, ...system, groupClaimsMax: 64 }));
    const committed = () => store.get(CHANNEL)!.committed;
    return { folder, table, store, journals, writers, committed };
  } catch (error) {
    await closeFolder(folder);
    throw error;
  }
}

async function kill({ folder, writers }: Started): Promise<void> {
  for (const writer of writers) writer.close();
  await closeFolder(folder);
}

/** Groups of one claim each, durable, until the writer is in segment `until`; then one in it. Returns the last amount. */
function payInto({ writers, table }: Started, until: number, from = 0n): bigint {
  for (let amount = from + 1n; ; amount++) {
    const isLast = writers[0]!.segment === until;
    const group = new JournalGroup(1);
    const claim = { channelId: CHANNEL, sequence: 1, amount, signature: new Uint8Array(64).fill(9), timestamp: 0 };
    const bytes = claimBytes(claim);
    group.append(bytes, 0);
    writers[0]!.commit(group, 1);
    table.commit(table.find(0, Number(CHANNEL)), new DataView(bytes.buffer, bytes.byteOffset), 0);
    if (isLast) return amount;
  }
}

test('a node that ended on a full disk starts again: what was replayed goes first, and makes the room', async () => {
  const data = freshFolder();
  const node = await start(data);
  const amount = payInto(node, 3);
  await kill(node);
  room.segments = segmentsOf(data).length;
  const again = await start(data);
  expect(again.committed()).toBe(amount);
  expect(segmentsOf(data)).toEqual(['000000000004.seg']);
  expect(again.folder.registry.meta).toMatchObject({ replayFrom: [4], segmentsThere: [4] });
  await kill(again);
});

test('where that makes no room either, the start fails, and loses nothing', async () => {
  const data = freshFolder();
  const node = await start(data);
  const amount = payInto(node, 3);
  await kill(node);
  room.segments = 0;
  for (let tries = 0; tries < 2; tries++) await expect(start(data)).rejects.toMatchObject({ code: 'JOURNAL_FAILED' });
  room.segments = Number.POSITIVE_INFINITY;
  const again = await start(data);
  expect(again.committed()).toBe(amount);
  await kill(again);
});

/** Makes the newer meta page of the folder's registry garbage, as damage at rest does. */
function spoilNewestMeta(data: string): void {
  const file = join(data, 'registry', 'data.mdb');
  const bytes = fs.readFileSync(file);
  const transactionOf = (page: number) => bytes.readBigUInt64LE(page * 4_096 + 152);
  const page = transactionOf(0) > transactionOf(1) ? 0 : 1;
  bytes.fill(0xa5, page * 4_096, (page + 1) * 4_096);
  fs.writeFileSync(file, bytes);
}

test.each([1, 2])('a registry set back to before segments were let go is refused, %i lanes before', async (lanes) => {
  const data = freshFolder();
  const node = await start(data, lanes);
  payInto(node, 3);
  await node.store.checkpoint();
  await node.journals.release(node.writers.map(({ segment }) => segment));
  const copy = freshFolder();
  fs.cpSync(data, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') && !path.endsWith('lock.mdb') });
  await kill(node);
  spoilNewestMeta(copy);
  await expect(start(copy)).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' });
});
