import { randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  blockAlign,
  GROUP,
  GROUP_CLAIMS_LIMIT,
  GROUP_MAGIC,
  groupBytes,
  groupSeed,
  setU64,
} from '../../../src/journal/record.ts';
import { createSegment, segmentName } from '../../../src/journal/segment.ts';
import { recoverJournal } from '../../../src/journal/walk.ts';
import { brieflyOrAtLength } from '../../support/length.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import {
  BLOCK_BYTES,
  commitGroup,
  JOURNAL_ID,
  LANE,
  openWriter,
  range,
  recoverNumbers,
  SEGMENT_BYTES,
} from './fixtures.ts';

/** Where each group lies, and the claims recovered when everything up to and with it is sound. */
interface Placed {
  segment: number;
  start: number;
  end: number;
  claims: number;
}

const path = (segment: number) => `${LANE}/${segmentName(segment)}`;
const bytesOf = (files: MemoryFiles, segment: number) => files.names.get(path(segment))!.bytes;
const SIZES = [3, 1, 9, 6, 2, 4, 11, 5];
const disk = new MemoryFiles();
const placed: Placed[] = [];
const total = SIZES.reduce((sum, size) => sum + size, 0);

/** Whether these are the first `count` claims; a comparison that is cheap enough for tens of thousands of journals. */
const areFirst = (numbers: number[], count: number) =>
  numbers.length === count && numbers.every((number, index) => number === index);

beforeAll(() => {
  const writer = openWriter(disk);
  let claims = 0;
  let offset = 512;
  for (const size of SIZES) {
    const segment = writer.segment;
    commitGroup(writer, claims, size);
    claims += size;
    if (writer.segment !== segment) offset = 512;
    placed.push({ segment: writer.segment, start: offset, end: offset + groupBytes(size), claims });
    offset += blockAlign(groupBytes(size), BLOCK_BYTES);
  }
  // One more, prepared and not yet used.
  createSegment(disk, LANE, {
    number: writer.segment + 1,
    segmentBytes: SEGMENT_BYTES,
    blockBytes: BLOCK_BYTES,
    journalId: JOURNAL_ID,
    createdAt: 1,
  });
});

/** Puts a header on the group at 512, under the checksum that belongs to it. */
function writeGroupHeader(segment: Uint8Array, count: number, length: number, low: number, high: number): void {
  const view = new DataView(segment.buffer, segment.byteOffset + 512);
  view.setUint32(GROUP.magic, GROUP_MAGIC, true);
  view.setUint32(GROUP.number, low, true);
  view.setUint32(GROUP.number + 4, high, true);
  view.setUint32(GROUP.count, count, true);
  view.setUint32(GROUP.bytes, length, true);
  const covered = segment.subarray(512 + GROUP.number, 512 + Math.max(length, GROUP.number));
  view.setUint32(GROUP.crc, crc32(covered, groupSeed(JOURNAL_ID)), true);
}

/** Every byte at length; briefly every fifth, which meets each field of a group's header in most of the groups. */
const STEP = brieflyOrAtLength(5, 1);

describe('recovery', () => {
  it('reads a whole journal and says what it holds', () => {
    const { numbers, report } = recoverNumbers(disk);
    expect(numbers).toEqual(range(0, total));
    expect(placed.map(({ segment }) => segment)).toEqual([1, 1, 1, 2, 2, 2, 3, 3]);
    expect(report).toEqual({
      segments: 4,
      groups: 8,
      claims: total,
      bytes: placed.reduce((sum, { start, end }) => sum + end - start, 0),
      firstGroup: 1,
      lastGroup: 8,
      lastSegment: 3,
      nextSegment: 4,
      journalId: JOURNAL_ID,
      end: 'whole',
      dropped: { bytes: 0, groups: 0 },
      harmless: [],
    });
  });

  it('keeps everything before a flipped byte, wherever it is, and names the place', () => {
    for (let segment = 1; segment <= 4; segment++) {
      for (let offset = 0; offset < SEGMENT_BYTES; offset += STEP) {
        const damaged = disk.copy();
        bytesOf(damaged, segment)[offset]! ^= 1 << (offset % 8);
        const { numbers, report } = recoverNumbers(damaged);
        const where = `segment ${segment} byte ${offset}`;
        const hit = placed.find((group) => group.segment === segment && offset >= group.start && offset < group.end);
        if (offset < 512) {
          const kept = placed.filter((group) => group.segment < segment).at(-1)?.claims ?? 0;
          expect(areFirst(numbers, kept), where).toBe(true);
          expect(report, where).toMatchObject({ end: 'corrupt', bad: { file: path(segment), segment, offset: 0 } });
        } else if (hit !== undefined) {
          const index = placed.indexOf(hit);
          const last = index === placed.length - 1;
          expect(areFirst(numbers, placed[index - 1]?.claims ?? 0), where).toBe(true);
          expect(report, where).toMatchObject({ end: last ? 'torn' : 'corrupt', bad: { segment, offset: hit.start } });
          expect(report.dropped.groups, where).toBe(placed.length - 1 - index);
          expect(report.dropped.bytes, where).toBeGreaterThan(0);
          expect(report.bad!.reason, where).toMatch(/^expected .*, got /);
        } else {
          // Between groups or behind the last one: noticed and named, and no claim is missing.
          expect(areFirst(numbers, total), where).toBe(true);
          const places = report.bad === undefined ? report.harmless : [report.bad];
          expect(places, where).toMatchObject([{ file: path(segment), segment, offset }]);
          expect(report.end, where).not.toBe('corrupt');
        }
      }
    }
  }, 60_000);

  it('calls a flipped byte in the only group of the first segment corrupt, since the next group has another number', () => {
    const files = new MemoryFiles();
    files.mkdirSync(LANE, { recursive: true });
    const writer = openWriter(files);
    // The second group does not fit behind the first.
    commitGroup(writer, 0, 6);
    commitGroup(writer, 6, 20);
    writer.close();
    const bytes = bytesOf(files, 1);
    for (const change of [0x01, 0x80, 0xff])
      for (let at = 512; at < 512 + groupBytes(6); at++) {
        bytes[at]! ^= change;
        for (const fromSegment of [undefined, 1]) {
          const { numbers, report } = recoverNumbers(files, fromSegment === undefined ? {} : { fromSegment });
          expect([at, change, report.end, report.bad?.segment, numbers]).toEqual([at, change, 'corrupt', 1, []]);
        }
        bytes[at]! ^= change;
      }
    expect(recoverNumbers(files).numbers).toEqual(range(0, 26));
  });

  it.each([
    ['whose header was never written', 512, 544],
    ['whose first sector was never written', 512, 1_024],
    ['whose last sector was never written', 1_024, 1_536],
  ])('goes on behind a torn first group %s, with its number', (_, from, to) => {
    const files = new MemoryFiles();
    files.mkdirSync(LANE, { recursive: true });
    const torn = openWriter(files);
    commitGroup(torn, 100, 8);
    torn.close();
    bytesOf(files, 1).fill(0, from, to);
    const next = openWriter(files, { segment: 2, group: 1 });
    commitGroup(next, 0, 4);
    next.close();
    const { numbers, report } = recoverNumbers(files);
    expect(report).toMatchObject({ end: 'whole', harmless: [{ segment: 1 }] });
    expect(numbers).toEqual(range(0, 4));
  });

  it('keeps everything before a cut, wherever it is, and says so', () => {
    for (let segment = 1; segment <= 4; segment++) {
      for (let size = 0; size < SEGMENT_BYTES; size += STEP) {
        const damaged = disk.copy();
        const inode = damaged.names.get(path(segment))!;
        inode.bytes = inode.bytes.slice(0, size);
        const { numbers, report } = recoverNumbers(damaged);
        const where = `segment ${segment} cut to ${size}`;
        const before = placed.filter(
          (group) => group.segment < segment || (group.segment === segment && group.end <= size),
        );
        const lost = placed.filter((group) => group.segment === segment && group.end > size);
        const after = placed.filter((group) => group.segment > segment);
        const harmless = size >= 512 && lost.length === 0 && after.length > 0;
        expect(areFirst(numbers, harmless ? total : (before.at(-1)?.claims ?? 0)), where).toBe(true);
        const place = harmless ? report.harmless[0] : report.bad;
        expect(place, where).toMatchObject({ file: path(segment), segment });
        expect(place!.reason, where).toMatch(/^expected .*, got .*\d/);
        // A segment's header is synced before its name is; and with no group left no number says what is missing.
        if (size < 512 || numbers.length === 0) expect(report.end, where).toBe('corrupt');
        else expect(report.end, where).toBe(harmless ? 'whole' : after.length > 0 ? 'corrupt' : 'torn');
      }
    }
  }, 60_000);

  it('calls a missing segment corrupt, and keeps what is before it', () => {
    const damaged = disk.copy();
    damaged.names.delete(path(2));
    const { numbers, report } = recoverNumbers(damaged);
    expect(numbers).toEqual(range(0, placed[2]!.claims));
    expect(report).toMatchObject({ end: 'corrupt', bad: { segment: 2, file: path(2) }, dropped: { groups: 2 } });
    expect(recoverNumbers(disk, { fromSegment: 2 }).numbers).toEqual(
      range(placed[2]!.claims, total - placed[2]!.claims),
    );
    expect(recoverNumbers(damaged, { fromSegment: 2 })).toMatchObject({ numbers: [], report: { end: 'corrupt' } });
  });

  it('takes no group of another journal, another segment, or an earlier time', () => {
    const other = new Uint8Array(16).fill(1);
    const foreign = disk.copy();
    const writer = openWriter(foreign, { segment: 5, group: 9, journalId: other });
    commitGroup(writer, 100, 3);
    expect(recoverNumbers(foreign)).toMatchObject({
      numbers: range(0, total),
      report: { end: 'corrupt', bad: { segment: 5, offset: 0, reason: expect.stringMatching(/journal .*, got 0101/) } },
    });
    expect(recoverNumbers(disk, { journalId: other }).report).toMatchObject({ end: 'corrupt', groups: 0 });

    // Its next group, by the number, left where ours would go on.
    const pasted = disk.copy();
    bytesOf(pasted, 3).set(bytesOf(foreign, 5).subarray(512, 1024), blockAlign(placed.at(-1)!.end, BLOCK_BYTES));
    expect(recoverNumbers(pasted)).toMatchObject({ numbers: range(0, total), report: { end: 'torn' } });

    const renamed = disk.copy();
    renamed.names.set(path(4), renamed.names.get(path(1))!);
    expect(recoverNumbers(renamed).report.bad).toMatchObject({ segment: 4, offset: 0 });

    // A recycled file: a sound header, and behind the last group what an earlier one left.
    const recycled = disk.copy();
    const last = placed.at(-1)!;
    bytesOf(recycled, 3).set(bytesOf(recycled, 1).subarray(512, 1024), blockAlign(last.end, BLOCK_BYTES));
    const { numbers, report } = recoverNumbers(recycled);
    expect(numbers).toEqual(range(0, total));
    expect(report).toMatchObject({ end: 'torn', dropped: { groups: 0 }, bad: { reason: 'expected group 9, got 1' } });
  });

  it('believes no count, length or number that a header claims', () => {
    const first = placed[0]!.end - placed[0]!.start;
    // [claims, bytes, number low, number high], the first group's being 3, `first`, 1, 0.
    const lies = [
      [0xffff_ffff, first, 1, 0],
      [0xffff_ffff, groupBytes(0xffff_ffff) >>> 0, 1, 0],
      [0, groupBytes(0), 1, 0],
      [2, first, 1, 0],
      [4, first, 1, 0],
      [3, 0, 1, 0],
      [3, 8, 1, 0],
      [3, 0xffff_ffff, 1, 0],
      [3, first, 0, 0],
      [3, first, 1, 0xffff_ffff],
    ];
    for (const [claims, length, low, high] of lies) {
      const damaged = disk.copy();
      const bytes = bytesOf(damaged, 1);
      writeGroupHeader(bytes, claims!, length!, low!, high!);
      expect(recoverNumbers(damaged), `${[claims, length, low, high]}`).toMatchObject({
        numbers: [],
        report: { end: 'corrupt', bad: { offset: 512 } },
      });
    }
    const large = new MemoryFiles();
    large.mkdirSync(LANE);
    const segmentBytes = 8 * 1024 * 1024;
    createSegment(large, LANE, {
      number: 1,
      segmentBytes,
      blockBytes: BLOCK_BYTES,
      journalId: JOURNAL_ID,
      createdAt: 1,
    });
    const count = GROUP_CLAIMS_LIMIT + 1;
    writeGroupHeader(bytesOf(large, 1), count, groupBytes(count), 1, 0);
    expect(recoverNumbers(large).report.bad).toMatchObject({
      offset: 512,
      reason: expect.stringContaining('claims, got 65537'),
    });
  });

  it('reports any garbage, and throws on none', () => {
    const random = new Uint8Array(4096);
    for (let round = 0; round < 200; round++) {
      const files = new MemoryFiles();
      files.mkdirSync(LANE, { recursive: true });
      const whole = disk.copy();
      randomFillSync(random);
      const length = random[0]! * 16;
      if (round % 2 === 0) files.names.set(path(1), { bytes: random.slice(0, length), durable: random, unsynced: [] });
      else {
        // A sound header, then garbage with group headers sown in it.
        files.names.set(path(1), whole.names.get(path(1))!);
        const bytes = bytesOf(files, 1);
        bytes.set(random.subarray(0, SEGMENT_BYTES - 512), 512);
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        for (let offset = 512; offset < SEGMENT_BYTES; offset += 512) {
          view.setUint32(offset, GROUP_MAGIC, true);
          setU64(view, offset + GROUP.number, round);
        }
      }
      const { numbers, report } = recoverNumbers(files);
      expect(numbers).toEqual([]);
      expect(report.end).not.toBe('whole');
      expect(report.bad!.segment).toBe(1);
    }
  });

  it('takes a folder that is not there, and a file that cannot be read, on a real disk', () => {
    const folder = mkdtempSync(join(tmpdir(), 'journal-recover-'));
    try {
      const none = recoverJournal(join(folder, 'none'), () => {});
      expect(none).toMatchObject({ segments: 0, end: 'whole', lastSegment: 0, nextSegment: 1, lastGroup: 0 });
      mkdirSync(join(folder, 'lane', segmentName(1)), { recursive: true });
      writeFileSync(join(folder, 'lane', 'notes.txt'), 'not a segment');
      const report = recoverJournal(join(folder, 'lane'), () => {});
      expect(report).toMatchObject({
        segments: 1,
        end: 'corrupt',
        bad: { segment: 1, reason: expect.stringContaining('EISDIR') },
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('changes nothing, and syncs what it read unless told not to', () => {
    const files = disk.copy();
    const operations: string[] = [];
    files.before = (operation, name) => operations.push(`${operation} ${name}`);
    recoverNumbers(files, { sync: false });
    expect(operations).toEqual([]);
    recoverNumbers(files);
    expect(operations).toEqual([`sync ${path(3)}`]);
  });
});
