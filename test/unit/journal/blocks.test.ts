/**
 * Segments by the size of their blocks: 4,096 and 512 of this tree, and version 1, whose headers say no size; and what a
 * header tells of a group that is not whole. journal-recover.test.ts damages every byte of a small journal; here blocks
 * are as large as they are by default. In memory.
 */
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { blockAlign, groupBytes, SEGMENT } from '../../../src/journal/record.ts';
import { decodeSegmentHeader, encodeSegmentHeader, segmentName } from '../../../src/journal/segment.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { commitGroup, JOURNAL_ID, LANE, openWriter, range, recoverNumbers } from './fixtures.ts';

const SIZES = [3, 60, 1, 44, 2, 5];
const total = SIZES.reduce((sum, size) => sum + size, 0);
const bytesOf = (files: MemoryFiles, segment = 1) => files.names.get(`${LANE}/${segmentName(segment)}`)!.bytes;

interface Placed {
  start: number;
  end: number;
  /** Claims up to and with it. */
  claims: number;
}

/** A journal of one segment, all groups in it. */
function journal(blockBytes: number): { disk: MemoryFiles; placed: Placed[]; segmentBytes: number } {
  const disk = new MemoryFiles();
  const segmentBytes = 16 * 4_096;
  const writer = openWriter(disk, { blockBytes, segmentBytes, groupClaimsMax: 60 });
  const placed: Placed[] = [];
  let claims = 0;
  let start = blockBytes;
  for (const size of SIZES) {
    commitGroup(writer, claims, size);
    claims += size;
    placed.push({ start, end: start + groupBytes(size), claims });
    start += blockAlign(groupBytes(size), blockBytes);
  }
  writer.close();
  return { disk, placed, segmentBytes };
}

/** As a tree before wrote it: version 1, no block size, blocks of 512. */
function asVersion1(disk: MemoryFiles): void {
  const bytes = bytesOf(disk);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(SEGMENT.version, 1, true);
  view.setUint32(SEGMENT.blockBytes, 0, true);
  view.setUint32(SEGMENT.crc, crc32(bytes.subarray(0, SEGMENT.crc)), true);
}

describe.each([
  ['blocks of 4,096', 4_096, false],
  ['blocks of 512', 512, false],
  ['version 1', 512, true],
] as const)('%s', (_, blockBytes, isVersion1) => {
  const made = () => {
    const { disk, placed, segmentBytes } = journal(blockBytes);
    if (isVersion1) asVersion1(disk);
    return { disk, placed, segmentBytes };
  };

  it('reads every group where it lies', () => {
    const { disk, placed } = made();
    const { numbers, report } = recoverNumbers(disk);
    expect(numbers).toEqual(range(0, total));
    expect(report).toMatchObject({ end: 'whole', groups: SIZES.length, harmless: [] });
    const starts = placed.map(({ start }) =>
      bytesOf(disk)
        .subarray(start, start + 4)
        .toString(),
    );
    expect(new Set(starts)).toEqual(new Set([Buffer.from('CGRP').join()]));
  });

  it('keeps everything before a flipped byte, and names the place', () => {
    const { disk, placed, segmentBytes } = made();
    const edges = placed.flatMap(({ start, end }) => [
      start - 1,
      start,
      start + 4,
      start + 16,
      start + 31,
      end - 1,
      end,
    ]);
    const spread = Array.from({ length: 400 }, (_, index) => 512 + Math.floor((index * (segmentBytes - 512)) / 400));
    for (const offset of new Set([511, 512, ...edges, ...spread])) {
      const damaged = disk.copy();
      bytesOf(damaged)[offset]! ^= 1 << (offset % 8);
      const { numbers, report } = recoverNumbers(damaged);
      const index = placed.findIndex(({ start, end }) => offset >= start && offset < end);
      const where = `byte ${offset}`;
      if (offset < 512) expect(report, where).toMatchObject({ end: 'corrupt', groups: 0 });
      else if (index < 0) {
        expect(numbers, where).toEqual(range(0, total));
        expect(report.bad === undefined ? report.harmless : [report.bad], where).toMatchObject([{ offset }]);
        expect(report.end, where).not.toBe('corrupt');
      } else {
        expect(numbers, where).toEqual(range(0, placed[index - 1]?.claims ?? 0));
        const isLast = index === placed.length - 1;
        expect(report, where).toMatchObject({
          end: isLast ? 'torn' : 'corrupt',
          bad: { offset: placed[index]!.start },
        });
      }
    }
  });

  it('knows by a header that a group was followed by another, though no sound one is left', () => {
    const { disk, placed } = made();
    // The last two lose a byte of their records each: the first of them was synced before the last was written.
    for (const { end } of placed.slice(-2)) bytesOf(disk)[end - 1]! ^= 1;
    const { numbers, report } = recoverNumbers(disk);
    expect(numbers).toEqual(range(0, placed.at(-3)!.claims));
    expect(report).toMatchObject({
      end: 'corrupt',
      dropped: { groups: 0 },
      bad: { offset: placed.at(-2)!.start, reason: expect.stringContaining('this group had been synced') },
    });
  });

  it('claims to know nothing where the header is gone too', () => {
    const { disk, placed } = made();
    for (const { start } of placed.slice(-2)) bytesOf(disk).fill(0xb5, start, start + 32);
    expect(recoverNumbers(disk).report).toMatchObject({ end: 'torn', bad: { offset: placed.at(-2)!.start } });
  });
});

it('a header is read by the version that wrote it, and no other block is believed', () => {
  const header = { number: 7, segmentBytes: 1 << 20, journalId: JOURNAL_ID, createdAt: 5, blockBytes: 4_096 };
  const bytes = encodeSegmentHeader(header);
  expect(bytes.length).toBe(4_096);
  expect(decodeSegmentHeader(bytes, 512, 7)).toEqual(header);
  const changed = (offset: number, value: number) => {
    const copy = bytes.slice();
    const view = new DataView(copy.buffer);
    view.setUint32(offset, value, true);
    view.setUint32(SEGMENT.crc, crc32(copy.subarray(0, SEGMENT.crc)), true);
    return decodeSegmentHeader(copy, 512, 7);
  };
  const withFrames = { ...header, hasFrames: true };
  expect(decodeSegmentHeader(encodeSegmentHeader(withFrames), 512, 7)).toEqual(withFrames);
  expect(changed(SEGMENT.version, 4)).toBe('expected segment version 1 to 3, got 4');
  for (const blockBytes of [0, 511, 1_024, 8_192, 0xffff_ffff])
    expect(changed(SEGMENT.blockBytes, blockBytes)).toBe(`expected blocks of 512 or 4096 bytes, got ${blockBytes}`);
  expect(changed(SEGMENT.segmentBytes, 4_096)).toMatch(/expected a segment of whole blocks/);
});
