/**
 * Recordings written by hand: the calls of a program, as records, for the tests of the disk and its models.
 */
import { FLAG, KIND, type Kind, type LogRecord } from './recording.ts';

const ROOT = '/disk';

export class Script {
  readonly records: LogRecord[] = [];
  #fd = 3;
  #call = 0;

  constructor() {
    this.#add(KIND.start, { payload: Buffer.from(ROOT) });
  }

  /** Opens a file that is there, or makes it; returns the descriptor. */
  open(path: string, how: { create?: boolean; dsync?: boolean; truncate?: boolean } = {}): number {
    const flags = (how.create ? FLAG.created : 0) | (how.dsync ? FLAG.dsync : 0);
    this.#add(KIND.open, { fd: ++this.#fd, flags, offset: how.truncate ? 1 : 0, payload: pathOf(path) });
    return this.#fd;
  }
  close(fd: number): this {
    return this.#add(KIND.close, { fd });
  }
  write(fd: number, offset: number, bytes: Uint8Array): this {
    return this.#add(KIND.write, { fd, offset, length: bytes.length, payload: Buffer.from(bytes) });
  }
  /** A write through a descriptor opened with O_DSYNC; `durable` false leaves the call under way. */
  writeSynced(fd: number, offset: number, bytes: Uint8Array, durable = true): this {
    const call = ++this.#call;
    this.#add(KIND.write, {
      fd,
      offset,
      call,
      length: bytes.length,
      payload: Buffer.from(bytes),
      flags: FLAG.dsync,
    });
    return durable ? this.#add(KIND.syncEnd, { fd, call, flags: FLAG.dsync }) : this;
  }
  beginSync(fd: number, flags = 0): number {
    this.#add(KIND.syncBegin, { fd, call: ++this.#call, flags });
    return this.#call;
  }
  endSync(fd: number, call: number, flags = 0): this {
    return this.#add(KIND.syncEnd, { fd, call, flags });
  }
  fsync(fd: number): this {
    return this.endSync(fd, this.beginSync(fd));
  }
  fdatasync(fd: number): this {
    return this.endSync(fd, this.beginSync(fd, FLAG.dataOnly), FLAG.dataOnly);
  }
  /** fsync of a folder, opened for it. */
  syncFolder(path: string): this {
    const fd = this.open(path);
    return this.fsync(fd).close(fd);
  }
  mkdir(path: string): this {
    return this.#add(KIND.mkdir, { payload: pathOf(path) });
  }
  unlink(path: string): this {
    return this.#add(KIND.unlink, { payload: pathOf(path) });
  }
  link(from: string, to: string): this {
    return this.#add(KIND.link, { payload: Buffer.concat([pathOf(from), Buffer.of(0), pathOf(to)]) });
  }
  rename(from: string, to: string): this {
    return this.#add(KIND.rename, { payload: Buffer.concat([pathOf(from), Buffer.of(0), pathOf(to)]) });
  }
  /** Another process goes on with what the first one left. */
  restart(): this {
    return this.#add(KIND.start, { payload: Buffer.from(ROOT) });
  }

  #add(kind: Kind, fields: Partial<LogRecord>): this {
    this.records.push({ kind, flags: 0, call: 0, fd: -1, offset: 0, length: 0, payload: Buffer.alloc(0), ...fields });
    return this;
  }
}

function pathOf(path: string): Buffer {
  return Buffer.from(path === '' ? ROOT : `${ROOT}/${path}`);
}
