/**
 * One process's files on the simulated disk: the port that production code is given (src/system/files.ts). Each call is a place
 * where the process may be killed, the power lost or the disk fail; those beside a thread end in a later event.
 */
import { dirname } from 'node:path';
import type { FileStat, Files } from '../../src/system/files.ts';
import type { Inode, SimulatedDisk } from './disk.ts';
import type { Scheduler } from './scheduler.ts';

export type DiskOperation = 'create' | 'read' | 'write' | 'sync' | 'link' | 'unlink' | 'rename' | 'mkdir' | 'rmdir';

/** What goes wrong with calls of this process, see disk-faults.ts. */
export interface DiskFaults {
  /** Called before each operation; throws its error, or the end of the process. */
  before(operation: DiskOperation, path: string): void;
  /** How many of these bytes are written; the others find no room. */
  room(path: string, bytes: number): number;
  /** Milliseconds that an operation takes. */
  duration(operation: DiskOperation): number;
  /** How much longer a sync beside a thread takes. */
  hangs(path: string): number;
}

type Done<Result = void> = (error: Error | null, result: Result) => void;

export class SimulatedFiles implements Files {
  readonly #disk: SimulatedDisk;
  readonly #faults: DiskFaults;
  readonly #scheduler: Scheduler;

  constructor(disk: SimulatedDisk, faults: DiskFaults, scheduler: Scheduler) {
    this.#disk = disk;
    this.#faults = faults;
    this.#scheduler = scheduler;
  }

  openSync(path: string, flags: string | number): number {
    const disk = this.#disk;
    const mode = String(flags);
    const isThere = disk.names.has(path);
    if (isThere && mode === 'wx') throw coded('EEXIST', path);
    const creates = !isThere && mode.startsWith('w');
    if (creates && !disk.folders.has(dirname(path))) throw coded('ENOENT', path);
    if (creates) this.#begin('create', path);
    else if (!isThere && !disk.folders.has(path)) throw coded('ENOENT', path);
    return disk.openPath(path, { creates, truncates: mode.startsWith('w') });
  }

  closeSync(fd: number): void {
    this.#opened(fd);
    this.#disk.close(fd);
  }

  fstatSync(fd: number): FileStat {
    const { path, inode } = this.#opened(fd);
    return inode === undefined ? this.statSync(path) : statOf(inode);
  }

  statSync(path: string): FileStat {
    if (!this.existsSync(path)) throw coded('ENOENT', path);
    return statOf(this.#disk.names.get(path));
  }

  existsSync(path: string): boolean {
    return this.#disk.names.has(path) || this.#disk.folders.has(path);
  }

  realpathSync(path: string): string {
    return path;
  }

  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    const { path } = this.#opened(fd);
    this.#begin('read', path);
    const { bytes, size } = this.#file(fd);
    const part = bytes.subarray(Math.min(position, size), Math.min(position + length, size));
    buffer.set(part, offset);
    return part.length;
  }

  writeSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    const { path } = this.#opened(fd);
    this.#begin('write', path);
    return this.#write(fd, buffer, offset, length, position);
  }

  #write(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    const { path } = this.#opened(fd);
    const { size } = this.#file(fd);
    const grows = Math.max(0, position + length - size);
    const fits = grows === 0 ? length : length - grows + this.#faults.room(path, grows);
    if (fits <= 0) throw coded('ENOSPC', path);
    this.#disk.write(fd, Buffer.from(buffer.subarray(offset, offset + fits)), position);
    return fits;
  }

  fdatasyncSync(fd: number): void {
    this.#syncNow(fd, true);
  }
  fsyncSync(fd: number): void {
    this.#syncNow(fd, false);
  }

  #syncNow(fd: number, isDataOnly: boolean): void {
    const { path } = this.#opened(fd);
    const succeed = this.#disk.beginSync(fd, isDataOnly);
    try {
      this.#begin('sync', path);
    } catch (error) {
      if (this.#disk.open.has(fd)) this.#disk.failSync(fd);
      throw error;
    }
    succeed();
  }

  linkSync(existing: string, path: string): void {
    if (!this.#disk.names.has(existing)) throw coded('ENOENT', existing);
    this.#begin('link', path);
    if (this.#disk.names.has(path)) throw coded('EEXIST', path);
    this.#disk.link(existing, path);
  }

  unlinkSync(path: string): void {
    if (!this.#disk.names.has(path)) throw coded('ENOENT', path);
    this.#begin('unlink', path);
    this.#disk.unlink(path);
  }

  renameSync(from: string, to: string): void {
    if (!this.#disk.names.has(from)) throw coded('ENOENT', from);
    this.#begin('rename', to);
    this.#disk.rename(from, to);
  }

  rmSync(path: string): void {
    if (this.#disk.names.has(path)) this.unlinkSync(path);
  }

  rmdirSync(path: string): void {
    this.#begin('rmdir', path);
    this.#disk.rmdir(path);
  }

  mkdirSync(path: string, options: { recursive?: boolean } = {}): string | undefined {
    if (!options.recursive && this.existsSync(path)) throw coded('EEXIST', path);
    const missing: string[] = [];
    for (let folder = path; !this.#disk.folders.has(folder); folder = dirname(folder)) missing.unshift(folder);
    for (const folder of missing) {
      this.#begin('mkdir', folder);
      this.#disk.mkdir(folder);
    }
    return missing[0];
  }

  readdirSync(path: string): string[] {
    if (!this.#disk.folders.has(path)) throw coded('ENOENT', path);
    this.#begin('read', path);
    return this.#disk.list(path);
  }

  fdatasync(fd: number, done: Done<void>): void {
    this.#syncLater(fd, true, done);
  }
  fsync(fd: number, done: Done<void>): void {
    this.#syncLater(fd, false, done);
  }
  open(path: string, flags: string, done: Done<number>): void {
    this.#beside('read', done, () => this.openSync(path, flags));
  }
  close(fd: number, done: Done<void>): void {
    this.#beside('read', done, () => this.closeSync(fd));
  }
  write(fd: number, buffer: Uint8Array, offset: number, length: number, position: number, done: Done<number>): void {
    this.#beside('write', done, () => {
      this.#faults.before('write', this.#opened(fd).path);
      return this.#write(fd, buffer, offset, length, position);
    });
  }
  link(existing: string, path: string, done: Done<void>): void {
    this.#beside('link', done, () => this.linkSync(existing, path));
  }
  unlink(path: string, done: Done<void>): void {
    this.#beside('unlink', done, () => this.unlinkSync(path));
  }
  readdir(path: string, done: Done<string[]>): void {
    this.#beside('read', done, () => this.readdirSync(path));
  }

  /** It covers what was written when it began, and nothing that is written meanwhile. */
  #syncLater(fd: number, isDataOnly: boolean, done: Done<void>): void {
    const { path } = this.#opened(fd);
    const succeed = this.#disk.beginSync(fd, isDataOnly);
    const work = () => {
      try {
        this.#faults.before('sync', path);
      } catch (error) {
        if (this.#disk.open.has(fd)) this.#disk.failSync(fd);
        throw error;
      }
      succeed();
    };
    this.#beside('sync', done, work, this.#faults.hangs(path));
  }

  #beside<Result>(operation: DiskOperation, done: Done<Result>, work: () => Result, hangsMs = 0): void {
    this.#scheduler.after(this.#faults.duration(operation) + hangsMs, () => {
      let result: Result;
      try {
        result = work();
      } catch (error) {
        done(error as Error, undefined as Result);
        return;
      }
      done(null, result);
    });
  }

  #begin(operation: DiskOperation, path: string): void {
    this.#scheduler.spend(this.#faults.duration(operation));
    this.#faults.before(operation, path);
  }

  #opened(fd: number) {
    const open = this.#disk.open.get(fd);
    if (open === undefined) throw coded('EBADF', String(fd));
    return open;
  }

  #file(fd: number): Inode {
    const { inode } = this.#opened(fd);
    if (inode === undefined) throw coded('EISDIR', String(fd));
    return inode;
  }
}

function statOf(inode: Inode | undefined): FileStat {
  const isFile = inode !== undefined;
  return { size: inode?.size ?? 0, mode: 0o600, isFile: () => isFile, isDirectory: () => !isFile, isFIFO: () => false };
}

export function coded(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code, syscall: 'simulated' });
}
