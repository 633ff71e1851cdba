/**
 * Moves damaged segments aside. Main thread, at start, before anything is written.
 *
 * A corrupt journal is cut at its bad place when the operator asked for it. Nothing is deleted or overwritten: damaged files
 * go to `<lane>/damaged-<n>/`. The sound part before the bad place stays in the lane; where it shares a file with the
 * damage, it stays as a copy padded with zeros. If this is interrupted at any point, the journal still reads the same up to
 * the bad place, and another cut finishes the work.
 *
 * The segment of a torn end is kept, since nothing tells whether its incomplete group was acknowledged (walk.ts), and a
 * checkpoint removes the segment. It gets a second name in `<lane>/torn-<segment>/`, which no checkpoint touches. An operator
 * may look at it (`claimwire journal verify`), compare it with what payers were told, and remove it. It costs no copy, since
 * the node goes on in a new segment.
 */
import { basename, join } from 'node:path';
import { type Files, hasCode, type JournalFiles, syncFolder, withFile, writeWhole } from '../system/files.ts';
import { SEGMENT_HEADER_BYTES } from './record.ts';
import type { RecoveryReport } from './report.ts';
import { decodeSegmentHeader, draftName, journalFailed, linkOnce, segmentName, segmentNumber } from './segment.ts';

const FOLDERS_MAX = 10_000;
const COPY_BYTES = 1024 * 1024;
/** Most torn ends kept of one lane: 512 MiB with the default segments. */
export const TORN_FOLDERS_MAX = 8;
const TORN_NAME = /^torn-\d+$/;

/**
 * Moves the damaged segments of a corrupt journal aside; any other journal is left as it is. Recover again afterwards.
 * Returns the new paths of the damaged files. Throws JOURNAL_FAILED.
 */
export function cutJournal(files: Files, directory: string, report: RecoveryReport): string[] {
  const { bad } = report;
  if (report.end !== 'corrupt' || bad === undefined) return [];
  try {
    const damaged = files
      .readdirSync(directory)
      .filter((name) => (segmentNumber(name) ?? 0) >= bad.segment)
      .sort()
      .reverse();
    const folder = damagedFolder(files, directory);
    const kept = bad.offset > SEGMENT_HEADER_BYTES ? soundCopy(files, directory, bad.segment, bad.offset) : undefined;
    // Each file has its second name, durably, before its first name is removed.
    const linked = damaged.filter((name) => isLinked(files, join(directory, name), join(folder, name)));
    syncFolder(files, folder);
    syncFolder(files, directory);
    // Newest first, so that the segments left by an interruption have no gap.
    for (const name of linked) {
      const path = join(directory, name);
      if (kept !== undefined && segmentNumber(name) === bad.segment) files.renameSync(kept, path);
      else files.unlinkSync(path);
    }
    syncFolder(files, directory);
    return damaged.map((name) => join(folder, name)).reverse();
  } catch (error) {
    throw journalFailed('cut', directory, error);
  }
}

/**
 * Keeps the segments in which a torn journal ends. Returns their folder, or undefined where the journal is not torn, or
 * where the most torn ends are kept already. The same end is kept once. Throws JOURNAL_FAILED.
 */
export function keepTorn(files: JournalFiles, directory: string, report: RecoveryReport): string | undefined {
  const { bad } = report;
  if (report.end !== 'torn' || bad === undefined) return undefined;
  const name = `torn-${bad.segment}`;
  const folder = join(directory, name);
  try {
    const kept = files.readdirSync(directory).filter((entry) => TORN_NAME.test(entry));
    if (!kept.includes(name) && kept.length >= TORN_FOLDERS_MAX) return undefined;
    files.mkdirSync(folder, { recursive: true });
    // Segment numbers are never reused, so a file that has the name already is this segment.
    for (let segment = bad.segment; segment <= report.lastSegment; segment++)
      linkOnce(files, join(directory, segmentName(segment)), join(folder, segmentName(segment)));
    syncFolder(files, folder);
    syncFolder(files, directory);
    return folder;
  } catch (error) {
    throw journalFailed('keep the torn end in', folder, error);
  }
}

/** Links the file into the damaged folder; a folder in a segment's place, which can't be linked, is moved there. */
function isLinked(files: Files, path: string, kept: string): boolean {
  if (files.statSync(path).isDirectory()) {
    files.renameSync(path, kept);
    return false;
  }
  files.linkSync(path, kept);
  return true;
}

function damagedFolder(files: Files, directory: string): string {
  for (let number = 1; number <= FOLDERS_MAX; number++) {
    const folder = join(directory, `damaged-${number}`);
    try {
      files.mkdirSync(folder);
      return folder;
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
  }
  throw new Error(`expected at most ${FOLDERS_MAX} damaged folders in ${basename(directory)}`);
}

/** Makes a file with the segment's bytes up to `end` and zeros to its full size; none if no group ends before `end`. */
function soundCopy(files: Files, directory: string, segment: number, end: number): string | undefined {
  const path = join(directory, segmentName(segment));
  let made: string | undefined;
  withFile(files, path, 'r', (source) => {
    const chunk = new Uint8Array(COPY_BYTES);
    files.readSync(source, chunk, 0, SEGMENT_HEADER_BYTES, 0);
    const header = decodeSegmentHeader(chunk, SEGMENT_HEADER_BYTES, segment);
    if (typeof header === 'string') throw new Error(header);
    if (end <= header.blockBytes) return;
    made = draftName(path, 'cut');
    withFile(files, made, 'w', (target) => {
      for (let offset = 0; offset < header.segmentBytes; offset += COPY_BYTES) {
        chunk.fill(0);
        const length = Math.min(COPY_BYTES, header.segmentBytes - offset);
        if (offset < end) files.readSync(source, chunk, 0, Math.min(length, end - offset), offset);
        writeWhole(files, target, chunk, length, offset);
      }
      files.fsyncSync(target);
    });
  });
  return made;
}
