/**
 * The journal's bytes, declared once: group header, record, segment header. They are little-endian, except for records,
 * which are claims as they came over the wire.
 *
 * Pure functions over memory the caller owns; used by the writer's thread, the main thread and the tools.
 *
 *   segment = header (512) ‖ zeros up to one block ‖ group ‖ group ‖ … ‖ zeros
 *   group   = header (32) ‖ count × record (96) ‖ frames, then zeros up to the next block
 *   record  = the 93 bytes of the claim ‖ 3 zeros
 *   frame   = accepted u64, a bit for each leaf ‖ length u32 ‖ the frame as it came (protocol/README.md, 0x03)
 *
 * Frames are only in segments of version 3, which a node writes that takes signed roots. A leaf has no record: its frame
 * proves it, and is written once for all leaves of it that the group accepted. A group of frames alone has a count of 0.
 *
 * Groups start on blocks and are written in whole blocks, so a block is never written again once it is synced, and a torn
 * write lies after every older group. This needs a block no smaller than what the disk writes at once: many disks that
 * report sectors of 512 bytes read, change and write 4,096. Hence 4,096 is the default, and 512 is for disks known to write
 * 512. It also needs a file system that aligns file blocks to disk blocks, as ext4 and xfs with blocks of 4,096 do. A
 * segment's header holds its block size, since an earlier run may have had another. Group numbers rise by 1, so a missing
 * group shows.
 */
import { crc32 } from 'node:zlib';
import { CLAIM_BYTES, MERKLE_FRAME_BYTES_MAX } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';

/** Any disk writes a sector whole or not at all. The smallest block. */
export const SECTOR_BYTES = 512;
/** The default block, to which groups are aligned. */
export const BLOCK_BYTES = 4_096;
/** Block sizes that a segment may have. */
export const BLOCK_SIZES: readonly number[] = [SECTOR_BYTES, BLOCK_BYTES];

export const RECORD_BYTES = 96;
export const GROUP_HEADER_BYTES = 32;
export const GROUP_MAGIC = 0x50_52_47_43; // "CGRP" in the file
/** Offsets in a group's header. The checksum covers everything after it: bytes 8 to `bytes`. */
export const GROUP = {
  magic: 0, // u32
  crc: 4, // u32
  number: 8, // u64, 1 or more
  count: 16, // u32, claims
  bytes: 20, // u32, header and records without the padding
  time: 24, // f64, milliseconds since 1970, the node's clock
} as const;
/** Most claims in a group. Recovery believes no larger count, and its window holds one such group. */
export const GROUP_CLAIMS_LIMIT = 65_536;
export const GROUP_BYTES_LIMIT = GROUP_HEADER_BYTES + GROUP_CLAIMS_LIMIT * RECORD_BYTES;

/** Before each frame of a group: which leaves were accepted, as the low and the high word, and the frame's length. */
export const FRAME_HEADER_BYTES = 12;
export const FRAME = { accepted: 0, length: 8 } as const;
/** Bytes of frames in one group: 728 of the largest, and eleven times what a group of full frames takes. */
export const GROUP_FRAMES_BYTES_MAX = 1024 * 1024;

export const JOURNAL_ID_BYTES = 16;
export const SEGMENT_HEADER_BYTES = 512;
export const SEGMENT_MAGIC = 0x4c_4e_4a_43; // "CJNL" in the file
export const SEGMENT_VERSION = 2;
/** The segments of a node that takes signed roots: their groups may have frames. Else like version 2. */
export const SEGMENT_VERSION_FRAMES = 3;
/** Segments of earlier versions are read but never written. Their blocks are sectors, which their headers do not say. */
export const SEGMENT_VERSION_SECTORS = 1;
/** Offsets in a segment's header; the bytes between `blockBytes` and `crc` are zero. */
export const SEGMENT = {
  magic: 0, // u32
  version: 4, // u32
  number: 8, // u64, 1 or more, the same as in the file's name
  segmentBytes: 16, // u64, the file's size when it is whole
  journalId: 24, // 16 bytes
  createdAt: 40, // f64, milliseconds since 1970
  blockBytes: 48, // u32, one of BLOCK_SIZES
  crc: 508, // u32, CRC-32 of bytes 0..507
} as const;
/** Largest segment. It can be filled with zeros within seconds, and no header makes a reader go further. */
export const SEGMENT_BYTES_MAX = 0x4000_0000;

assert(RECORD_BYTES >= CLAIM_BYTES && RECORD_BYTES % 4 === 0, 'a record holds a claim and is copied in whole words');
assert(GROUP_HEADER_BYTES % 4 === 0, 'records start on a word');
assert(
  FRAME_HEADER_BYTES % 4 === 0 && MERKLE_FRAME_BYTES_MAX % 4 === 0,
  'frames, whose lengths are whole words, start on a word',
);
assert(GROUP.time + 8 === GROUP_HEADER_BYTES, 'a group header has no gap at its end');
assert(GROUP_HEADER_BYTES <= SECTOR_BYTES, 'a group header is in one sector, so it is written whole or not at all');
assert(
  BLOCK_SIZES.every((size) => size >= SEGMENT_HEADER_BYTES && size % SECTOR_BYTES === 0),
  'a header is in the first block, and blocks are whole sectors',
);
assert(SEGMENT.crc + 4 === SEGMENT_HEADER_BYTES, 'the segment checksum is the last word');
assert(SEGMENT.blockBytes + 4 <= SEGMENT.crc, 'the segment fields end before the checksum');

/** Bytes of a group of `count` claims, without padding. */
export function groupBytes(count: number): number {
  return GROUP_HEADER_BYTES + count * RECORD_BYTES;
}

/** `bytes`, rounded up to a multiple of the block. */
export function blockAlign(bytes: number, blockBytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}

/**
 * The start value of a group's checksum, from the journal's id. With it, a group of another journal left on the disk is
 * not sound, and a payer, who does not know the id, cannot forge a group header inside claims.
 */
export function groupSeed(journalId: Uint8Array): number {
  return crc32(journalId);
}

/**
 * Writes the header and checksum of the group at the start of `bytes`, whose `count` records are in place, and behind them
 * its frames, where it has some.
 */
export function sealGroup(
  bytes: Uint8Array,
  view: DataView,
  number: number,
  count: number,
  now: number,
  seed: number,
  length = groupBytes(count),
) {
  view.setUint32(GROUP.magic, GROUP_MAGIC, true);
  setU64(view, GROUP.number, number);
  view.setUint32(GROUP.count, count, true);
  view.setUint32(GROUP.bytes, length, true);
  view.setFloat64(GROUP.time, now, true);
  view.setUint32(GROUP.crc, crc32(bytes.subarray(GROUP.number, length), seed), true);
}

/** Reads a u64; NaN, which equals nothing, where it is no safe integer. */
export function getU64(view: DataView, offset: number): number {
  const value = view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true);
  return value <= Number.MAX_SAFE_INTEGER ? value : Number.NaN;
}

export function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}
