/**
 * The journal of one lane: groups of claims, each written once and synced once.
 *
 * Runs in the thread that commits. Owns the open segment; the caller owns groups (group.ts). Nothing is allocated per claim;
 * a group allocates one small view for its checksum. Writes and syncs block, except `syncLater`, which syncs in a thread of
 * libuv's pool.
 *
 * A group is synced before the next is written, and lies in its own blocks, so a loss of power can tear only the last group:
 * recovery relies on it. After any error of the disk the writer refuses everything, since the kernel may have dropped the
 * pages that it failed to write, and a retry that "succeeds" proves nothing. The process has to stop.
 */
import { join } from 'node:path';
import { assert, ClaimwireError } from '../errors.ts';
import { hasCode, type JournalFiles, makeFolder, syncFolder, writeWhole } from '../system/files.ts';
import type { Clock } from '../system/system.ts';
import type { JournalGroup } from './group.ts';
import type { GroupLog } from './group-log.ts';
import { BLOCK_BYTES, groupSeed, SEGMENT_HEADER_BYTES } from './record.ts';
import {
  assertSegment,
  createSegment,
  decodeSegmentHeader,
  journalFailed,
  type LaneStart,
  type SegmentHeader,
  segmentName,
} from './segment.ts';

/** The lane's folder is made if it does not exist. */
export interface JournalWriterOptions extends LaneStart {
  /** Most claims in one group, 1..65,536. */
  groupClaimsMax: number;
  files: JournalFiles;
  clock: Pick<Clock, 'wall'>;
}

export class JournalWriter implements GroupLog {
  readonly syncsInline = true;
  /** Bytes of the groups written, without the zeros that fill their blocks, and the number of syncs. */
  bytesWritten = 0;
  syncs = 0;
  readonly #files: JournalFiles;
  readonly #options: JournalWriterOptions;
  /** The smallest block allowed, and the block of the open segment. */
  readonly #blockBytesMin: number;
  #blockBytes = 0;
  readonly #seed: number;
  #segment: number;
  #group: number;
  #fd = -1;
  #offset = 0;
  #end = 0;
  #unsynced = false;
  #isSyncing = false;
  #failed = false;

  /** Opens or makes segment `options.segment`. Throws JOURNAL_FAILED, or JOURNAL_CORRUPT for a foreign file in its place. */
  constructor(options: JournalWriterOptions) {
    this.#blockBytesMin = options.blockBytes ?? BLOCK_BYTES;
    const { segmentBytes, groupClaimsMax, journalId, hasFrames = false } = options;
    assertSegment(segmentBytes, groupClaimsMax, journalId, this.#blockBytesMin, hasFrames);
    assert(options.segment >= 1 && options.group >= 1, 'segments and groups count from 1');
    this.#files = options.files;
    this.#options = options;
    this.#seed = groupSeed(options.journalId);
    this.#segment = options.segment;
    this.#group = options.group;
    this.#guard(() => {
      makeFolder(this.#files, this.#options.directory);
      this.#openSegment();
    });
  }

  /** Number of the segment being written. */
  get segment(): number {
    return this.#segment;
  }

  /** Whether a sync runs in another thread: nothing may be written or closed before it has ended. */
  get isSyncing(): boolean {
    return this.#isSyncing;
  }

  /** Number the next group will have. */
  get group(): number {
    return this.#group;
  }

  /** Writes and syncs the group: when it returns, its claims survive a loss of power. An empty group is ignored. */
  commit(group: JournalGroup, nowMs: number): void {
    this.write(group, nowMs);
    this.sync();
  }

  /**
   * Writes the group in one call. `sync` or `syncLater` has to follow and complete before the next write.
   * @param nowMs wall clock, milliseconds since 1970
   */
  write(group: JournalGroup, nowMs: number): void {
    this.refuseAfterFailure();
    assert(!this.#unsynced, 'a group is synced before the next is written');
    if (group.count === 0) return;
    const { length } = group;
    assert(!group.hasFrames || this.#options.hasFrames === true, 'frames are written to segments that say so');
    this.#guard(() => {
      while (this.#offset + length > this.#end) this.#roll();
      group.placeAt(this.#segment, this.#offset);
      // Whole blocks, so that the kernel reads nothing from the disk first, and only this group is in them.
      const end = group.seal(this.#group, nowMs, this.#seed, this.#blockBytes);
      writeWhole(this.#files, this.#fd, group.sealed, end, this.#offset);
      this.#offset += end;
    });
    this.#group++;
    this.#unsynced = true;
    this.bytesWritten += length;
  }

  /** Makes the written group durable. */
  sync(): void {
    this.refuseAfterFailure();
    if (!this.#unsynced) return;
    this.#guard(() => this.#files.fdatasyncSync(this.#fd));
    this.#unsynced = false;
    this.syncs++;
  }

  /** Treats the written group as synced, without a sync: it survives the end of the process, but not a loss of power. */
  skipSync(): void {
    this.refuseAfterFailure();
    this.#unsynced = false;
  }

  /** Makes the written group durable in another thread. `done` is called in this thread, with the error if it failed. */
  syncLater(done: (error: Error | undefined) => void): void {
    this.refuseAfterFailure();
    assert(this.#unsynced, 'there is a group to sync');
    this.#isSyncing = true;
    this.#files.fdatasync(this.#fd, (error) => {
      this.#isSyncing = false;
      if (error === null) {
        this.#unsynced = false;
        this.syncs++;
        done(undefined);
        return;
      }
      this.#failed = true;
      done(journalFailed('sync', join(this.#options.directory, segmentName(this.#segment)), error));
    });
  }

  /** Closes the segment; no sync may be running. A group not committed is dropped: it was never acknowledged. */
  close(): void {
    if (this.#fd >= 0) this.#files.closeSync(this.#fd);
    this.#fd = -1;
    this.#failed = true;
  }

  #roll(): void {
    this.#files.closeSync(this.#fd);
    this.#fd = -1;
    this.#segment++;
    this.#openSegment();
  }

  /**
   * Opens the segment that the keeper prepared, or makes it. Any other file in its place is never written to; a segment that
   * an earlier run prepared with smaller blocks, or for groups without frames, stays empty.
   */
  #openSegment(): void {
    for (;;) {
      const path = join(this.#options.directory, segmentName(this.#segment));
      this.#openFile(path);
      const header = this.#checkedHeader(path);
      this.#blockBytes = header.blockBytes;
      this.#end = header.segmentBytes;
      this.#offset = header.blockBytes;
      const takesFrames = header.hasFrames === true || this.#options.hasFrames !== true;
      if (header.blockBytes >= this.#blockBytesMin && takesFrames) return;
      this.#files.closeSync(this.#fd);
      this.#segment++;
    }
  }

  #openFile(path: string): void {
    try {
      this.#fd = this.#files.openSync(path, 'r+');
      // The keeper may have linked the name but not synced the folder yet.
      syncFolder(this.#files, this.#options.directory);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      createSegment(this.#files, this.#options.directory, {
        number: this.#segment,
        segmentBytes: this.#options.segmentBytes,
        blockBytes: this.#blockBytesMin,
        hasFrames: this.#options.hasFrames,
        journalId: this.#options.journalId,
        createdAt: this.#options.clock.wall(),
      });
      this.#fd = this.#files.openSync(path, 'r+');
    }
  }

  #checkedHeader(path: string): SegmentHeader {
    const bytes = new Uint8Array(2 * BLOCK_BYTES);
    const length = this.#files.readSync(this.#fd, bytes, 0, bytes.length, 0);
    const header = decodeSegmentHeader(bytes, length, this.#segment);
    if (typeof header === 'string') throw foreignSegment(path, header);
    if (Buffer.compare(header.journalId, this.#options.journalId) !== 0)
      throw foreignSegment(path, `expected journal ${idHex(this.#options.journalId)}, got ${idHex(header.journalId)}`);
    const size = this.#files.fstatSync(this.#fd).size;
    if (size !== header.segmentBytes) throw foreignSegment(path, `expected ${header.segmentBytes} bytes, got ${size}`);
    if (bytes.subarray(SEGMENT_HEADER_BYTES, 2 * header.blockBytes).some((byte) => byte !== 0))
      throw foreignSegment(path, 'expected an unused segment, got one with groups in it');
    return header;
  }

  /** Throws JOURNAL_FAILED if an earlier call failed: nothing may be acknowledged on this journal any more. */
  refuseAfterFailure(): void {
    if (this.#failed)
      throw journalFailed('write', this.#options.directory, 'an earlier failure, or the journal is closed');
  }

  /** Runs calls to the disk; the first error disables this writer. */
  #guard(calls: () => void): void {
    try {
      calls();
    } catch (error) {
      this.#failed = true;
      if (error instanceof ClaimwireError) throw error;
      throw journalFailed('write', join(this.#options.directory, segmentName(this.#segment)), error);
    }
  }
}

function idHex(journalId: Uint8Array): string {
  return Buffer.from(journalId).toString('hex');
}

function foreignSegment(path: string, reason: string): ClaimwireError {
  return new ClaimwireError('JOURNAL_CORRUPT', `${path}:0: ${reason}; run claimwire journal verify`, { path });
}
