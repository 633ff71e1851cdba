/**
 * Cuts a corrupt journal at its bad place, when the operator asked for it. Main thread, before the node starts.
 *
 * Nothing is deleted or overwritten: damaged files go to `<lane>/damaged-<n>/`. The sound part before the bad place
 * stays in the lane, as a copy padded with zeros where it shared its file with the damage. At whatever point this is
 * interrupted, the journal reads the same up to the bad place, and cutting again finishes the work.
 */
import * as fs from 'node:fs';
import { basename, join } from 'node:path';
import { SEGMENT_HEADER_BYTES } from './record.ts';
import type { RecoveryReport } from './report.ts';
import { decodeSegmentHeader, draftName, journalFailed, segmentName, segmentNumber, syncFolder } from './segment.ts';

const FOLDERS_MAX = 10_000;
const COPY_BYTES = 1024 * 1024;

/**
 * Moves a corrupt journal's damaged segments aside; any other journal is left as it is, since a torn end needs no cut.
 * Recover again afterwards. Returns where each damaged file is now. Throws JOURNAL_FAILED.
 */
export function cutJournal(directory: string, report: RecoveryReport): string[] {
  const { bad } = report;
  if (report.end !== 'corrupt' || bad === undefined) return [];
  try {
    const damaged = fs
      .readdirSync(directory)
      .filter((name) => (segmentNumber(name) ?? 0) >= bad.segment)
      .sort()
      .reverse();
    const folder = damagedFolder(directory);
    const kept = bad.offset > SEGMENT_HEADER_BYTES ? soundCopy(directory, bad.segment, bad.offset) : undefined;
    // Each has its second name, durably, before the first one goes.
    const linked = damaged.filter((name) => isLinked(join(directory, name), join(folder, name)));
    syncFolder(fs, folder);
    syncFolder(fs, directory);
    // Newest first, so that what is left over is still in order.
    for (const name of linked) {
      const path = join(directory, name);
      if (kept !== undefined && segmentNumber(name) === bad.segment) fs.renameSync(kept, path);
      else fs.unlinkSync(path);
    }
    syncFolder(fs, directory);
    return damaged.map((name) => join(folder, name)).reverse();
  } catch (error) {
    throw journalFailed('cut', directory, error);
  }
}

/** Gives the file its name in the damaged folder; a folder in a segment's place, which can't be linked, is moved there. */
function isLinked(path: string, kept: string): boolean {
  if (fs.statSync(path).isDirectory()) {
    fs.renameSync(path, kept);
    return false;
  }
  fs.linkSync(path, kept);
  return true;
}

function damagedFolder(directory: string): string {
  for (let number = 1; number <= FOLDERS_MAX; number++) {
    const folder = join(directory, `damaged-${number}`);
    try {
      fs.mkdirSync(folder);
      return folder;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error(`expected at most ${FOLDERS_MAX} damaged folders in ${basename(directory)}`);
}

/** A new file with the segment's bytes up to `end`, and zeros to its full size; none where no group ends before it. */
function soundCopy(directory: string, segment: number, end: number): string | undefined {
  const path = join(directory, segmentName(segment));
  const made = draftName(path, 'cut');
  const source = fs.openSync(path, 'r');
  let target = -1;
  try {
    const chunk = new Uint8Array(COPY_BYTES);
    fs.readSync(source, chunk, 0, SEGMENT_HEADER_BYTES, 0);
    const header = decodeSegmentHeader(chunk, SEGMENT_HEADER_BYTES, segment);
    if (typeof header === 'string') throw new Error(header);
    if (end <= header.blockBytes) return undefined;
    target = fs.openSync(made, 'w');
    for (let offset = 0; offset < header.segmentBytes; offset += COPY_BYTES) {
      chunk.fill(0);
      const length = Math.min(COPY_BYTES, header.segmentBytes - offset);
      if (offset < end) fs.readSync(source, chunk, 0, Math.min(length, end - offset), offset);
      fs.writeSync(target, chunk, 0, length, offset);
    }
    fs.fsyncSync(target);
  } finally {
    if (target >= 0) fs.closeSync(target);
    fs.closeSync(source);
  }
  return made;
}
