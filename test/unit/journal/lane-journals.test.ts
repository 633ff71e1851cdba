/**
 * The journals of a data folder as a start finds them: folders made durable, journals and segments that are missing,
 * torn ends kept, drafts removed. Real files, and the syncs written down; no thread is started.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { ChannelTable } from '../../../src/channel/table.ts';
import { closeFolder, loadChannels, type OwnedFolder, openFolder } from '../../../src/folder/data-folder.ts';
import { TORN_FOLDERS_MAX } from '../../../src/journal/cut.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { Journals } from '../../../src/journal/lane-journals.ts';
import { segmentName } from '../../../src/journal/segment.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import { ChannelStore } from '../../../src/registry/channel-store.ts';
import { Registry } from '../../../src/registry/registry.ts';
import { Arena } from '../../../src/ring/arena.ts';
import { type Files, nodeFiles } from '../../../src/system/files.ts';
import { nodeSystem, type System } from '../../../src/system/system.ts';
import { openingOf } from '../../support/wire.ts';

/** Folders and files in the order they were synced. */
const synced: string[] = [];
const paths = new Map<number, string>();
const files: Files = {
  ...nodeFiles,
  openSync: (path, ...rest) => {
    const fd = nodeFiles.openSync(path, ...rest);
    paths.set(fd, path);
    return fd;
  },
  open: (path, flags, done) =>
    nodeFiles.open(path, flags, (error, fd) => {
      paths.set(fd, path);
      done(error, fd);
    }),
  fsyncSync: (fd) => {
    synced.push(paths.get(fd) ?? '');
    nodeFiles.fsyncSync(fd);
  },
  fsync: (fd, done) => {
    synced.push(paths.get(fd) ?? '');
    nodeFiles.fsync(fd, done);
  },
};
const system: System = { ...nodeSystem, files };

const ROOT = fs.mkdtempSync(join(tmpdir(), 'claimwire-journals-'));
afterAll(() => fs.rmSync(ROOT, { recursive: true, force: true }));
let folders = 0;
const freshFolder = () => join(ROOT, `home-${folders++}`, 'data');
const laneFolder = (data: string, lane = 0) => join(data, 'journal', String(lane));
const segmentPath = (data: string, segment: number, lane = 0) => join(laneFolder(data, lane), segmentName(segment));

const warnings: string[] = [];
vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
  warnings.push(String(text));
  return true;
});
afterEach(() => {
  warnings.length = 0;
});

interface Started {
  folder: OwnedFolder;
  journals: Journals;
  store: ChannelStore;
  writers: JournalWriter[];
  committed(): bigint;
}

const CHANNEL = 77n;

/** A node's start as far as its threads, with a writer for each lane in place of these. */
async function start(data: string, options: { lanes?: number; cut?: boolean; blockBytes?: number } = {}) {
  const { lanes = 1, cut = false, blockBytes = 4_096 } = options;
  const folder = await openFolder(data, system);
  const { registry } = folder;
  try {
    const shape = { kernelBytes: 0, rings: 1, ringSlots: 16, ackSlots: 16, threads: 1, channelsMax: 64 };
    const table = new ChannelTable(Arena.create(shape));
    const store = new ChannelStore(table, registry, async () => {});
    loadChannels(registry, store);
    const journals = Journals.replay({ data, lanes, segmentBytes: 1 << 20, blockBytes, cut }, registry, table, system);
    await store.checkpoint();
    await journals.begin();
    if (store.count === 0) await store.open([openingOf(CHANNEL)]);
    const writers = journals.starts
      .slice(0, lanes)
      .map((lane) => new JournalWriter({ ...lane, ...system, groupClaimsMax: 64 }));
    return { folder, journals, store, writers, committed: () => store.get(CHANNEL)!.committed } as Started;
  } catch (error) {
    await closeFolder(folder);
    throw error;
  }
}

/** As a kill leaves it: nothing of the journals goes into the registry. */
async function kill({ folder, writers }: Started): Promise<void> {
  for (const writer of writers) writer.close();
  await closeFolder(folder);
}

async function stop({ folder, journals, store, writers }: Started): Promise<void> {
  const segments = writers.map(({ segment }) => segment);
  for (const writer of writers) writer.close();
  await store.checkpoint();
  await journals.end(segments);
  await closeFolder(folder);
}

/** A group of one claim; the amount is all that counts here. */
function pay(writer: JournalWriter, amount: bigint): void {
  const group = new JournalGroup(1);
  const claim = { channelId: CHANNEL, sequence: 1, amount, signature: new Uint8Array(64).fill(9), timestamp: 0 };
  group.append(claimBytes(claim), 0);
  writer.commit(group, 1);
}

/** A data folder killed with amounts 1 to `groups` in the journal of lane 0, one group each. */
async function killed(groups: number, blockBytes?: number): Promise<string> {
  const data = freshFolder();
  const node = await start(data, { ...(blockBytes !== undefined && { blockBytes }) });
  for (let amount = 1; amount <= groups; amount++) pay(node.writers[0]!, BigInt(amount));
  await kill(node);
  return data;
}

function change(path: string, work: (bytes: Buffer) => void): Buffer {
  const bytes = fs.readFileSync(path);
  work(bytes);
  fs.writeFileSync(path, bytes);
  return bytes;
}

describe('the folders', () => {
  test('are durable before the threads start, from the lane’s up to the one the data folder lies in', async () => {
    const data = freshFolder();
    synced.length = 0;
    const node = await start(data, { lanes: 2 });
    const chain = [join(data, 'journal'), data, dirname(data), ROOT];
    for (const folder of [...chain, laneFolder(data, 0), laneFolder(data, 1)]) expect(synced).toContain(folder);
    await kill(node);
    // Made by a run that may have been killed before it synced them.
    synced.length = 0;
    await kill(await start(data, { lanes: 2 }));
    for (const folder of chain.slice(0, 3)) expect(synced).toContain(folder);
  });
});

describe('a journal that is not there', () => {
  const refused = (what: RegExp) =>
    expect.objectContaining({ code: 'JOURNAL_CORRUPT', message: expect.stringMatching(what) });

  test('is refused by its folder’s name, changing nothing; the operator may go on without it', async () => {
    const data = await killed(3);
    fs.rmSync(join(data, 'journal'), { recursive: true });
    await expect(start(data)).rejects.toEqual(refused(/expected the folder .*journal\/0, .*got none.*--cut-journal/));
    expect(fs.existsSync(join(data, 'journal'))).toBe(false);
    const node = await start(data, { cut: true });
    expect(node.committed()).toBe(0n);
    expect(warnings.join('')).toMatch(/going on without it, as asked/);
    pay(node.writers[0]!, 9n);
    await kill(node);
    const again = await start(data);
    expect(again.committed()).toBe(9n);
    await kill(again);
  });

  test('is refused by its segment’s number, in a lane that is not used any more too', async () => {
    const data = freshFolder();
    const node = await start(data, { lanes: 2 });
    pay(node.writers[1]!, 5n);
    const { segment } = node.writers[1]!;
    await kill(node);
    const path = segmentPath(data, segment, 1);
    const bytes = fs.readFileSync(path);
    fs.rmSync(path);
    const missing = new RegExp(
      `${segmentName(segment)}:0: expected the segment, which the registry knows of, got none`,
    );
    await expect(start(data, { lanes: 2 })).rejects.toEqual(refused(missing));
    await expect(start(data, { lanes: 1 })).rejects.toEqual(refused(missing));
    fs.writeFileSync(path, bytes);
    const whole = await start(data, { lanes: 1 });
    expect(whole.committed()).toBe(5n);
    await kill(whole);
    // Emptied now, and known to be: whoever removes the folder removes nothing.
    fs.rmSync(laneFolder(data, 1), { recursive: true });
    await kill(await start(data, { lanes: 1 }));
  });

  test('with the cut, a missing segment costs what was in it and no later start', async () => {
    const data = await killed(3);
    fs.rmSync(segmentPath(data, 1));
    await expect(start(data)).rejects.toEqual(refused(/expected the segment/));
    const node = await start(data, { cut: true });
    expect(node.committed()).toBe(0n);
    await kill(node);
    await kill(await start(data));
  });

  test('is nothing to a folder that was stopped, whatever is left of its journals', async () => {
    const data = freshFolder();
    const node = await start(data, { lanes: 2 });
    await stop(node);
    fs.rmSync(join(data, 'journal'), { recursive: true });
    const again = await start(data);
    await stop(again);
  });

  test('of an earlier tree: a lane it recorded has a folder, which may be empty', async () => {
    const data = await killed(3);
    const forget = async () => {
      const folder = await openFolder(data, system);
      folder.registry.setMeta({ segmentsThere: undefined as unknown as number[] });
      await closeFolder(folder);
    };
    await forget();
    const node = await start(data);
    expect(node.committed()).toBe(3n);
    await stop(node);
    await forget();
    for (const name of fs.readdirSync(laneFolder(data))) fs.rmSync(join(laneFolder(data), name));
    await stop(await start(data));
    await forget();
    fs.rmSync(laneFolder(data), { recursive: true });
    await expect(start(data)).rejects.toEqual(refused(/expected the folder/));
  });
});

describe('a start that is interrupted loses nothing', () => {
  test('before the registry knows of the new segments', async () => {
    const data = await killed(4);
    const record = vi.spyOn(Registry.prototype, 'setMeta').mockImplementationOnce(() => {
      throw new Error('killed');
    });
    await expect(start(data)).rejects.toThrow('killed');
    record.mockRestore();
    const again = await start(data);
    expect(again.committed()).toBe(4n);
    await kill(again);
  });

  test('between the record and the removal of the old ones', async () => {
    const data = await killed(4);
    const old = fs.readFileSync(segmentPath(data, 1));
    await kill(await start(data));
    fs.writeFileSync(segmentPath(data, 1), old);
    const again = await start(data);
    expect(again.committed()).toBe(4n);
    expect(fs.existsSync(segmentPath(data, 1))).toBe(false);
    await kill(again);
  });
});

describe('a torn end', () => {
  test('is kept aside, whole, and not called unacknowledged', async () => {
    const data = await killed(6);
    const bytes = change(segmentPath(data, 1), (segment) => {
      segment[4_096 * 6 + 60]! ^= 1;
    });
    const node = await start(data);
    expect(node.committed()).toBe(5n);
    const said = warnings.join('');
    expect(said).toMatch(/torn end at .*000000000001\.seg:24576: .*the journal does not tell which/);
    expect(said).toContain(`its segment is kept in ${join(laneFolder(data), 'torn-1')}`);
    expect(said).not.toMatch(/never acknowledged/);
    // The segment itself went with the checkpoint.
    expect(fs.existsSync(segmentPath(data, 1))).toBe(false);
    const isKept = () => fs.readFileSync(join(laneFolder(data), 'torn-1', segmentName(1))).equals(bytes);
    expect(isKept()).toBe(true);
    await stop(node);
    await stop(await start(data));
    expect(isKept()).toBe(true);
  });

  test('five groups in one block of 4,096 bytes, with blocks of 512: refused where bytes show that they were synced', async () => {
    const data = await killed(20, 512);
    // Groups of 128 bytes: 512 + 512 * n. The block from 4,096 holds groups 8 to 15.
    change(segmentPath(data, 1), (segment) => segment.fill(0xb5, 4_096, 8_192));
    await expect(start(data)).rejects.toMatchObject({ code: 'JOURNAL_CORRUPT' });
    const other = await killed(20, 512);
    // Its last five groups, each behind a header that says that it was not the last.
    change(segmentPath(other, 1), (segment) => {
      for (let group = 15; group < 20; group++) segment[512 + 512 * group + 40]! ^= 1;
    });
    await expect(start(other)).rejects.toMatchObject({
      code: 'JOURNAL_CORRUPT',
      message: expect.stringContaining('more was written behind it, so this group had been synced'),
    });
    // The last group alone: nothing tells.
    const last = await killed(20, 512);
    change(segmentPath(last, 1), (segment) => {
      segment[512 + 512 * 19 + 40]! ^= 1;
    });
    const node = await start(last);
    expect(node.committed()).toBe(19n);
    await kill(node);
  });

  test('is kept as often as the limit allows; then it is said that it is not', async () => {
    const data = await killed(1);
    for (let end = 1; end <= TORN_FOLDERS_MAX + 1; end++) {
      const node = await start(data);
      const { segment } = node.writers[0]!;
      pay(node.writers[0]!, BigInt(100 * end));
      pay(node.writers[0]!, BigInt(100 * end + 1));
      await kill(node);
      change(segmentPath(data, segment), (bytes) => bytes.fill(7, 4_096 * 2 + 100, 4_096 * 2 + 110));
      warnings.length = 0;
      await kill(await start(data));
      const isKept = end <= TORN_FOLDERS_MAX;
      expect(warnings.join('')).toMatch(isKept ? /its segment is kept in/ : /NOT kept, since 8 torn ends are kept/);
      expect(fs.existsSync(join(laneFolder(data), `torn-${segment}`))).toBe(isKept);
    }
  }, 60_000);
});

test('what killed processes left half made is removed under the lock: segments of all makers, registries', async () => {
  const data = await killed(2);
  const left = ['keeper', 'writer', 'cut'].map((maker) => `${segmentPath(data, 7)}.${maker}.tmp`);
  for (const path of left) fs.writeFileSync(path, new Uint8Array(1_024));
  const draft = join(data, 'registry.0123456789ab.new');
  fs.mkdirSync(draft);
  fs.writeFileSync(join(draft, 'data.mdb'), 'half');
  const others = [join(laneFolder(data), 'notes.tmp'), join(data, 'registry.old')];
  for (const path of others) fs.writeFileSync(path, 'an operator’s');
  const node = await start(data);
  for (const path of [...left, draft]) expect(fs.existsSync(path), path).toBe(false);
  for (const path of others) expect(fs.existsSync(path), path).toBe(true);
  expect(node.committed()).toBe(2n);
  await kill(node);
});
