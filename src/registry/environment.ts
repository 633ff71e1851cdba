/**
 * LMDB environments of a data folder: how one is made so that a kill leaves none or a sound one, and how one is opened.
 *
 * Main thread only (LMDB commits in a thread of its own). overlappingSync is off, so that LMDB syncs the data pages, then
 * the meta page, before a commit counts.
 */
import { dirname, join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { ClaimwireError } from '../errors.ts';
import { syncFolder } from '../system/files.ts';
import type { System } from '../system/system.ts';
import { registryFile } from './check.ts';

export type Database = RootDatabase<Buffer, Buffer>;

/** @param mapBytes address space, not memory: what the file may grow to */
export function openEnvironment(directory: string, mapBytes: number, readOnly: boolean): Database {
  try {
    return open<Buffer, Buffer>(directory, {
      keyEncoding: 'binary',
      encoding: 'binary',
      noSubdir: false,
      overlappingSync: false,
      // Otherwise lmdb-js makes a promise for each event turn, whose rejection nobody can handle.
      eventTurnBatching: false,
      mapSize: mapBytes,
      readOnly,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `registry ${directory}: expected a folder this user can read${readOnly ? '' : ' and write'}, got: ${reason}`,
      { directory },
      { cause: error },
    );
  }
}

/** Makes an environment with one entry in a draft folder and renames that, so that a kill leaves either none or a sound one. */
export function createEnvironment(
  directory: string,
  mapBytes: number,
  [key, value]: readonly [Buffer, Buffer],
  { files, random }: System,
): void {
  const draft = `${directory}.${random(6).toString('hex')}.new`;
  const database = openEnvironment(draft, mapBytes, false);
  database.transactionSync(() => database.putSync(key, value));
  void database.close();
  // LMDB may still be closing the draft. Any close of a file drops its POSIX locks, so the folder gets another lock file.
  files.rmSync(join(draft, 'lock.mdb'), { force: true });
  syncFolder(files, draft);
  try {
    files.renameSync(draft, directory);
  } catch (error) {
    files.rmSync(draft, { recursive: true, force: true });
    // Another process made one at the same moment, which serves as well.
    if (files.existsSync(registryFile(directory))) return;
    throw error;
  }
  syncFolder(files, dirname(directory));
}
