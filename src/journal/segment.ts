/**
 * Segment files: their names, their headers, and how they are made. A lane's journal is one folder of them.
 *
 * Used by the writer's thread (synchronous calls) and by the main thread. Memory: one header or one chunk of zeros.
 *
 * A segment is filled with zeros, synced, and only then linked to its name. So a file with a segment's name is always whole,
 * and the sync of a group never changes the file's metadata (after fallocate alone, each sync would convert unwritten
 * extents). It is linked rather than renamed because a link never replaces a file: the writer and the keeper may make the
 * same segment at the same time.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert, ClaimwireError } from '../errors.ts';
import { hasCode, type JournalFiles, syncFolder, withFile, writeWhole } from '../system/files.ts';
import {
  BLOCK_BYTES,
  BLOCK_SIZES,
  blockAlign,
  GROUP_FRAMES_BYTES_MAX,
  getU64,
  groupBytes,
  JOURNAL_ID_BYTES,
  SECTOR_BYTES,
  SEGMENT,
  SEGMENT_BYTES_MAX,
  SEGMENT_HEADER_BYTES,
  SEGMENT_MAGIC,
  SEGMENT_VERSION,
  SEGMENT_VERSION_FRAMES,
  SEGMENT_VERSION_SECTORS,
  setU64,
} from './record.ts';

/** Default size of a segment. */
export const SEGMENT_BYTES = 64 * 1024 * 1024;
/** Zeros are written this many bytes at a time. */
const ZERO_CHUNK_BYTES = 1024 * 1024;
const NAME_DIGITS = 12;
const NAME = /^(\d{12})\.seg$/;
/** Unfinished segments, by their maker. A killed process leaves them behind. */
const DRAFT = /^\d{12}\.seg\.(keeper|writer|cut)\.tmp$/;

/** A lane's journal: its folder, and the form of its segments. */
export interface LaneJournal {
  directory: string;
  /** Size of new segments: whole blocks, at most 1 GiB. */
  segmentBytes: number;
  /** Smallest block to which groups are aligned, 4,096 or 512 (record.ts); default 4,096. */
  blockBytes?: number | undefined;
  /** Whether groups may have frames of signed roots; default false. */
  hasFrames?: boolean | undefined;
  /** 16 random bytes, the same for the journal's whole life. */
  journalId: Uint8Array;
}

/** Where a lane's writer begins. Plain data, since it is sent to the writer's thread. */
export interface LaneStart extends LaneJournal {
  /** First segment to write to, a new one (`RecoveryReport.nextSegment`); skipped if its blocks are too small. */
  segment: number;
  /** Number of the first group (`RecoveryReport.lastGroup + 1`). */
  group: number;
}

/** The fields of a segment's header. */
export interface SegmentHeader {
  number: number;
  segmentBytes: number;
  journalId: Uint8Array;
  createdAt: number;
  /** Groups start on multiples of it; the first group is on the second block. */
  blockBytes: number;
  /** Whether its groups may have frames; left out, they may not. */
  hasFrames?: boolean | undefined;
}

export function segmentName(number: number): string {
  return `${String(number).padStart(NAME_DIGITS, '0')}.seg`;
}

/** The number in a segment's name, or `undefined` for any other file. */
export function segmentNumber(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The path at which a segment is made before it gets its name. */
export function draftName(path: string, maker: 'keeper' | 'writer' | 'cut'): string {
  return `${path}.${maker}.tmp`;
}

/** Removes the unfinished segments of killed processes from a lane's folder, and returns their number. */
export function removeDrafts(files: JournalFiles, directory: string): number {
  const drafts = files.readdirSync(directory).filter((name) => DRAFT.test(name));
  for (const name of drafts) files.unlinkSync(join(directory, name));
  return drafts.length;
}

/** Asserts that the sizes fit together: a segment is whole blocks, and the largest group fits in it. */
export function assertSegment(
  segmentBytes: number,
  groupClaimsMax: number,
  journalId: Uint8Array,
  blockBytes: number = BLOCK_BYTES,
  hasFrames = false,
): void {
  assert(BLOCK_SIZES.includes(blockBytes), `a block is ${BLOCK_SIZES.join(' or ')} bytes`);
  assert(segmentBytes % blockBytes === 0 && segmentBytes <= SEGMENT_BYTES_MAX, 'a segment is whole blocks, ≤ 1 GiB');
  const framesBytes = hasFrames ? GROUP_FRAMES_BYTES_MAX : 0;
  const needed = blockBytes + blockAlign(groupBytes(groupClaimsMax) + framesBytes, blockBytes);
  assert(groupClaimsMax > 0 && needed <= segmentBytes, 'the largest group fits an empty segment');
  assert(journalId.length === JOURNAL_ID_BYTES, 'a journal id is 16 bytes');
}

/** The first block of a segment. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(header.blockBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(SEGMENT.magic, SEGMENT_MAGIC, true);
  view.setUint32(SEGMENT.version, header.hasFrames === true ? SEGMENT_VERSION_FRAMES : SEGMENT_VERSION, true);
  setU64(view, SEGMENT.number, header.number);
  setU64(view, SEGMENT.segmentBytes, header.segmentBytes);
  bytes.set(header.journalId, SEGMENT.journalId);
  view.setFloat64(SEGMENT.createdAt, header.createdAt, true);
  view.setUint32(SEGMENT.blockBytes, header.blockBytes, true);
  view.setUint32(SEGMENT.crc, crc32(bytes.subarray(0, SEGMENT.crc)), true);
  return bytes;
}

/** The header in the first 512 of `bytes` (of which `length` were read), or its fault. */
export function decodeSegmentHeader(bytes: Uint8Array, length: number, number: number): SegmentHeader | string {
  if (length < SEGMENT_HEADER_BYTES) return `expected a header of ${SEGMENT_HEADER_BYTES} bytes, got ${length}`;
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES);
  const magic = view.getUint32(SEGMENT.magic, true);
  if (magic !== SEGMENT_MAGIC) return `expected segment magic ${hex(SEGMENT_MAGIC)}, got ${hex(magic)}`;
  const stored = view.getUint32(SEGMENT.crc, true);
  const actual = crc32(bytes.subarray(0, SEGMENT.crc));
  if (stored !== actual) return `expected header checksum ${hex(stored)}, got ${hex(actual)}`;
  const version = view.getUint32(SEGMENT.version, true);
  if (version < SEGMENT_VERSION_SECTORS || version > SEGMENT_VERSION_FRAMES)
    return `expected segment version ${SEGMENT_VERSION_SECTORS} to ${SEGMENT_VERSION_FRAMES}, got ${version}`;
  const header = {
    number: getU64(view, SEGMENT.number),
    segmentBytes: getU64(view, SEGMENT.segmentBytes),
    journalId: new Uint8Array(bytes.subarray(SEGMENT.journalId, SEGMENT.journalId + JOURNAL_ID_BYTES)),
    createdAt: view.getFloat64(SEGMENT.createdAt, true),
    blockBytes: version === SEGMENT_VERSION_SECTORS ? SECTOR_BYTES : view.getUint32(SEGMENT.blockBytes, true),
    ...(version === SEGMENT_VERSION_FRAMES && { hasFrames: true }),
  };
  if (!BLOCK_SIZES.includes(header.blockBytes))
    return `expected blocks of ${BLOCK_SIZES.join(' or ')} bytes, got ${header.blockBytes}`;
  if (header.number !== number) return `expected segment number ${number}, got ${header.number}`;
  const size = header.segmentBytes;
  if (!(size > header.blockBytes && size <= SEGMENT_BYTES_MAX && size % header.blockBytes === 0))
    return `expected a segment of whole blocks up to ${SEGMENT_BYTES_MAX} bytes, got ${size}`;
  return header;
}

export function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

interface SegmentWrite {
  bytes: Uint8Array;
  length: number;
  position: number;
}

/** The contents of a new segment, its first block and then zeros, as writes of at most 1 MiB. */
export function* segmentWrites(header: SegmentHeader): Generator<SegmentWrite> {
  const head = encodeSegmentHeader(header);
  yield { bytes: head, length: head.length, position: 0 };
  const bytes = new Uint8Array(Math.min(ZERO_CHUNK_BYTES, header.segmentBytes));
  for (let position = head.length; position < header.segmentBytes; position += ZERO_CHUNK_BYTES)
    yield { bytes, length: Math.min(ZERO_CHUNK_BYTES, header.segmentBytes - position), position };
}

/** Makes a segment file, and syncs it and its folder. A file that already has the name stays as it is. */
export function createSegment(files: JournalFiles, directory: string, header: SegmentHeader): void {
  const path = join(directory, segmentName(header.number));
  const made = draftName(path, 'writer');
  try {
    withFile(files, made, 'w', (fd) => {
      for (const { bytes, length, position } of segmentWrites(header)) writeWhole(files, fd, bytes, length, position);
      files.fsyncSync(fd);
    });
  } catch (error) {
    try {
      // A draft left on a full disk would keep it full.
      files.unlinkSync(made);
    } catch {
      // The next start removes it.
    }
    throw error;
  }
  linkOnce(files, made, path);
  files.unlinkSync(made);
  syncFolder(files, directory);
}

/** Gives a file a second name, unless a file has that name already. */
export function linkOnce(files: JournalFiles, existing: string, path: string): void {
  try {
    files.linkSync(existing, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
}

/** The error for a failure of the journal's disk. */
export function journalFailed(what: string, path: string, error: unknown): ClaimwireError {
  const reason = error instanceof Error ? error.message : String(error);
  return new ClaimwireError(
    'JOURNAL_FAILED',
    `${what} ${path}: expected the disk to take it, got ${reason}; check the disk and its free space, then start again`,
    { path },
    { cause: error },
  );
}
