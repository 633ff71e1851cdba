/**
 * A fast disk in memory, without power loss (memory-files.ts has that): files are kept whole, and a test may make the next
 * operation fail. Owned by the rig.
 */
import type { JournalFiles } from '../../src/system/files.ts';

export class RigFiles implements JournalFiles {
  /** Called before every write and sync; may throw. */
  before: (operation: 'write' | 'sync') => void = () => {};
  readonly #files = new Map<string, { bytes: Uint8Array; size: number }>();
  readonly #open = new Map<number, string>();
  #nextFd = 3;

  openSync(path: string, flags: string): number {
    if (flags === 'w') this.#files.set(path, { bytes: new Uint8Array(0), size: 0 });
    else if (path.endsWith('.seg') && !this.#files.has(path)) throw Object.assign(new Error(path), { code: 'ENOENT' });
    this.#open.set(this.#nextFd, path);
    return this.#nextFd++;
  }
  closeSync(fd: number): void {
    this.#open.delete(fd);
  }
  fstatSync(fd: number): { size: number } {
    return { size: this.#file(fd).size };
  }
  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    const file = this.#file(fd);
    const part = file.bytes.subarray(position, Math.min(position + length, file.size));
    buffer.set(part, offset);
    return part.length;
  }
  writeSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    this.before('write');
    const file = this.#file(fd);
    const end = position + length;
    if (end > file.bytes.length) {
      const larger = new Uint8Array(Math.max(end, file.bytes.length * 2));
      larger.set(file.bytes);
      file.bytes = larger;
    }
    file.bytes.set(buffer.subarray(offset, offset + length), position);
    file.size = Math.max(file.size, end);
    return length;
  }
  fdatasyncSync(): void {
    this.before('sync');
  }
  /** The syncs that run beside the thread until the test ends them with `endSync`. */
  readonly syncing: ((error: Error | null) => void)[] = [];
  fdatasync(_fd: number, done: (error: Error | null) => void): void {
    this.syncing.push(done);
  }
  /** Ends the oldest running sync, as durable or as failed. */
  endSync(): void {
    const done = this.syncing.shift()!;
    try {
      this.before('sync');
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null);
  }
  fsyncSync(): void {
    this.before('sync');
  }
  linkSync(existing: string, path: string): void {
    this.#files.set(path, this.#files.get(existing)!);
  }
  unlinkSync(path: string): void {
    this.#files.delete(path);
  }
  mkdirSync(): undefined {}
  readdirSync(path: string): string[] {
    return [...this.#files.keys()]
      .filter((name) => name.startsWith(`${path}/`))
      .map((name) => name.slice(path.length + 1));
  }
  /** All files, one after the other. */
  contents(): Buffer {
    return Buffer.concat([...this.#files.values()].map(({ bytes, size }) => bytes.subarray(0, size)));
  }

  #file(fd: number): { bytes: Uint8Array; size: number } {
    return this.#files.get(this.#open.get(fd)!)!;
  }
}
