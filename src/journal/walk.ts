/**
 * Reads a lane's journal: yields every sound group, and reports how the journal ends. Never changes anything.
 *
 * Main thread at start, and the tools. Owns one window over one file at a time. Power may have been lost at any instant, so
 * the last group may be torn, but only that one: each group is synced before the next is written.
 *
 *   whole    every group up to the zeros at the end is sound
 *   torn     the bad place comes after every sound group. A loss of power leaves this of a group that was not
 *            acknowledged; later damage leaves the same of groups that were. The bytes do not tell which.
 *   corrupt  sound groups follow the bad place, or other bytes show that a group was written after it, or a segment is
 *            missing, or a segment header is bad. No loss of power explains these: headers and lengths are synced before
 *            a segment gets its name.
 *
 * After a torn end the next run goes on in a new segment, with the number of the torn group. So a bad place is harmless, and
 * only listed, if the segment after it starts with just the expected number: an earlier start has reported it.
 */
import { join } from 'node:path';
import { hasCode, type JournalFiles, nodeFiles, withFile } from '../system/files.ts';
import { SegmentReader } from './reader.ts';
import {
  blockAlign,
  GROUP_HEADER_BYTES,
  groupSeed,
  JOURNAL_ID_BYTES,
  RECORD_BYTES,
  SEGMENT,
  SEGMENT_BYTES_MAX,
  SEGMENT_HEADER_BYTES,
} from './record.ts';
import type { BadPlace, RecoveryReport, StoredGroup, WalkOptions } from './report.ts';
import { decodeSegmentHeader, journalFailed, type SegmentHeader, segmentName, segmentNumber } from './segment.ts';
import { forEachLeaf, type StoredLeaf } from './stored-frame.ts';

/** Most harmless places that the report lists. */
const HARMLESS_MAX = 16;

/** Yields a lane's groups in order, then returns the report; for readers that wait in between. See `recoverJournal`. */
export function* walkJournal(directory: string, options: WalkOptions = {}): Generator<StoredGroup, RecoveryReport> {
  const walk = new Walk(directory, options);
  try {
    for (const number of walk.segmentNumbers()) yield* walk.segment(number);
  } finally {
    walk.reader.close();
  }
  return walk.finish();
}

/**
 * Calls `onClaim` with every sound claim in the order written: `bytes[offset]` is the claim's type byte. A folder that does
 * not exist is an empty journal. `onLeaf` gets the leaves of each group, behind its claims. Throws JOURNAL_FAILED when the last segment cannot be synced; damage is in the report.
 */
export function recoverJournal(
  directory: string,
  onClaim: (bytes: Uint8Array, offset: number, group: number) => void,
  options: WalkOptions = {},
  onLeaf?: (leaf: StoredLeaf, group: StoredGroup) => void,
): RecoveryReport {
  const walk = walkJournal(directory, options);
  for (;;) {
    const step = walk.next();
    if (step.done) return step.value;
    const { bytes, offset, count, number } = step.value;
    for (let index = 0; index < count; index++) onClaim(bytes, offset + index * RECORD_BYTES, number);
    if (onLeaf !== undefined) forEachLeaf(step.value, (leaf) => onLeaf(leaf, step.value));
  }
}

class Walk {
  readonly reader: SegmentReader;
  readonly #files: JournalFiles;
  readonly #directory: string;
  readonly #options: WalkOptions;
  readonly #report: RecoveryReport;
  readonly #group: StoredGroup;
  /** Number of the previous segment, and of the last one with a group; 0 where there is none. */
  #previous: number;
  #lastWithGroups = 0;
  /** Number that the next group must have; 0, for any, until a group has been read. */
  #expected = 0;
  /** Of a bad group before which none was read: the number in its header, and whether the rest of that looks sound. */
  #bare: { number: number; looksSound: boolean } | undefined;
  #corrupt = false;

  constructor(directory: string, options: WalkOptions) {
    this.#files = options.files ?? nodeFiles;
    this.reader = new SegmentReader(this.#files);
    this.#directory = directory;
    this.#options = options;
    this.#previous = options.fromSegment === undefined ? 0 : options.fromSegment - 1;
    this.#group = {
      bytes: this.reader.bytes,
      offset: 0,
      count: 0,
      end: 0,
      fileOffset: 0,
      number: 0,
      segment: 0,
      time: 0,
    };
    this.#report = {
      segments: 0,
      groups: 0,
      claims: 0,
      bytes: 0,
      firstGroup: 0,
      lastGroup: 0,
      lastSegment: 0,
      nextSegment: options.fromSegment ?? 1,
      ...(options.journalId && { journalId: new Uint8Array(options.journalId) }),
      end: 'whole',
      dropped: { bytes: 0, groups: 0 },
      harmless: [],
    };
  }

  segmentNumbers(): number[] {
    const from = this.#options.fromSegment ?? 0;
    let names: string[];
    try {
      names = this.#files.readdirSync(this.#directory);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw journalFailed('read', this.#directory, error);
      names = [];
    }
    const numbers = names.map(segmentNumber).filter((number) => number !== undefined && number >= from) as number[];
    numbers.sort((left, right) => left - right);
    if (this.#options.fromSegment === undefined) {
      this.#previous = (numbers[0] ?? 1) - 1;
      this.#report.nextSegment = this.#previous + 1;
    }
    const { mustHave } = this.#options;
    if (mustHave !== undefined && !numbers.includes(mustHave))
      this.#stop(mustHave, 0, 'expected the segment, which the registry knows of, got none', true);
    return numbers;
  }

  *segment(number: number): Generator<StoredGroup> {
    const missing = this.#previous + 1;
    if (number !== missing) this.#stop(missing, 0, `expected the segment, got none before segment ${number}`, true);
    this.#previous = number;
    this.#report.segments++;
    try {
      this.reader.open(join(this.#directory, segmentName(number)));
      const header = this.#header(number);
      // Where the header does not say it, groups with frames are counted too.
      this.reader.hasFrames = typeof header === 'string' || header.hasFrames === true;
      if (typeof header === 'string') {
        this.#stop(number, 0, header, true);
        this.#drop(number, 0, this.reader.size);
        return;
      }
      const limit = Math.min(header.segmentBytes, this.reader.size);
      if (this.#report.bad === undefined || this.#resumes(limit, header.blockBytes)) {
        this.#padding(number, SEGMENT_HEADER_BYTES, Math.min(header.blockBytes, limit), 'behind the header');
        yield* this.#groups(number, limit, header);
      } else this.#drop(number, SEGMENT_HEADER_BYTES, this.reader.size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
      this.#stop(number, 0, `expected a readable file, got ${(error as Error).message}`, true);
    }
  }

  finish(): RecoveryReport {
    const report = this.#report;
    if (report.lastSegment > 0) report.nextSegment = report.lastSegment + 1;
    if (report.bad !== undefined) report.end = this.#corrupt ? 'corrupt' : 'torn';
    if (this.#options.sync !== false && this.#lastWithGroups > 0) {
      const path = join(this.#directory, segmentName(this.#lastWithGroups));
      try {
        withFile(this.#files, path, 'r', (fd) => this.#files.fdatasyncSync(fd));
      } catch (error) {
        throw journalFailed('sync', path, error);
      }
    }
    return report;
  }

  #header(number: number): SegmentHeader | string {
    const at = this.reader.load(0, SEGMENT_HEADER_BYTES);
    const length = at < 0 ? this.reader.size : SEGMENT_HEADER_BYTES;
    const header = decodeSegmentHeader(this.reader.bytes, length, number);
    if (typeof header === 'string') return header;
    this.#report.journalId ??= header.journalId;
    const expected = Buffer.from(this.#report.journalId);
    if (expected.equals(header.journalId)) return header;
    return `expected journal ${expected.toString('hex')}, got ${Buffer.from(header.journalId).toString('hex')}`;
  }

  /** All groups of a segment whose header is sound, up to the zeros or the bad place. */
  *#groups(number: number, limit: number, header: SegmentHeader): Generator<StoredGroup> {
    const { reader } = this;
    const seed = groupSeed(header.journalId);
    let offset = header.blockBytes;
    while (offset < limit) {
      const fault = reader.readGroup(offset, limit, seed) ?? this.#numberFault();
      if (fault !== undefined) {
        const stray = reader.firstNonZero(offset, limit);
        if (stray < 0) break;
        // Where zeros come first, no group begins here, and the first byte that is not zero is the bad one.
        const reason = stray === offset ? fault : 'expected zeros after the last group, got another byte';
        const isFollowed = this.#isFollowed(offset, limit, header.blockBytes);
        const what = isFollowed ? `${reason}; more was written behind it, so this group had been synced` : reason;
        if (this.#expected === 0) this.#bare ??= reader.headerClaim(offset);
        this.#stop(number, stray, what, isFollowed || this.#isCutBare(header));
        return this.#drop(number, offset, reader.size);
      }
      const end = offset + reader.length;
      this.#account(number);
      yield this.#group;
      offset += blockAlign(reader.length, header.blockBytes);
      this.#padding(number, end, Math.min(offset, limit), 'between groups');
    }
    if (reader.size === header.segmentBytes) return;
    this.#stop(
      number,
      limit,
      `expected a file of ${header.segmentBytes} bytes, got ${reader.size}`,
      this.#isCutBare(header),
    );
    this.#drop(number, limit, reader.size);
  }

  /** Reports bytes of the padding that are not zero: they are damage, but harmless. */
  #padding(number: number, start: number, end: number, where: string): void {
    const bad = this.reader.firstNonZero(start, end);
    if (bad >= 0) this.#harmless(this.#place(number, bad, `expected zeros ${where}, got another byte`));
  }

  /**
   * Whether the group at `offset`, which is not sound, was followed by another. A group is written only after the one
   * before is synced, so this one was whole once, and acknowledged. It is known only if the header still has the length.
   */
  #isFollowed(offset: number, limit: number, blockBytes: number): boolean {
    const length = this.reader.headerLength(offset, this.#expected);
    return length > 0 && this.reader.firstNonZero(offset + blockAlign(length, blockBytes), limit) >= 0;
  }

  /** A truncated file with no sound group before: no group number tells how much is missing, so the journal is corrupt. */
  #isCutBare(header: SegmentHeader): boolean {
    return this.#expected === 0 && this.reader.size !== header.segmentBytes;
  }

  #numberFault(): string | undefined {
    const { number } = this.reader;
    if (number === this.#expected || this.#expected === 0) return undefined;
    return `expected group ${this.#expected}, got ${number}`;
  }

  #account(segment: number): void {
    const { reader } = this;
    const report = this.#report;
    report.groups++;
    report.claims += reader.count;
    report.bytes += reader.length;
    if (report.firstGroup === 0) report.firstGroup = reader.number;
    report.lastGroup = reader.number;
    report.lastSegment = this.#lastWithGroups = segment;
    this.#expected = reader.number + 1;
    const group = this.#group;
    group.bytes = reader.bytes;
    group.offset = reader.at + GROUP_HEADER_BYTES;
    group.count = reader.count;
    group.end = reader.at + reader.length;
    group.fileOffset = reader.fileOffset;
    group.number = reader.number;
    group.segment = segment;
    group.time = reader.time;
  }

  /** Whether the segment continues after a torn end that an earlier start left, and reported. */
  #resumes(limit: number, blockBytes: number): boolean {
    const report = this.#report;
    if (this.#corrupt || report.bad === undefined || report.journalId === undefined) return false;
    const fault = this.reader.readGroup(blockBytes, limit, groupSeed(report.journalId));
    if (fault !== undefined || this.#numberFault() !== undefined || this.#isAfterBare()) return false;
    this.#harmless(report.bad);
    delete report.bad;
    report.dropped.bytes = 0;
    return true;
  }

  /**
   * Whether the group just read follows the bad one before which none was read. A torn group's number is given again, so a
   * bad group with the number before, or with another in a header that looks sound, had been synced. Numbers begin at 1:
   * a header of zeros was never written.
   */
  #isAfterBare(): boolean {
    if (this.#bare === undefined || this.#expected !== 0) return false;
    const { number, looksSound } = this.#bare;
    return (number > 0 && number === this.reader.number - 1) || (looksSound && number !== this.reader.number);
  }

  #harmless(place: BadPlace): void {
    if (this.#report.harmless.length < HARMLESS_MAX) this.#report.harmless.push(place);
  }

  #place(segment: number, offset: number, reason: string): BadPlace {
    return { file: join(this.#directory, segmentName(segment)), segment, offset, reason };
  }

  /** Ends the reading here. Only the first such place is reported. */
  #stop(segment: number, offset: number, reason: string, corrupt: boolean): void {
    this.#report.bad ??= this.#place(segment, offset, reason);
    this.#report.lastSegment = Math.max(this.#report.lastSegment, segment);
    if (corrupt) this.#corrupt = true;
  }

  /** Counts what follows the bad place. If a sound group does, the journal is corrupt. */
  #drop(segment: number, offset: number, end: number): void {
    const { reader } = this;
    const { dropped } = this.#report;
    const limit = Math.min(end, SEGMENT_BYTES_MAX);
    const bytes = reader.countNonZero(offset, limit);
    if (bytes === 0) return;
    this.#report.lastSegment = Math.max(this.#report.lastSegment, segment);
    dropped.bytes += bytes;
    const groups = reader.countGroups(offset, limit, groupSeed(this.#idToCount()), this.#expected);
    dropped.groups += groups;
    if (groups > 0) this.#corrupt = true;
  }

  /** The journal's id; if no sound header gave it, the bytes in its place in this segment's header. */
  #idToCount(): Uint8Array {
    if (this.#report.journalId !== undefined) return this.#report.journalId;
    const at = this.reader.load(0, SEGMENT_HEADER_BYTES);
    const start = Math.max(at, 0) + SEGMENT.journalId;
    return this.reader.bytes.subarray(start, start + JOURNAL_ID_BYTES);
  }
}
