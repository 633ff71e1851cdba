/**
 * A disk in memory behind the file port: knows what is synced and what is not, fails on demand, is full, loses power.
 *
 * No permissions, no links and no renames of folders. What a loss of power may do: any 512-byte sector of any unsynced write is there
 * or not, any name not yet synced in its folder is there or not, a folder's own name included. A disk of 4,096-byte
 * blocks that tells of sectors may also leave a whole block as rubbish, whoever else wrote in it. `choose` decides each
 * such case.
 */
import { basename, dirname } from 'node:path';
import type { FileStat, Files } from '../../src/system/files.ts';

interface Inode {
  bytes: Uint8Array;
  durable: Uint8Array;
  unsynced: { position: number; bytes: Uint8Array }[];
}

const SECTOR = 512;

export class PowerLoss extends Error {}

export class MemoryFiles implements Files {
  readonly names = new Map<string, Inode>();
  durableNames = new Map<string, Inode>();
  readonly folders = new Set<string>(['/']);
  durableFolders = new Set<string>(['/']);
  /** Called before every operation that changes the disk or syncs it; may throw. */
  before: (operation: string, path: string) => void = () => {};
  readonly #open = new Map<number, { path: string; inode: Inode | undefined }>();
  #nextFd = 3;

  /** Bytes that all files together may have. */
  roomBytes = Number.POSITIVE_INFINITY;

  openSync(path: string, flags: string | number): number {
    let inode = this.names.get(path);
    if (inode !== undefined && flags === 'wx') throw coded('EEXIST', path);
    if (inode !== undefined && String(flags).startsWith('w')) inode.bytes = new Uint8Array(0);
    if (inode === undefined && String(flags).startsWith('w') && this.folders.has(dirname(path))) {
      this.before('create', path);
      inode = { bytes: new Uint8Array(0), durable: new Uint8Array(0), unsynced: [] };
      this.names.set(path, inode);
    }
    if (inode === undefined && !this.folders.has(path)) throw coded('ENOENT', path);
    this.#open.set(this.#nextFd, { path, inode });
    return this.#nextFd++;
  }

  closeSync(fd: number): void {
    if (!this.#open.delete(fd)) throw coded('EBADF', String(fd));
  }

  fstatSync(fd: number): FileStat {
    const { path, inode } = this.#open.get(fd)!;
    return inode === undefined ? this.statSync(path) : fileStat(inode);
  }

  statSync(path: string): FileStat {
    if (!this.existsSync(path)) throw coded('ENOENT', path);
    return fileStat(this.names.get(path));
  }

  existsSync(path: string): boolean {
    return this.names.has(path) || this.folders.has(path);
  }

  realpathSync(path: string): string {
    return path;
  }

  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    const part = this.#file(fd).bytes.subarray(position, position + length);
    buffer.set(part, offset);
    return part.length;
  }

  writeSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    this.before('write', this.#open.get(fd)!.path);
    const inode = this.#file(fd);
    const used = [...new Set(this.names.values())].reduce((sum, file) => sum + file.bytes.length, 0);
    const end = Math.min(position + length, Math.max(inode.bytes.length, this.roomBytes - used + inode.bytes.length));
    if (end <= position) throw coded('ENOSPC', this.#open.get(fd)!.path);
    const bytes = buffer.slice(offset, offset + end - position);
    inode.bytes = overlay(inode.bytes, position, bytes);
    inode.unsynced.push({ position, bytes });
    return bytes.length;
  }

  fdatasyncSync(fd: number): void {
    this.fsyncSync(fd);
  }

  fsyncSync(fd: number): void {
    const { path, inode } = this.#open.get(fd)!;
    this.before('sync', path);
    if (inode !== undefined) {
      inode.durable = inode.bytes.slice();
      inode.unsynced = [];
      return;
    }
    for (const name of this.durableNames.keys())
      if (dirname(name) === path && !this.names.has(name)) this.durableNames.delete(name);
    for (const [name, file] of this.names) if (dirname(name) === path) this.durableNames.set(name, file);
    for (const folder of this.folders) if (dirname(folder) === path) this.durableFolders.add(folder);
  }

  linkSync(existing: string, path: string): void {
    this.before('link', path);
    if (this.names.has(path)) throw coded('EEXIST', path);
    this.names.set(path, this.names.get(existing)!);
  }

  unlinkSync(path: string): void {
    this.before('unlink', path);
    if (!this.names.delete(path)) throw coded('ENOENT', path);
  }

  renameSync(from: string, to: string): void {
    this.before('rename', to);
    const inode = this.names.get(from);
    if (inode === undefined) throw coded('ENOENT', from);
    this.names.set(to, inode);
    this.names.delete(from);
  }

  rmSync(path: string): void {
    if (this.names.has(path)) this.unlinkSync(path);
  }

  rmdirSync(path: string): void {
    this.before('rmdir', path);
    this.folders.delete(path);
  }

  mkdirSync(path: string, options: { recursive?: boolean } = {}): string | undefined {
    if (!options.recursive && this.existsSync(path)) throw coded('EEXIST', path);
    const missing: string[] = [];
    for (let folder = path; !this.folders.has(folder); folder = dirname(folder)) missing.unshift(folder);
    for (const folder of missing) {
      this.before('mkdir', folder);
      this.folders.add(folder);
    }
    return missing[0];
  }

  readdirSync(path: string): string[] {
    if (!this.folders.has(path)) throw coded('ENOENT', path);
    return [...this.names.keys(), ...this.folders]
      .filter((name) => dirname(name) === path && name !== path)
      .map((name) => basename(name));
  }

  // Beside the thread: each takes place, and ends, in a later turn.
  fdatasync(fd: number, done: Done<void>): void {
    beside(done, () => this.fdatasyncSync(fd));
  }
  fsync(fd: number, done: Done<void>): void {
    beside(done, () => this.fsyncSync(fd));
  }
  open(path: string, flags: string, done: Done<number>): void {
    beside(done, () => this.openSync(path, flags));
  }
  close(fd: number, done: Done<void>): void {
    beside(done, () => this.closeSync(fd));
  }
  write(fd: number, buffer: Uint8Array, offset: number, length: number, position: number, done: Done<number>): void {
    beside(done, () => this.writeSync(fd, buffer, offset, length, position));
  }
  link(existing: string, path: string, done: Done<void>): void {
    beside(done, () => this.linkSync(existing, path));
  }
  unlink(path: string, done: Done<void>): void {
    beside(done, () => this.unlinkSync(path));
  }
  readdir(path: string, done: Done<string[]>): void {
    beside(done, () => this.readdirSync(path));
  }

  /**
   * What is on the disk after the power came back.
   * @param blockBytes 4,096: the disk reads, changes and writes blocks of that size, and may leave rubbish in one
   */
  afterPowerLoss(choose: () => boolean, blockBytes = SECTOR): MemoryFiles {
    const disk = new MemoryFiles();
    for (const folder of [...this.folders].sort())
      if (disk.folders.has(dirname(folder)) && (this.durableFolders.has(folder) || choose())) {
        disk.folders.add(folder);
        disk.durableFolders.add(folder);
      }
    const survivors = new Map<Inode, Inode>();
    const survive = (inode: Inode): Inode => {
      let survivor = survivors.get(inode);
      if (survivor === undefined) {
        let bytes: Uint8Array = inode.durable.slice();
        for (const write of inode.unsynced) {
          bytes = overlaySectors(bytes, write.position, write.bytes, choose);
          if (blockBytes > SECTOR) spoilBlocks(bytes, write.position, write.bytes.length, blockBytes, choose);
        }
        survivor = { bytes, durable: bytes.slice(), unsynced: [] };
        survivors.set(inode, survivor);
      }
      return survivor;
    };
    for (const name of new Set([...this.names.keys(), ...this.durableNames.keys()])) {
      if (!disk.folders.has(dirname(name))) continue;
      const now = this.names.get(name);
      const synced = this.durableNames.get(name);
      const inode = now === synced || choose() ? now : synced;
      if (inode === undefined) continue;
      disk.names.set(name, survive(inode));
      disk.durableNames.set(name, survive(inode));
    }
    return disk;
  }

  /** An independent copy, to damage. */
  copy(): MemoryFiles {
    const disk = new MemoryFiles();
    for (const folder of this.folders) disk.folders.add(folder);
    for (const [name, { bytes }] of this.names)
      disk.names.set(name, { bytes: bytes.slice(), durable: bytes.slice(), unsynced: [] });
    return disk;
  }

  #file(fd: number): Inode {
    const inode = this.#open.get(fd)?.inode;
    if (inode === undefined) throw coded('EBADF', String(fd));
    return inode;
  }
}

type Done<Result> = (error: Error | null, result: Result) => void;

function beside<Result>(done: Done<Result>, work: () => Result): void {
  setImmediate(() => {
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

function fileStat(inode: Inode | undefined): FileStat {
  const isFile = inode !== undefined;
  const size = inode?.bytes.length ?? 0;
  return { size, mode: 0o600, isFile: () => isFile, isDirectory: () => !isFile, isFIFO: () => false };
}

function coded(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code, syscall: 'memory' });
}

function overlay(bytes: Uint8Array, position: number, part: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.max(bytes.length, position + part.length));
  whole.set(bytes);
  whole.set(part, position);
  return whole;
}

function overlaySectors(bytes: Uint8Array, position: number, part: Uint8Array, choose: () => boolean): Uint8Array {
  let result = bytes;
  for (let offset = 0; offset < part.length; ) {
    const end = Math.min(part.length, offset + SECTOR - ((position + offset) % SECTOR));
    if (choose()) result = overlay(result, position + offset, part.subarray(offset, end));
    offset = end;
  }
  return result;
}

/** Rubbish in some of the blocks that a write touched, from their first byte to their last. */
function spoilBlocks(bytes: Uint8Array, position: number, length: number, blockBytes: number, choose: () => boolean) {
  for (let block = position - (position % blockBytes); block < position + length; block += blockBytes)
    if (!choose()) bytes.fill(0xb5, block, block + blockBytes);
}
