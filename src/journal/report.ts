/**
 * What a reading of a lane's journal is asked, hands out, and reports. Types alone.
 */
import type { JournalFiles } from '../system/files.ts';

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
  /** Where the journal is; by default the machine's files. */
  files?: JournalFiles | undefined;
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
