/**
 * Keeps what a torn end left. Main thread, at start, before anything is written.
 *
 * Nothing tells whether the group that is not whole was acknowledged (recover.ts), and a checkpoint removes its segment.
 * So the segment gets a second name in `<lane>/torn-<segment>/`, which no checkpoint touches: an operator may look at
 * it (`claimwire journal verify`), compare it with what payers were told, and remove it. It costs no copy, since the node
 * goes on in a fresh segment.
 */
import { join } from 'node:path';
import type { JournalFiles } from '../system/files.ts';
import { syncFolder } from '../system/folders.ts';
import type { RecoveryReport } from './report.ts';
import { journalFailed, linkOnce, segmentName } from './segment.ts';

/** Most torn ends kept of one lane: 512 MiB of segments by default. */
export const TORN_FOLDERS_MAX = 8;
const NAME = /^torn-\d+$/;

/**
 * Keeps the segments that a torn journal ends in. Returns the folder they are in, or undefined where the journal is not
 * torn, or as many ends are kept as may be. The same end is kept once, however often it is asked for. Throws
 * JOURNAL_FAILED.
 */
export function keepTorn(files: JournalFiles, directory: string, report: RecoveryReport): string | undefined {
  const { bad } = report;
  if (report.end !== 'torn' || bad === undefined) return undefined;
  const name = `torn-${bad.segment}`;
  const folder = join(directory, name);
  try {
    const kept = files.readdirSync(directory).filter((entry) => NAME.test(entry));
    if (!kept.includes(name) && kept.length >= TORN_FOLDERS_MAX) return undefined;
    files.mkdirSync(folder, { recursive: true });
    // Numbers of segments are never used again, so a file that has the name already is this one.
    for (let segment = bad.segment; segment <= report.lastSegment; segment++)
      linkOnce(files, join(directory, segmentName(segment)), join(folder, segmentName(segment)));
    syncFolder(files, folder);
    syncFolder(files, directory);
    return folder;
  } catch (error) {
    throw journalFailed('keep the torn end in', folder, error);
  }
}
