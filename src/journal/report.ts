/**
 * The options and results of reading a lane's journal (walk.ts). Types only.
 */
import type { JournalFiles } from '../system/files.ts';

/** A place in a segment that does not hold what it should. */
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
  /** The last segment that was ever written to, 0 where there is none. A writer continues in `nextSegment`. */
  lastSegment: number;
  nextSegment: number;
  journalId?: Uint8Array;
  end: 'whole' | 'torn' | 'corrupt';
  /** Where the reading stopped; absent when whole. */
  bad?: BadPlace;
  /** From the bad place on: bytes that are not zero, and sound groups. */
  dropped: { bytes: number; groups: number };
  /** The first 16 bad places that lose nothing: in padding, and torn ends that an earlier start has reported. */
  harmless: BadPlace[];
}

export interface WalkOptions {
  /** Segments below it are not read, since a checkpoint has their claims. */
  fromSegment?: number;
  /** A segment that is known to have been made: without it the journal is corrupt. */
  mustHave?: number | undefined;
  /** 16 bytes every segment must have; by default those of the first. */
  journalId?: Uint8Array;
  /**
   * Whether to sync the last segment (default true): after a kill, what is read may be only in the page cache, and a node
   * that relies on it must not lose it later. Tools that only read say false.
   */
  sync?: boolean;
  /** By default the machine's files. */
  files?: JournalFiles | undefined;
}

/** A sound group as read; valid until the next one is read. */
export interface StoredGroup {
  /** Record i starts at `bytes[offset + 96 * i]`. */
  bytes: Uint8Array;
  offset: number;
  count: number;
  /** Behind the last frame, or record where it has none: frames lie from `offset + 96 * count` on (stored-frame.ts). */
  end: number;
  /** The file's byte at which the group begins. */
  fileOffset: number;
  number: number;
  segment: number;
  /** Milliseconds since 1970, the node's clock. */
  time: number;
}
