/**
 * The journal's bytes, declared once: group header, record, segment header. Little-endian, except that a record is the
 * claim itself, as it came over the wire.
 *
 * Pure functions over memory the caller owns; used by the writer's thread, the main thread and the tools.
 *
 *   segment = header (512) ‖ zeros up to one block ‖ group ‖ group ‖ … ‖ zeros
 *   group   = header (32) ‖ count × record (96), then zeros up to the next block
 *   record  = the 93 bytes of the claim ‖ 3 zeros
 *
 * Groups start on blocks and are written in whole blocks, so a block is never written again once it is synced, and what
 * a loss of power leaves of a write lies behind every older group. That holds where a block is no smaller than what the
 * disk writes at a time: many disks that tell of 512-byte sectors read, change and write 4,096 bytes. Hence 4,096 is the
 * default; 512 is for disks known to write sectors of 512. It asks of the file system that it keeps blocks of a file on
 * blocks of the disk, as ext4 and xfs made with blocks of 4,096 do. A segment's header says its block, since an earlier run may
 * have been told another. Group numbers rise by 1 while groups are in the journal, so a missing group shows.
 */
import { crc32 } from 'node:zlib';
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';

/** What any disk writes whole or not at all; the smallest block. */
export const SECTOR_BYTES = 512;
/** What groups are aligned to, unless the operator knows the disk. */
export const BLOCK_BYTES = 4_096;
/** Blocks a segment may have. */
export const BLOCK_SIZES: readonly number[] = [SECTOR_BYTES, BLOCK_BYTES];

export const RECORD_BYTES = 96;
export const GROUP_HEADER_BYTES = 32;
export const GROUP_MAGIC = 0x50_52_47_43; // "CGRP" as it lies
/** Offsets in a group's header. The checksum covers everything after it: bytes 8 to `bytes`. */
export const GROUP = {
  magic: 0, // u32
  crc: 4, // u32
  number: 8, // u64, 1 or more
  count: 16, // u32, claims
  bytes: 20, // u32, header and records without the padding
  time: 24, // f64, milliseconds since 1970, the node's clock
} as const;
/** Most claims one group may hold. Recovery never believes a larger count, and its window holds one such group. */
export const GROUP_CLAIMS_LIMIT = 65_536;
export const GROUP_BYTES_LIMIT = GROUP_HEADER_BYTES + GROUP_CLAIMS_LIMIT * RECORD_BYTES;

export const JOURNAL_ID_BYTES = 16;
export const SEGMENT_HEADER_BYTES = 512;
export const SEGMENT_MAGIC = 0x4c_4e_4a_43; // "CJNL" as it lies
export const SEGMENT_VERSION = 2;
/** Segments of earlier trees, read and never written: their blocks are sectors and their headers do not say so. */
export const SEGMENT_VERSION_SECTORS = 1;
/** Offsets in a segment's header; what is between `blockBytes` and `crc` is zero. */
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
/** Largest segment: it can be zero-filled within seconds, and no length in a header leads a reader further. */
export const SEGMENT_BYTES_MAX = 0x4000_0000;

assert(RECORD_BYTES >= CLAIM_BYTES && RECORD_BYTES % 4 === 0, 'a record holds a claim and is copied in whole words');
assert(GROUP_HEADER_BYTES % 4 === 0, 'records start on a word');
assert(GROUP.time + 8 === GROUP_HEADER_BYTES, 'a group header has no gap at its end');
assert(GROUP_HEADER_BYTES <= SECTOR_BYTES, 'a group header is in one sector: it is there whole or not at all');
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

/** The next multiple of a block. */
export function blockAlign(bytes: number, blockBytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}

/**
 * Where a group's checksum starts from: the journal's id. It tells apart a group that was left on the disk by another
 * journal, and a payer who does not know the id cannot forge a group header inside its claims.
 */
export function groupSeed(journalId: Uint8Array): number {
  return crc32(journalId);
}

/** Writes the header of the group at the start of `bytes`, whose `count` records are in place, and its checksum. */
export function sealGroup(bytes: Uint8Array, view: DataView, number: number, count: number, now: number, seed: number) {
  const length = groupBytes(count);
  view.setUint32(GROUP.magic, GROUP_MAGIC, true);
  setU64(view, GROUP.number, number);
  view.setUint32(GROUP.count, count, true);
  view.setUint32(GROUP.bytes, length, true);
  view.setFloat64(GROUP.time, now, true);
  view.setUint32(GROUP.crc, crc32(bytes.subarray(GROUP.number, length), seed), true);
}

/** A u64 from its halves; NaN where it is no safe integer, so that it compares equal to nothing. */
export function getU64(view: DataView, offset: number): number {
  const value = view.getUint32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true);
  return value <= Number.MAX_SAFE_INTEGER ? value : Number.NaN;
}

export function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}
