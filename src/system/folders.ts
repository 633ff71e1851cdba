/** Makes folders that survive a loss of power: a name is durable once the folder that holds it is synced. Any thread. */
import { dirname, resolve } from 'node:path';
import { hasCode, type JournalFiles, withFile } from './files.ts';

/**
 * Makes a folder if it does not exist. Makes durable its name, those of the folders above it up to `top` (the folder itself,
 * or one above it), and those of all folders that it made. An existing folder is synced too, since a killed run may have
 * made it without a sync.
 */
export function makeFolder(files: JournalFiles, directory: string, top: string = directory, mode?: number): void {
  const folder = resolve(directory);
  const kept = resolve(top);
  const made = files.mkdirSync(folder, { recursive: true, mode });
  const aboveMade = made === undefined ? kept : dirname(resolve(made));
  // These folders contain one another, so the shorter name is the higher folder.
  const oursLength = Math.min(kept.length, aboveMade.length);
  const endLength = Math.min(dirname(kept).length, aboveMade.length);
  for (let parent = dirname(folder); ; parent = dirname(parent)) {
    syncParent(files, parent, parent.length >= oursLength);
    if (parent.length <= endLength) return;
  }
}

/** Syncs a folder. One that existed before may be unreadable for this user, or not support it; then no sync is needed. */
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
