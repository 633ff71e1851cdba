/**
 * The interface of a node's file operations, which `node:fs` implements, and so may a simulated disk. All that must survive a
 * loss of power uses it. The calls do, and throw, the same as those of `node:fs` with their names. Any thread.
 */
import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';

/** The calls of a journal's writer and readers. */
export interface JournalFiles {
  openSync(path: string, flags: string | number, mode?: number): number;
  closeSync(fd: number): void;
  fstatSync(fd: number): { size: number };
  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number;
  writeSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number;
  fdatasyncSync(fd: number): void;
  fdatasync(fd: number, done: Done): void;
  fsyncSync(fd: number): void;
  linkSync(existing: string, path: string): void;
  unlinkSync(path: string): void;
  mkdirSync(path: string, options?: { recursive?: boolean; mode?: number | undefined }): string | undefined;
  readdirSync(path: string): string[];
}

/** The main thread's further calls; those with `done` are asynchronous. */
export interface Files extends JournalFiles {
  fstatSync(fd: number): FileStat;
  statSync(path: string): FileStat;
  existsSync(path: string): boolean;
  realpathSync(path: string): string;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { recursive?: boolean; force?: boolean }): void;
  rmdirSync(path: string): void;
  open(path: string, flags: string, done: Done<number>): void;
  close(fd: number, done: Done): void;
  write(fd: number, buffer: Uint8Array, offset: number, length: number, position: number, done: Done<number>): void;
  fsync(fd: number, done: Done): void;
  link(existing: string, path: string, done: Done): void;
  unlink(path: string, done: Done): void;
  readdir(path: string, done: Done<string[]>): void;
}

export type FileStat = Pick<fs.Stats, 'size' | 'mode' | 'isFile' | 'isDirectory' | 'isFIFO'>;
type Done<Result = void> = (error: Error | null, result: Result) => void;

export const nodeFiles: Files = fs;

/** Flags with which opening a pipe without a writer returns at once. */
export const READ_WITHOUT_WAITING = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);

/** An asynchronous call as a promise. */
export function later<Result = void>(start: (done: Done<Result>) => void): Promise<Result> {
  return new Promise((settle, reject) => start((error, result) => (error ? reject(error) : settle(result))));
}

/** Opens a file or a folder, calls `work`, and closes it, also after an error. */
export function withFile(files: JournalFiles, path: string, flags: string, work: (fd: number) => void, mode?: number) {
  const fd = files.openSync(path, flags, mode);
  try {
    work(fd);
  } finally {
    files.closeSync(fd);
  }
}

/** Writes `length` bytes in one call, or throws. */
export function writeWhole(files: JournalFiles, fd: number, bytes: Uint8Array, length: number, position: number): void {
  expectWhole(files.writeSync(fd, bytes, 0, length, position), length);
}

/** Throws ENOSPC for a short write, which means a full disk. */
export function expectWhole(written: number, length: number): void {
  if (written === length) return;
  throw Object.assign(new Error(`expected ${length} bytes written, got ${written}`), { code: 'ENOSPC' });
}

/** Whether an error of a file operation has this code. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

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
