/**
 * A disk in memory behind the journal's file port: knows what is synced and what is not, fails on demand, loses power.
 *
 * One folder per path, no permissions. What a loss of power may do: any 512-byte sector of any unsynced write is there
 * or not, any name not yet synced in its folder is there or not. `choose` decides each such case.
 */
import { dirname } from 'node:path';
import type { JournalFiles } from '../../src/journal/segment.ts';

interface Inode {
  bytes: Uint8Array;
  durable: Uint8Array;
  unsynced: { position: number; bytes: Uint8Array }[];
}

export class PowerLoss extends Error {}

export class MemoryFiles implements JournalFiles {
  readonly names = new Map<string, Inode>();
  durableNames = new Map<string, Inode>();
  /** Called before every operation that changes the disk or syncs it; may throw. */
  before: (operation: string, path: string) => void = () => {};
  readonly #open = new Map<number, { path: string; inode: Inode | undefined }>();
  #nextFd = 3;

  openSync(path: string, flags: string): number {
    let inode = this.names.get(path);
    if (inode === undefined && flags === 'w') {
      this.before('create', path);
      inode = { bytes: new Uint8Array(0), durable: new Uint8Array(0), unsynced: [] };
      this.names.set(path, inode);
    } else if (inode !== undefined && flags === 'w') {
      inode.bytes = new Uint8Array(0);
    } else if (inode === undefined && [...this.names.keys()].every((name) => dirname(name) !== path)) {
      if (!path.endsWith('lane')) throw coded('ENOENT', path);
    }
    this.#open.set(this.#nextFd, { path, inode });
    return this.#nextFd++;
  }

  closeSync(fd: number): void {
    if (!this.#open.delete(fd)) throw coded('EBADF', String(fd));
  }

  fstatSync(fd: number): { size: number } {
    return { size: this.#file(fd).bytes.length };
  }

  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    const part = this.#file(fd).bytes.subarray(position, position + length);
    buffer.set(part, offset);
    return part.length;
  }

  writeSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    this.before('write', this.#open.get(fd)!.path);
    const inode = this.#file(fd);
    const bytes = buffer.slice(offset, offset + length);
    inode.bytes = overlay(inode.bytes, position, bytes);
    inode.unsynced.push({ position, bytes });
    return length;
  }

  fdatasyncSync(fd: number): void {
    this.fsyncSync(fd);
  }

  fdatasync(fd: number, done: (error: Error | null) => void): void {
    try {
      this.fdatasyncSync(fd);
    } catch (error) {
      setImmediate(() => done(error as Error));
      return;
    }
    setImmediate(() => done(null));
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

  mkdirSync(): undefined {}

  readdirSync(path: string): string[] {
    return [...this.names.keys()].filter((name) => dirname(name) === path).map((name) => name.slice(path.length + 1));
  }

  /** What is on the disk after the power came back. */
  afterPowerLoss(choose: () => boolean): MemoryFiles {
    const disk = new MemoryFiles();
    const survivors = new Map<Inode, Inode>();
    const survive = (inode: Inode): Inode => {
      let survivor = survivors.get(inode);
      if (survivor === undefined) {
        let bytes: Uint8Array = inode.durable.slice();
        for (const write of inode.unsynced) bytes = overlaySectors(bytes, write.position, write.bytes, choose);
        survivor = { bytes, durable: bytes.slice(), unsynced: [] };
        survivors.set(inode, survivor);
      }
      return survivor;
    };
    for (const name of new Set([...this.names.keys(), ...this.durableNames.keys()])) {
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
    const end = Math.min(part.length, offset + 512 - ((position + offset) % 512));
    if (choose()) result = overlay(result, position + offset, part.subarray(offset, end));
    offset = end;
  }
  return result;
}
