/**
 * Folders that outlive a loss of power: a name is durable when the folder that holds it has been synced. Any thread.
 */
import { dirname, resolve } from 'node:path';
import { hasCode, type JournalFiles, withFile } from './files.ts';

/**
 * Makes a folder, if it is not there, and makes durable its name, those of the folders above it up to `top` (which is
 * above it, or the folder itself), and those of all that were made. A folder that is there already may be what a killed
 * run made and never synced, so being there spares no sync.
 */
export function makeFolder(files: JournalFiles, directory: string, top: string = directory, mode?: number): void {
  const folder = resolve(directory);
  const kept = resolve(top);
  const made = files.mkdirSync(folder, { recursive: true, mode });
  const aboveMade = made === undefined ? kept : dirname(resolve(made));
  // All of these lie above one another, so the shorter name is the higher.
  const oursLength = Math.min(kept.length, aboveMade.length);
  const endLength = Math.min(dirname(kept).length, aboveMade.length);
  for (let parent = dirname(folder); ; parent = dirname(parent)) {
    syncParent(files, parent, parent.length >= oursLength);
    if (parent.length <= endLength) return;
  }
}

/** A folder that is not ours may be one that this user cannot read, or that knows no sync: it was there before us. */
function syncParent(files: JournalFiles, parent: string, isOurs: boolean): void {
  try {
    syncFolder(files, parent);
  } catch (error) {
    if (isOurs || !hasCode(error, 'EACCES', 'EPERM', 'EINVAL')) throw error;
  }
}

/** Makes the names in a folder as durable as the files they name. */
export function syncFolder(files: JournalFiles, directory: string): void {
  withFile(files, directory, 'r', (fd) => files.fsyncSync(fd));
}
