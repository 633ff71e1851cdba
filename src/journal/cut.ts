/**
 * Cuts a corrupt journal at its bad place, when the operator asked for it. Main thread, before the node starts.
 *
 * Nothing is deleted or overwritten: damaged files go to `<lane>/damaged-<n>/`. The sound part before the bad place
 * stays in the lane, as a copy padded with zeros where it shared its file with the damage. At whatever point this is
 * interrupted, the journal reads the same up to the bad place, and cutting again finishes the work.
 */
import { basename, join } from 'node:path';
import { type Files, hasCode, withFile, writeWhole } from '../system/files.ts';
import { syncFolder } from '../system/folders.ts';
import { SEGMENT_HEADER_BYTES } from './record.ts';
import type { RecoveryReport } from './report.ts';
import { decodeSegmentHeader, draftName, journalFailed, segmentName, segmentNumber } from './segment.ts';

const FOLDERS_MAX = 10_000;
const COPY_BYTES = 1024 * 1024;

/**
 * Moves a corrupt journal's damaged segments aside; any other journal is left as it is, since a torn end needs no cut.
 * Recover again afterwards. Returns where each damaged file is now. Throws JOURNAL_FAILED.
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
    // Each has its second name, durably, before the first one goes.
    const linked = damaged.filter((name) => isLinked(files, join(directory, name), join(folder, name)));
    syncFolder(files, folder);
    syncFolder(files, directory);
    // Newest first, so that what is left over is still in order.
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

/** Gives the file its name in the damaged folder; a folder in a segment's place, which can't be linked, is moved there. */
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

/** A new file with the segment's bytes up to `end`, and zeros to its full size; none where no group ends before it. */
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
