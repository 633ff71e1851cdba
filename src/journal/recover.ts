/**
 * Recovery of a lane's journal: what it reports, and the replay itself. Never changes anything.
 *
 * Main thread at start, and the tools; bounded memory (one window). The reading itself is in walk.ts. Power may have
 * been lost at any instant, so the last group may be torn, and only that one: each is synced before the next is written.
 *
 *   whole    every group up to the zeros at the end is sound
 *   torn     the bad place comes after every sound group. A loss of power leaves this of a group that was not
 *            acknowledged; damage done later leaves the same of groups that were. The bytes do not tell which.
 *   corrupt  sound groups follow the bad place, or bytes behind a group that is not sound show that another was written
 *            after it, or a segment is missing, or a segment header is bad: headers and lengths are synced before a
 *            segment gets its name, so no loss of power explains them
 *
 * After a torn end the next run leaves the segment and goes on in a fresh one with the number of the torn group. So a
 * bad place followed by a segment that starts with just the number expected was reported before: it is passed over and
 * listed.
 */
import { RECORD_BYTES } from './record.ts';
import type { JournalFiles } from './segment.ts';
import { walkJournal } from './walk.ts';

/** A place that does not hold what it should. */
export interface BadPlace {
  file: string;
  segment: number;
  /** Byte of the file. */
  offset: number;
  /** "expected …, got …". */
  reason: string;
}

export interface RecoveryReport {
  /** Segment files, claims, groups and their bytes (padding left out) that were read. */
  segments: number;
  groups: number;
  claims: number;
  bytes: number;
  /** 0 where there is no group. */
  firstGroup: number;
  lastGroup: number;
  /** The last segment that is not untouched, 0 where there is none; a writer goes on in `nextSegment`. */
  lastSegment: number;
  nextSegment: number;
  journalId?: Uint8Array;
  end: 'whole' | 'torn' | 'corrupt';
  /** Where reading stopped; absent when whole. */
  bad?: BadPlace;
  /** What lies from the bad place on: bytes that are not zero, and sound groups. */
  dropped: { bytes: number; groups: number };
  /** Bad places that are passed over: padding, and torn ends that an earlier start reported. The first 16. */
  harmless: BadPlace[];
}

export interface WalkOptions {
  /** Segments below it are left out: a checkpoint holds what they say. */
  fromSegment?: number;
  /** A segment that must be there, because whoever asks knows that it was made: without it the journal is corrupt. */
  mustHave?: number | undefined;
  /** 16 bytes every segment must have; by default those of the first. */
  journalId?: Uint8Array;
  /**
   * Sync the last segment (default true): after a kill, what is read may be in the page cache only, and a node that
   * builds on it must not lose it later. A tool that only looks says false.
   */
  sync?: boolean;
  file?: JournalFiles;
}

/** A sound group; valid until the next one is asked for. */
export interface JournalGroup {
  /** Record i starts at `bytes[offset + 96 * i]`. */
  bytes: Uint8Array;
  offset: number;
  count: number;
  number: number;
  segment: number;
  /** Milliseconds since 1970, the node's clock. */
  time: number;
}

/**
 * Hands every sound claim to `onClaim` in the order written: `bytes[offset]` is the claim's type byte. A folder that is
 * not there is an empty journal. Throws JOURNAL_FAILED when the last segment cannot be synced; damage is in the report.
 */
export function recoverJournal(
  directory: string,
  onClaim: (bytes: Uint8Array, offset: number, group: number) => void,
  options: WalkOptions = {},
): RecoveryReport {
  const walk = walkJournal(directory, options);
  for (;;) {
    const step = walk.next();
    if (step.done) return step.value;
    const { bytes, offset, count, number } = step.value;
    for (let index = 0; index < count; index++) onClaim(bytes, offset + index * RECORD_BYTES, number);
  }
}
