/**
 * The journal of one lane: groups of claims, each written once and synced once.
 *
 * Runs in the thread that commits; synchronous. Owns the group buffer (plain memory) and the open segment. After `open`
 * nothing is allocated per claim; a group costs one small view for its checksum.
 *
 * A group is synced before the next is written, so only the last group can ever be torn: recovery relies on it. After
 * any error of the disk the writer refuses everything: the kernel may have dropped the pages it failed to write, so a
 * retry that "succeeds" proves nothing. The process has to stop.
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { CLAIM_BYTES } from '../../protocol/layout.ts';
import { assert, ClaimwireError } from '../errors.ts';
import {
  GROUP_CLAIMS_LIMIT,
  GROUP_HEADER_BYTES,
  groupBytes,
  groupSeed,
  RECORD_BYTES,
  SECTOR_BYTES,
  SEGMENT_HEADER_BYTES,
  sealGroup,
  sectorAlign,
} from './record.ts';
import {
  assertSegment,
  createSegment,
  decodeSegmentHeader,
  type JournalFiles,
  journalFailed,
  makeFolder,
  segmentName,
  syncFolder,
  writeWhole,
} from './segment.ts';

export interface JournalWriterOptions {
  /** The lane's folder; made if it is not there. */
  directory: string;
  /** Size of the segments made here, a multiple of 512 up to 1 GiB. */
  segmentBytes: number;
  /** Most claims in one group, 1..65,536. */
  groupClaimsMax: number;
  /** 16 random bytes, the same for the journal's whole life. */
  journalId: Uint8Array;
  /** First segment to write to: a fresh one (`RecoveryReport.nextSegment`). */
  segment: number;
  /** Number of the first group (`RecoveryReport.lastGroup + 1`). */
  group: number;
  file?: JournalFiles;
}

const RECORD_WORDS = RECORD_BYTES / 4;
const NO_BYTES: Uint8Array = new Uint8Array(0);

export class JournalWriter {
  /** The group in the making: header at 0, records from 32, 96 bytes apart. Written records stay until the next `append`. */
  readonly bytes: Uint8Array;
  readonly groupClaimsMax: number;
  /** Claims in the group in the making. */
  count = 0;
  /** Bytes of groups written, and syncs of them, since `open`. */
  bytesWritten = 0;
  syncs = 0;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #files: JournalFiles;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #journalId: Uint8Array;
  readonly #seed: number;
  /** The memory claims come from, in words: it is the same ring every time. */
  #source = NO_BYTES;
  #sourceWords: Uint32Array = new Uint32Array(0);
  #sourceStart = 0;
  #sourceEnd = 0;
  #segment: number;
  #group: number;
  #fd = -1;
  #offset = 0;
  #end = 0;
  #unsynced = false;
  #failed = false;

  /** Opens or makes segment `options.segment`. Throws JOURNAL_FAILED, or JOURNAL_CORRUPT for a foreign file in its place. */
  static open(options: JournalWriterOptions): JournalWriter {
    return new JournalWriter(options);
  }

  private constructor(options: JournalWriterOptions) {
    assertSegment(options.segmentBytes, options.groupClaimsMax, options.journalId);
    assert(options.groupClaimsMax <= GROUP_CLAIMS_LIMIT, 'recovery takes no larger group');
    assert(options.segment >= 1 && options.group >= 1, 'segments and groups count from 1');
    this.bytes = new Uint8Array(groupBytes(options.groupClaimsMax));
    this.#view = new DataView(this.bytes.buffer);
    this.#words = new Uint32Array(this.bytes.buffer);
    this.groupClaimsMax = options.groupClaimsMax;
    this.#files = options.file ?? fs;
    this.#directory = options.directory;
    this.#segmentBytes = options.segmentBytes;
    this.#journalId = new Uint8Array(options.journalId);
    this.#seed = groupSeed(options.journalId);
    this.#segment = options.segment;
    this.#group = options.group;
    this.#guard(() => {
      makeFolder(this.#files, this.#directory);
      this.#openSegment();
    });
  }

  /** Number of the segment being written. */
  get segment(): number {
    return this.#segment;
  }

  /** Number the next group will have. */
  get group(): number {
    return this.#group;
  }

  /** Copies the claim at `source[offset]` behind the others; returns its index. The caller keeps count < groupClaimsMax. */
  append(source: Uint8Array, offset: number): number {
    const index = this.count;
    assert(index < this.groupClaimsMax, 'a group has room for the claim');
    this.count = index + 1;
    this.#copy(GROUP_HEADER_BYTES + index * RECORD_BYTES, source, offset);
    return index;
  }

  /** Puts the claim at `source[offset]` in place of record `index`: a newer claim of the same channel. */
  replace(index: number, source: Uint8Array, offset: number): void {
    assert(index < this.count, 'the record to replace is in the group');
    this.#copy(GROUP_HEADER_BYTES + index * RECORD_BYTES, source, offset);
  }

  /** Where record `index` lies in `bytes`. */
  recordOffset(index: number): number {
    return GROUP_HEADER_BYTES + index * RECORD_BYTES;
  }

  /** Writes and syncs the group: when it returns, its claims survive a loss of power. Nothing to do when it is empty. */
  commit(nowMs: number): void {
    this.write(nowMs);
    this.sync();
  }

  /**
   * Writes the group in one call and starts a new one; `sync` has to follow before the next write.
   * @param nowMs wall clock, milliseconds since 1970
   */
  write(nowMs: number): void {
    this.#refuseAfterFailure();
    assert(!this.#unsynced, 'a group is synced before the next is written');
    if (this.count === 0) return;
    const length = groupBytes(this.count);
    sealGroup(this.bytes, this.#view, this.#group, this.count, nowMs, this.#seed);
    this.#guard(() => {
      while (this.#offset + length > this.#end) this.#roll();
      writeWhole(this.#files, this.#fd, this.bytes, length, this.#offset);
    });
    this.#offset += sectorAlign(length);
    this.#group++;
    this.#unsynced = true;
    this.bytesWritten += length;
    this.count = 0;
  }

  /** Makes the written group durable. */
  sync(): void {
    this.#refuseAfterFailure();
    if (!this.#unsynced) return;
    this.#guard(() => this.#files.fdatasyncSync(this.#fd));
    this.#unsynced = false;
    this.syncs++;
  }

  /** Closes the segment. A group not committed is dropped: it was never acknowledged. */
  close(): void {
    if (this.#fd >= 0) this.#files.closeSync(this.#fd);
    this.#fd = -1;
    this.#failed = true;
  }

  /** 93 bytes into a record, in whole words where the source allows it: half the time of `set(subarray)`. */
  #copy(target: number, source: Uint8Array, offset: number): void {
    if (source !== this.#source) this.#lookAt(source);
    const start = this.#sourceStart + offset;
    if ((start & 3) === 0 && start + RECORD_BYTES <= this.#sourceEnd) {
      const from = this.#sourceWords;
      const into = this.#words;
      for (let word = 0, left = start >>> 2, right = target >>> 2; word < RECORD_WORDS; word++)
        into[right + word] = from[left + word]!;
    } else {
      this.bytes.set(source.subarray(offset, offset + CLAIM_BYTES), target);
    }
    for (let pad = target + CLAIM_BYTES; pad < target + RECORD_BYTES; pad++) this.bytes[pad] = 0;
  }

  /** Keeps what copying needs of a source, since asking a view for its buffer costs as much as half a copy. */
  #lookAt(source: Uint8Array): void {
    this.#source = source;
    this.#sourceStart = source.byteOffset;
    this.#sourceEnd = source.buffer.byteLength;
    this.#sourceWords = new Uint32Array(source.buffer, 0, this.#sourceEnd >>> 2);
  }

  #roll(): void {
    this.#files.closeSync(this.#fd);
    this.#fd = -1;
    this.#segment++;
    this.#openSegment();
  }

  /** Takes the segment the keeper prepared, or makes it. A file that is not that segment is never written to. */
  #openSegment(): void {
    const path = join(this.#directory, segmentName(this.#segment));
    try {
      this.#fd = this.#files.openSync(path, 'r+');
      // The keeper may have linked the name and not synced the folder yet.
      syncFolder(this.#files, this.#directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      createSegment(this.#files, this.#directory, {
        number: this.#segment,
        segmentBytes: this.#segmentBytes,
        journalId: this.#journalId,
        createdAt: Date.now(),
      });
      this.#fd = this.#files.openSync(path, 'r+');
    }
    this.#end = this.#checkedSize(path);
    this.#offset = SEGMENT_HEADER_BYTES;
  }

  #checkedSize(path: string): number {
    const bytes = new Uint8Array(SEGMENT_HEADER_BYTES + SECTOR_BYTES);
    const length = this.#files.readSync(this.#fd, bytes, 0, bytes.length, 0);
    const header = decodeSegmentHeader(bytes, length, this.#segment);
    if (typeof header === 'string') throw foreignSegment(path, header);
    if (Buffer.compare(header.journalId, this.#journalId) !== 0)
      throw foreignSegment(path, `expected journal ${idHex(this.#journalId)}, got ${idHex(header.journalId)}`);
    const size = this.#files.fstatSync(this.#fd).size;
    if (size !== header.segmentBytes) throw foreignSegment(path, `expected ${header.segmentBytes} bytes, got ${size}`);
    if (bytes.subarray(SEGMENT_HEADER_BYTES).some((byte) => byte !== 0))
      throw foreignSegment(path, 'expected an unused segment, got one with groups in it');
    return size;
  }

  #refuseAfterFailure(): void {
    if (this.#failed) throw journalFailed('write', this.#directory, 'an earlier failure, or the journal is closed');
  }

  /** Runs disk calls; the first error ends this writer. */
  #guard(calls: () => void): void {
    try {
      calls();
    } catch (error) {
      this.#failed = true;
      if (error instanceof ClaimwireError) throw error;
      throw journalFailed('write', join(this.#directory, segmentName(this.#segment)), error);
    }
  }
}

function idHex(journalId: Uint8Array): string {
  return Buffer.from(journalId).toString('hex');
}

function foreignSegment(path: string, reason: string): ClaimwireError {
  return new ClaimwireError('JOURNAL_CORRUPT', `${path}:0: ${reason}; run claimwire journal verify`, { path });
}
