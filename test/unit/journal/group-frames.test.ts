/**
 * Frames of signed roots in groups: what is written, what is read again, and that nothing changes for groups without them.
 */
import { expect, test } from 'vitest';
import { claimBytes } from '../../../protocol/claim.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import { GROUP_FRAMES_BYTES_MAX } from '../../../src/journal/record.ts';
import { decodeSegmentHeader } from '../../../src/journal/segment.ts';
import { walkJournal } from '../../../src/journal/walk.ts';
import { MemoryFiles } from '../../support/memory-files.ts';
import { BLOCK_BYTES, commitGroup, LANE, numberedClaim, openWriter, recoverNumbers, TIME } from './fixtures.ts';

const SEGMENT = `${LANE}/000000000001.seg`;
const segmentBytes = 4 * GROUP_FRAMES_BYTES_MAX;
const withFrames = { hasFrames: true, segmentBytes };

/** A frame of one block of 64 leaves of 65,536, whose bytes all depend on `number`. */
function frameOf(number: number): Uint8Array {
  const frame = Uint8Array.from({ length: 1_428 }, (_, index) => (number * 17 + index * 5) & 0xff);
  frame.set([0x03, 0, 0, number]);
  new DataView(frame.buffer).setUint32(4, 65_536);
  return frame;
}

/** The record of a leaf: as a claim, of type 0x03. */
function leafRecord(amount: number): Uint8Array {
  const claim = claimBytes({
    channelId: 5n,
    sequence: 1,
    amount: BigInt(amount),
    signature: new Uint8Array(64),
    timestamp: TIME,
  });
  claim[0] = 0x03;
  return claim;
}

test('a group without frames is written byte for byte as ever, also where frames may come', () => {
  const [plain, rooted] = [new MemoryFiles(), new MemoryFiles()];
  commitGroup(openWriter(plain, { segmentBytes }), 1, 7);
  commitGroup(openWriter(rooted, withFrames), 1, 7);
  const [left, right] = [contents(plain, SEGMENT), contents(rooted, SEGMENT)];
  expect(Buffer.compare(left.subarray(BLOCK_BYTES), right.subarray(BLOCK_BYTES))).toBe(0);
  expect([left[4], right[4]]).toEqual([2, 3]);
});

function contents(files: MemoryFiles, path: string): Uint8Array {
  const fd = files.openSync(path, 'r');
  const bytes = new Uint8Array(files.fstatSync(fd).size);
  files.readSync(fd, bytes, 0, bytes.length, 0);
  files.closeSync(fd);
  return bytes;
}

test('frames come back with the leaves that were accepted, behind the claims; leaves have no record', () => {
  const files = new MemoryFiles();
  const writer = openWriter(files, withFrames);
  commitGroup(writer, 1, 2);
  const group = new JournalGroup(20);
  const padded = Uint8Array.of(9, 9, 9, ...frameOf(2));
  const [first, second] = [group.addFrame(frameOf(1), 0, 1_428), group.addFrame(padded, 3, 1_428)];
  expect([first, second]).toEqual([0, 1]);
  const record = (bytes: Uint8Array) => group.append(bytes, 0);
  group.acceptLeaf(record(leafRecord(10)), first, 0);
  group.append(numberedClaim(9), 0);
  group.acceptLeaf(record(leafRecord(11)), first, 63);
  group.acceptLeaf(record(leafRecord(12)), second, 33);
  writer.commit(group, TIME);
  const places = [0, 2, 3].map((index) => [group.frameOffset(index), group.leafOf(index)]);
  expect([group.count, group.isLeaf(0), group.isLeaf(1), group.segment]).toEqual([4, true, false, 1]);
  group.clear();
  expect(group.hasFrames).toBe(false);

  expect(recoverNumbers(files).numbers).toEqual([1, 2, 9]);
  const [, stored] = [...walkJournal(LANE, { files })];
  const bytes = contents(files, SEGMENT);
  const view = new DataView(bytes.buffer);
  const frames = [places[0]![0]!, places[2]![0]!];
  expect(frames[0]).toBe(stored!.fileOffset + 32 + 96);
  expect(places.map(([at, leaf]) => [frames.indexOf(at!), leaf])).toEqual([
    [0, 0],
    [0, 63],
    [1, 33],
  ]);
  const accepted = frames.map((at) => [view.getUint32(at, true), view.getUint32(at + 4, true)]);
  expect(accepted).toEqual([
    [1, 0x8000_0000],
    [0, 2],
  ]);
  for (const [index, at] of frames.entries())
    expect(Buffer.compare(bytes.subarray(at + 12, at + 12 + 1_428), frameOf(index + 1))).toBe(0);
});

test('a group of leaves alone is one; the next group follows it', () => {
  const files = new MemoryFiles();
  const writer = openWriter(files, withFrames);
  const group = new JournalGroup(1);
  group.acceptLeaf(group.append(leafRecord(1), 0), group.addFrame(frameOf(1), 0, 1_428), 5);
  writer.commit(group, TIME);
  commitGroup(writer, 1, 3);
  const { numbers, report } = recoverNumbers(files);
  expect([numbers, report.groups, report.end]).toEqual([[1, 2, 3], 2, 'whole']);
});

test('a group has room for so many frames, and says when it has none', () => {
  const group = new JournalGroup(4_096);
  let frames = 0;
  while (group.addFrame(frameOf(1), 0, 1_428) >= 0) frames++;
  expect(frames).toBe(Math.floor(GROUP_FRAMES_BYTES_MAX / 1_440));
  expect(group.addFrame(frameOf(1), 0, 100)).toBe(frames);
});

test('segments made for groups without frames stay empty once frames may come', () => {
  const files = new MemoryFiles();
  commitGroup(openWriter(files, { segmentBytes }), 1, 1);
  openWriter(files, { segmentBytes, segment: 2, group: 2 });
  const writer = openWriter(files, { ...withFrames, segment: 2, group: 2 });
  expect(writer.segment).toBe(3);
  commitGroup(writer, 2, 1);
  expect(recoverNumbers(files).numbers).toEqual([1, 2]);
  const header = decodeSegmentHeader(contents(files, `${LANE}/000000000003.seg`), 512, 3);
  expect(header).toMatchObject({ hasFrames: true });
});

test('every byte of a group with frames that is not as written is found', () => {
  const files = new MemoryFiles();
  const writer = openWriter(files, withFrames);
  const group = new JournalGroup(2);
  group.append(numberedClaim(1), 0);
  group.acceptLeaf(group.append(leafRecord(1), 0), group.addFrame(frameOf(1), 0, 1_428), 5);
  writer.commit(group, TIME);
  const length = 32 + 96 + 12 + 1_428;
  for (let at = BLOCK_BYTES; at < BLOCK_BYTES + length; at += 131) {
    const damaged = files.copy();
    const fd = damaged.openSync(SEGMENT, 'r+');
    damaged.writeSync(fd, Uint8Array.of(contents(files, SEGMENT)[at]! ^ 0x20), 0, 1, at);
    expect(recoverNumbers(damaged, { sync: false })).toMatchObject({ numbers: [], report: { end: 'torn' } });
  }
});
