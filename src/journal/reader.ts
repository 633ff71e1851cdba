/**
 * Reads one segment file at a time through a window of a fixed size, and checks it group by group. Never writes.
 *
 * Main thread at start, and the tools. Owns the window: what it returns is valid until the next call. Whatever the bytes
 * say, nothing larger than the window is read or allocated.
 */
import { crc32 } from 'node:zlib';
import { assert } from '../errors.ts';
import type { JournalFiles } from '../system/files.ts';
import {
  blockAlign,
  FRAME_HEADER_BYTES,
  GROUP,
  GROUP_BYTES_LIMIT,
  GROUP_CLAIMS_LIMIT,
  GROUP_FRAMES_BYTES_MAX,
  GROUP_HEADER_BYTES,
  GROUP_MAGIC,
  getU64,
  groupBytes,
  SECTOR_BYTES,
} from './record.ts';
import { hex } from './segment.ts';
import { framesFault } from './stored-frame.ts';

const WINDOW_BYTES = 8 * 1024 * 1024;
const COMPARE_BYTES = 64 * 1024;
const ZEROS = Buffer.alloc(COMPARE_BYTES);

assert(GROUP_BYTES_LIMIT <= WINDOW_BYTES, 'the largest group fits the window');

export class SegmentReader {
  /** The window: as large as the largest file so far, at most 8 MiB. */
  bytes = new Uint8Array(0);
  /** Size of the open file. */
  size = 0;
  /** The last sound group of `readGroup`: its start in `bytes`, number, claims, length and time. */
  at = 0;
  number = 0;
  count = 0;
  length = 0;
  time = 0;
  /** The file's byte at which it begins. */
  fileOffset = 0;
  /** Whether groups may have frames, as the segment's header says. */
  hasFrames = false;
  #view = new DataView(this.bytes.buffer);
  readonly #files: JournalFiles;
  #fd = -1;
  #start = 0;
  #end = 0;

  constructor(files: JournalFiles) {
    this.#files = files;
  }

  /** Closes the last file and opens another. Throws as `node:fs` does. */
  open(path: string): void {
    this.close();
    this.#fd = this.#files.openSync(path, 'r');
    this.size = this.#files.fstatSync(this.#fd).size;
    const window = Math.max(SECTOR_BYTES, Math.min(WINDOW_BYTES, this.size));
    if (window <= this.bytes.length) return;
    this.bytes = new Uint8Array(window);
    this.#view = new DataView(this.bytes.buffer);
  }

  close(): void {
    if (this.#fd >= 0) this.#files.closeSync(this.#fd);
    this.#fd = -1;
    this.size = this.#start = this.#end = 0;
  }

  /** Loads file bytes [offset, offset + length) and returns their start in `bytes`, or -1 if the file is shorter. */
  load(offset: number, length: number): number {
    if (offset >= this.#start && offset + length <= this.#end) return offset - this.#start;
    this.#start = this.#end = offset;
    const wanted = Math.min(this.bytes.length, this.size - offset);
    while (this.#end - offset < wanted) {
      const filled = this.#end - offset;
      const got = this.#files.readSync(this.#fd, this.bytes, filled, wanted - filled, this.#end);
      if (got === 0) break;
      this.#end += got;
    }
    return length <= this.#end - offset ? 0 : -1;
  }

  /** Reads the group at `offset`, which must end by `limit`. Returns undefined when it is sound, else its fault. */
  readGroup(offset: number, limit: number, seed: number): string | undefined {
    if (offset + GROUP_HEADER_BYTES > limit) return `expected a group header, got ${limit - offset} bytes`;
    let at = this.load(offset, GROUP_HEADER_BYTES);
    if (at < 0) return 'expected a group header, got the end of the file';
    const view = this.#view;
    const magic = view.getUint32(at + GROUP.magic, true);
    if (magic !== GROUP_MAGIC) return `expected group magic ${hex(GROUP_MAGIC)} or zeros to the end, got ${hex(magic)}`;
    const count = view.getUint32(at + GROUP.count, true);
    const length = view.getUint32(at + GROUP.bytes, true);
    if ((count === 0 && !this.#mayHaveFrames(0, length)) || count > GROUP_CLAIMS_LIMIT)
      return `expected 1..${GROUP_CLAIMS_LIMIT} claims, got ${count}`;
    if (length !== groupBytes(count) && !this.#mayHaveFrames(count, length))
      return `expected ${groupBytes(count)} bytes of group, got ${length}`;
    if (offset + length > limit) return `expected a group of ${length} bytes, got ${limit - offset}`;
    at = this.load(offset, length);
    if (at < 0) return `expected a group of ${length} bytes, got the end of the file`;
    const stored = view.getUint32(at + GROUP.crc, true);
    const actual = crc32(this.bytes.subarray(at + GROUP.number, at + length), seed);
    if (stored !== actual) return `expected group checksum ${hex(stored)}, got ${hex(actual)}`;
    const number = getU64(view, at + GROUP.number);
    if (!(number >= 1)) return `expected a group number from 1 to 2^53, got ${number}`;
    const fault = framesFault(this.bytes, view, at + groupBytes(count), at + length);
    if (fault !== undefined) return fault;
    this.at = at;
    this.fileOffset = offset;
    this.number = number;
    this.count = count;
    this.length = length;
    this.time = view.getFloat64(at + GROUP.time, true);
    return undefined;
  }

  /** Whether a group of so many claims may have this length because of frames. */
  #mayHaveFrames(count: number, length: number): boolean {
    const bytes = length - groupBytes(count);
    return (
      this.hasFrames && bytes > FRAME_HEADER_BYTES && bytes <= GROUP_FRAMES_BYTES_MAX && length <= GROUP_BYTES_LIMIT
    );
  }

  /** The length in the group header at `offset`, if that looks sound and has this number; else 0. */
  headerLength(offset: number, number: number): number {
    const claim = this.headerClaim(offset);
    return claim.looksSound && claim.number === number ? claim.length : 0;
  }

  /** What the group header at `offset` says, and whether it looks sound but for its number and checksum. */
  headerClaim(offset: number): { number: number; length: number; looksSound: boolean } {
    const at = this.load(offset, GROUP_HEADER_BYTES);
    if (at < 0) return { number: 0, length: 0, looksSound: false };
    const view = this.#view;
    const count = view.getUint32(at + GROUP.count, true);
    const length = view.getUint32(at + GROUP.bytes, true);
    const looksSound =
      view.getUint32(at + GROUP.magic, true) === GROUP_MAGIC &&
      count <= GROUP_CLAIMS_LIMIT &&
      ((count > 0 && length === groupBytes(count)) || this.#mayHaveFrames(count, length));
    return { number: getU64(view, at + GROUP.number), length, looksSound };
  }

  /** Offset of the first byte that is not zero in file bytes [offset, end), or -1. */
  firstNonZero(offset: number, end: number): number {
    for (let from = offset; from < end; ) {
      const length = Math.min(COMPARE_BYTES, end - from);
      const at = this.load(from, length);
      if (at < 0) return -1;
      if (ZEROS.compare(this.bytes, at, at + length, 0, length) !== 0)
        for (let index = 0; ; index++) if (this.bytes[at + index] !== 0) return from + index;
      from += length;
    }
    return -1;
  }

  /** Number of bytes that are not zero in file bytes [offset, end). */
  countNonZero(offset: number, end: number): number {
    let count = 0;
    for (let from = this.firstNonZero(offset, end); from >= 0; from = this.firstNonZero(from, end)) {
      const length = Math.min(COMPARE_BYTES, end - from);
      const at = this.load(from, length);
      for (let index = at; index < at + length; index++) if (this.bytes[index] !== 0) count++;
      from += length;
    }
    return count;
  }

  /** Number of sound groups, numbered `first` or higher, that start on any sector in file bytes [offset, end). */
  countGroups(offset: number, end: number, seed: number, first: number): number {
    let count = 0;
    for (let from = blockAlign(offset, SECTOR_BYTES); from < end; ) {
      const sound = this.readGroup(from, end, seed) === undefined;
      if (sound && this.number >= first) count++;
      from += sound ? blockAlign(this.length, SECTOR_BYTES) : SECTOR_BYTES;
    }
    return count;
  }
}
