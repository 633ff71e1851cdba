import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SegmentKeeper } from '../../../src/journal/keeper.ts';
import { segmentName } from '../../../src/journal/segment.ts';
import { recoverJournal } from '../../../src/journal/walk.ts';
import { JournalWriter } from '../../../src/journal/writer.ts';
import type { Files } from '../../../src/system/files.ts';
import { nodeSystem } from '../../../src/system/system.ts';
import { commitGroup, JOURNAL_ID } from './fixtures.ts';

const SEGMENT_BYTES = 3 * 1024 * 1024 + 4096;
let folder: string;
let directory: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-keeper-'));
  directory = join(folder, 'lane');
  mkdirSync(directory);
});
afterEach(() => rmSync(folder, { recursive: true }));

const keeper = () =>
  new SegmentKeeper({ directory, segmentBytes: SEGMENT_BYTES, journalId: JOURNAL_ID, ...nodeSystem });
const writerFrom = (segment: number) =>
  new JournalWriter({
    directory,
    segmentBytes: SEGMENT_BYTES,
    groupClaimsMax: 4096,
    journalId: JOURNAL_ID,
    segment,
    group: 1,
    ...nodeSystem,
  });

describe('segment keeper', () => {
  it('prepares segments that a writer takes, whole and zero-filled', async () => {
    await Promise.all([keeper().prepare(3), keeper().prepare(4)]);
    expect(readdirSync(directory).sort()).toEqual([segmentName(3), segmentName(4)]);
    const bytes = readFileSync(join(directory, segmentName(3)));
    expect(bytes.length).toBe(SEGMENT_BYTES);
    expect(bytes.subarray(512).every((byte) => byte === 0)).toBe(true);
    const { ino } = statSync(join(directory, segmentName(3)));
    const writer = writerFrom(3);
    commitGroup(writer, 0, 100);
    writer.close();
    expect(statSync(join(directory, segmentName(3))).ino).toBe(ino);
    const report = recoverJournal(directory, () => {});
    expect(report).toMatchObject({ end: 'whole', segments: 2, claims: 100, lastSegment: 3, nextSegment: 4 });
  });

  it('says where to go on when every segment is untouched', async () => {
    await keeper().prepare(7);
    expect(recoverJournal(directory, () => {})).toMatchObject({ lastSegment: 0, nextSegment: 7, end: 'whole' });
  });

  it('leaves a segment that is already there, and takes over what a crash left half made', async () => {
    const writer = writerFrom(1);
    commitGroup(writer, 0, 5);
    writeFileSync(join(directory, `${segmentName(2)}.keeper.tmp`), 'half');
    const one = keeper();
    await one.prepare(1);
    await one.prepare(2);
    expect(readdirSync(directory).sort()).toEqual([segmentName(1), segmentName(2)]);
    expect(recoverJournal(directory, () => {})).toMatchObject({ claims: 5, end: 'whole' });
  });

  it('makes the name of a segment that is already there durable: who made it may have been killed before that', async () => {
    await keeper().prepare(1);
    const { files } = nodeSystem;
    const opened = new Map<number, string>();
    const synced: (string | undefined)[] = [];
    const watched: Files = Object.create(files, {
      open: {
        value: (path: string, flags: string, done: (error: Error | null, fd: number) => void) =>
          files.open(path, flags, (error, fd) => {
            opened.set(fd, path);
            done(error, fd);
          }),
      },
      fsync: {
        value: (fd: number, done: (error: Error | null) => void) => {
          synced.push(opened.get(fd));
          files.fsync(fd, done);
        },
      },
    });
    const options = { directory, segmentBytes: SEGMENT_BYTES, journalId: JOURNAL_ID, ...nodeSystem, files: watched };
    await new SegmentKeeper(options).prepare(1);
    expect(synced).toEqual([directory]);
  });

  it('never replaces a segment the writer makes meanwhile', async () => {
    for (let segment = 1; segment <= 5; segment++) {
      const prepared = keeper().prepare(segment);
      for (let turn = 0; turn < segment * 2; turn++) await new Promise((resolve) => setImmediate(resolve));
      const writer = writerFrom(segment);
      commitGroup(writer, 0, 3);
      writer.close();
      await prepared;
      const report = recoverJournal(directory, () => {}, { fromSegment: segment });
      expect(report).toMatchObject({ claims: 3, end: 'whole', segments: 1 });
    }
  });

  it('removes segments below a number and nothing else', async () => {
    const one = keeper();
    for (const number of [1, 2, 3]) await one.prepare(number);
    writeFileSync(join(directory, 'notes.txt'), '');
    expect(await one.removeBelow(3)).toBe(2);
    expect(await one.removeBelow(3)).toBe(0);
    expect(readdirSync(directory).sort()).toEqual([segmentName(3), 'notes.txt'].sort());
  });

  it('fails with a code where the disk does, and works again afterwards', async () => {
    rmSync(directory, { recursive: true });
    const one = keeper();
    await expect(one.prepare(1)).rejects.toMatchObject({ code: 'JOURNAL_FAILED' });
    mkdirSync(directory);
    await one.prepare(1);
    expect(readdirSync(directory)).toEqual([segmentName(1)]);
  });
});
