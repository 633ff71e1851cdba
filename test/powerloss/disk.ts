/**
 * A disk as a recording leaves it at some point: what is durable, and what was done since and may or may not be there.
 *
 * It follows a recording record by record. What a loss of power makes of it is for models.ts to say.
 *
 *   file    contents that are durable, then changes in the order made, each covered by a sync or not
 *   folder  the names as running programs see them; the names an fsync of the folder made durable, and the changes since
 *   disk    the same changes of names in one order, as a file system with a journal keeps them
 */
import { basename, dirname } from 'node:path';
import { assert } from '../../src/errors.ts';
import { FLAG, KIND, type LogRecord } from './recording.ts';

/** A write, or a new length (then `bytes` is undefined and `offset` the length). */
export interface Change {
  offset: number;
  bytes: Buffer | undefined;
  /** The record it came from. */
  at: number;
  call: number;
  isSynced: boolean;
}

export class File {
  synced: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  changes: Change[] = [];

  /** Puts what is synced, and has nothing unsynced before it, into the durable contents. */
  settle(): void {
    let settled = 0;
    while (this.changes[settled]?.isSynced) this.synced = applied(this.synced, this.changes[settled++]!);
    if (settled > 0) this.changes = this.changes.slice(settled);
  }
}

/** `contents` with the change made; a buffer of its own only where it has to grow. */
export function applied(contents: Buffer, { offset, bytes }: Change): Buffer {
  const end = bytes === undefined ? offset : offset + bytes.length;
  if (bytes === undefined && end < contents.length) return Buffer.from(contents.subarray(0, end));
  let result = contents;
  if (end > contents.length) {
    result = Buffer.alloc(end);
    result.set(contents);
  }
  if (bytes !== undefined) result.set(bytes, offset);
  return result;
}

export type Entry = File | Folder;

/** One step of a folder's names: a rename inside a folder both takes a name away and gives one, in one step. */
export interface NameChange {
  folder: Folder;
  removed: string | undefined;
  added: [name: string, entry: Entry] | undefined;
  at: number;
  isSynced: boolean;
}

export type Names = Map<string, Entry>;

export function applyNames(names: Names, { removed, added }: NameChange): void {
  if (removed !== undefined) names.delete(removed);
  if (added !== undefined) names.set(...added);
}

export class Folder {
  readonly names: Names = new Map();
  readonly syncedNames: Names = new Map();
  changes: NameChange[] = [];
  /** The names in the part of the file system's journal that is durable. */
  readonly journaledNames: Names = new Map();

  settle(): void {
    let settled = 0;
    while (this.changes[settled]?.isSynced) applyNames(this.syncedNames, this.changes[settled++]!);
    if (settled > 0) this.changes = this.changes.slice(settled);
  }
}

export class Disk {
  /** The folder the recorder was told of; it was there and durable, and empty, before the recording. */
  readonly root = new Folder();
  /** Changes of names that the file system's journal has in memory only, oldest first. */
  journal: NameChange[] = [];
  #rootPath = '';
  readonly #open = new Map<number, Entry>();
  /** Where syncs under way began, by call. */
  readonly #syncs = new Map<number, number>();

  apply(record: LogRecord, at: number): void {
    switch (record.kind) {
      case KIND.start:
        // Another process: its descriptors are its own, and the page cache has lost nothing.
        this.#rootPath = record.payload.toString();
        this.#open.clear();
        break;
      case KIND.open:
        this.#openFile(record.payload.toString(), record, at);
        break;
      case KIND.close:
        this.#open.delete(record.fd);
        break;
      case KIND.dup:
        this.#open.set(record.fd, this.#opened(record.offset));
        break;
      case KIND.write:
      case KIND.zeros:
      case KIND.truncate:
        this.#change(record, at);
        break;
      case KIND.syncBegin:
        this.#syncs.set(record.call, at);
        break;
      case KIND.syncEnd:
        this.#endSync(record);
        break;
      default:
        this.#applyName(record, at);
    }
  }

  #applyName({ kind, payload }: LogRecord, at: number): void {
    const [path, second] = payload.toString().split('\0') as [string, string];
    if (kind === KIND.mkdir) this.#rename(undefined, path, new Folder(), at);
    // Of a socket only the name outlives its process: an empty file refuses connections as a dead socket does.
    else if (kind === KIND.bind) this.#rename(undefined, path, new File(), at);
    else if (kind === KIND.unlink || kind === KIND.rmdir) this.#rename(path, undefined, undefined, at);
    else if (kind === KIND.link || kind === KIND.rename) {
      const entry = this.#find(path);
      assert(entry !== undefined, `a name that was there: ${path}`);
      this.#rename(kind === KIND.rename ? path : undefined, second, entry, at);
    }
  }

  #openFile(path: string, { fd, flags, offset: truncates }: LogRecord, at: number): void {
    let entry = this.#find(path);
    assert((entry === undefined) === ((flags & FLAG.created) !== 0), `names as the recorder saw them: ${path}`);
    if (entry === undefined) {
      entry = new File();
      this.#rename(undefined, path, entry, at);
    } else if (truncates && entry instanceof File)
      entry.changes.push({ offset: 0, bytes: undefined, at, call: 0, isSynced: false });
    this.#open.set(fd, entry);
  }

  #change({ kind, fd, offset, length, payload, call }: LogRecord, at: number): void {
    const file = this.#opened(fd);
    assert(file instanceof File, 'a folder is not written to');
    const change = { at, call, isSynced: false };
    if (kind === KIND.truncate) file.changes.push({ ...change, offset: length, bytes: undefined });
    else file.changes.push({ ...change, offset, bytes: kind === KIND.zeros ? Buffer.alloc(length) : payload });
  }

  #endSync({ fd, call, flags }: LogRecord): void {
    const entry = this.#opened(fd);
    if (flags & FLAG.dsync) {
      for (const change of (entry as File).changes) change.isSynced ||= change.call === call;
      entry.settle();
      return;
    }
    const begin = this.#syncs.get(call);
    assert(begin !== undefined, 'a sync begins before it ends');
    this.#syncs.delete(call);
    for (const change of entry.changes) change.isSynced ||= change.at < begin;
    entry.settle();
    // fdatasync owes nothing to names; an fsync commits the journal of the file system.
    if ((flags & FLAG.dataOnly) === 0) this.#commitJournal(begin);
  }

  #commitJournal(before: number): void {
    let committed = 0;
    for (; this.journal[committed] !== undefined && this.journal[committed]!.at < before; committed++)
      applyNames(this.journal[committed]!.folder.journaledNames, this.journal[committed]!);
    this.journal = this.journal.slice(committed);
  }

  /** Takes the name `from` away and gives the name `to`; either may be undefined. */
  #rename(from: string | undefined, to: string | undefined, entry: Entry | undefined, at: number): void {
    const source = from === undefined ? undefined : this.#folderOf(from);
    const target = to === undefined ? undefined : this.#folderOf(to);
    const removed = from === undefined ? undefined : basename(from);
    const added: [string, Entry] | undefined = to === undefined ? undefined : [basename(to), entry!];
    if (source === undefined || target === undefined || source === target)
      this.#changeNames({ folder: (target ?? source)!, removed, added, at, isSynced: false });
    else {
      this.#changeNames({ folder: target, removed: undefined, added, at, isSynced: false });
      this.#changeNames({ folder: source, removed, added: undefined, at, isSynced: false });
    }
  }

  #changeNames(change: NameChange): void {
    applyNames(change.folder.names, change);
    change.folder.changes.push(change);
    this.journal.push(change);
  }

  #opened(fd: number): Entry {
    const entry = this.#open.get(fd);
    assert(entry !== undefined, `a descriptor that is open: ${fd}`);
    return entry;
  }

  #folderOf(path: string): Folder {
    const folder = this.#find(dirname(path));
    assert(folder instanceof Folder, `a folder that is there: ${dirname(path)}`);
    return folder;
  }

  #find(path: string): Entry | undefined {
    assert(path.startsWith(this.#rootPath), `a path below ${this.#rootPath}, got ${path}`);
    let entry: Entry | undefined = this.root;
    for (const name of path.slice(this.#rootPath.length).split('/'))
      if (name !== '' && name !== '.') entry = entry instanceof Folder ? entry.names.get(name) : undefined;
    return entry;
  }
}
