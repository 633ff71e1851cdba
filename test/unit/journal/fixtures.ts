/**
 * Small journals for tests: numbered claims, a writer over any file port, and what recovery hands back as numbers.
 */
import { claimAmountLow, claimBytes } from '../../../protocol/claim.ts';
import { JournalGroup } from '../../../src/journal/group.ts';
import type { RecoveryReport, WalkOptions } from '../../../src/journal/report.ts';
import { recoverJournal } from '../../../src/journal/walk.ts';
import { JournalWriter, type JournalWriterOptions } from '../../../src/journal/writer.ts';
import type { JournalFiles } from '../../../src/system/files.ts';
import { nodeSystem } from '../../../src/system/system.ts';

export const LANE = '/data/journal/lane';
export const JOURNAL_ID = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index);
/** Small, so that a segment of a few blocks can be damaged byte by byte; the default is 4,096. */
export const BLOCK_BYTES = 512;
export const SEGMENT_BYTES = 3072;
export const TIME = 1_700_000_000_000;

const made = new Map<number, Uint8Array>();

/** The claim known by `number`: its bytes all depend on it. Made once, since thousands of recoveries compare with it. */
export function numberedClaim(number: number): Uint8Array {
  const known = made.get(number);
  if (known !== undefined) return known;
  const claim = claimBytes({
    channelId: 0xfeed_0000_0000_0000n + BigInt(number % 7),
    sequence: number,
    amount: BigInt(number),
    signature: Uint8Array.from({ length: 64 }, (_, index) => (number * 31 + index * 7) & 0xff),
    timestamp: TIME + number,
  });
  made.set(number, claim);
  return claim;
}

export function openWriter(files: JournalFiles, options: Partial<JournalWriterOptions> = {}): JournalWriter {
  return new JournalWriter({
    directory: LANE,
    segmentBytes: SEGMENT_BYTES,
    blockBytes: BLOCK_BYTES,
    groupClaimsMax: 20,
    journalId: JOURNAL_ID,
    segment: 1,
    group: 1,
    ...nodeSystem,
    files,
    ...options,
  });
}

/** A group of `count` claims numbered from `first`. */
export function numberedGroup(first: number, count: number): JournalGroup {
  const group = new JournalGroup(Math.max(count, 1));
  for (let number = first; number < first + count; number++) group.append(numberedClaim(number), 0);
  return group;
}

/** Commits `count` claims numbered from `first` as one group. */
export function commitGroup(writer: JournalWriter, first: number, count: number): void {
  writer.commit(numberedGroup(first, count), TIME + first);
}

/** Recovers, and fails unless each claim is bit for bit the one it says it is. Returns the claims' numbers. */
export function recoverNumbers(
  files: JournalFiles,
  options: WalkOptions = {},
): { numbers: number[]; report: RecoveryReport } {
  const numbers: number[] = [];
  const onClaim = (bytes: Uint8Array, offset: number) => {
    const number = claimAmountLow(new DataView(bytes.buffer, bytes.byteOffset), offset);
    if (Buffer.compare(bytes.subarray(offset, offset + 93), numberedClaim(number)) !== 0)
      throw new Error(`claim ${number} is not as it was written`);
    numbers.push(number);
  };
  const report = recoverJournal(LANE, onClaim, { files, ...options });
  return { numbers, report };
}

/** first, first + 1, … */
export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}
