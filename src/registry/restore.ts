/**
 * Repairs a meta page of the registry that a loss of power made garbage.
 *
 * Main thread, at start, before LMDB opens the file. LMDB commits by writing the older of its two meta pages. If the power
 * fails meanwhile, the disk may leave garbage there, and LMDB refuses the file. Nothing is lost: the commit did not count
 * yet, and the one before it is whole, since its pages are reused only by the commit after next.
 *
 * A page is repaired only if it does not even begin like a meta page, and if every page and row of the other snapshot is
 * sound. If the page became garbage later, this sets the registry back by one commit. Journals whose segments were removed
 * after that commit are then found missing (journal/lane-journals.ts).
 */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { ClaimwireError } from '../errors.ts';
import { nodeFiles, withFile, writeWhole } from '../system/files.ts';
import { registryFile, walkRows } from './check.ts';
import { garbageMeta, LmdbFault, type LmdbMeta, olderMetaPage } from './lmdb-meta.ts';

/**
 * Changes only a garbage meta page beside a sound snapshot.
 * @param walk checks that snapshot: the rows of the registry, or the side tables' entries
 * @returns the file with a copy of the garbage (only the last of each page is kept), or undefined if nothing was changed
 * @throws ClaimwireError CONFIG_INVALID where the folder cannot be written
 */
export function restoreTornMeta(
  directory: string,
  walk: (fd: number, meta: LmdbMeta) => unknown = (fd, meta) => walkRows(fd, meta, () => {}),
): string | undefined {
  const file = registryFile(directory);
  if (!existsSync(file)) return undefined;
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r+');
    const torn = garbageMeta(fd);
    if (torn === undefined) return undefined;
    const { index, sound } = torn;
    walk(fd, sound);
    const page = olderMetaPage(fd, index, sound);
    const garbage = new Uint8Array(page.length);
    readSync(fd, garbage, 0, garbage.length, index * page.length);
    const kept = join(directory, `torn-meta-${index}`);
    writePage(kept, 'w', garbage, 0);
    writePage(file, 'r+', page, index * page.length);
    return kept;
  } catch (error) {
    // The check that follows reports what is wrong with the file.
    if (error instanceof LmdbFault) return undefined;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ClaimwireError('CONFIG_INVALID', `registry ${file}: expected to read and write it, got ${reason}`, {
      file,
    });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function writePage(file: string, flags: string, page: Uint8Array, position: number): void {
  withFile(nodeFiles, file, flags, (fd) => {
    writeWhole(nodeFiles, fd, page, page.length, position);
    nodeFiles.fsyncSync(fd);
  });
}
