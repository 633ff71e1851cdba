/**
 * The machine's disk: what running programs see of it, and beside it the model of what is durable (test/powerloss/disk.ts), which
 * says what is left after a loss of power (test/powerloss/models.ts). It outlives the processes; files.ts is what one sees.
 *
 * Paths are absolute. No permissions, and no renames of folders.
 */
import { basename, dirname } from 'node:path';
import { Disk, File, Folder } from '../powerloss/disk.ts';
import { type ImageFolder, imageOf, type Model } from '../powerloss/models.ts';
import { FLAG, KIND, type Kind } from '../powerloss/recording.ts';
import type { Random } from '../support/random.ts';

const NO_BYTES: Buffer = Buffer.alloc(0);

/** A file as programs see it. */
export interface Inode {
  bytes: Buffer;
  size: number;
}

export interface OpenFile {
  readonly path: string;
  /** Undefined for a folder. */
  readonly inode: Inode | undefined;
}

export class SimulatedDisk {
  readonly names = new Map<string, Inode>();
  readonly folders = new Set<string>(['/']);
  readonly open = new Map<number, OpenFile>();
  #model = new Disk();
  #records = 0;
  #calls = 0;
  #nextFd = 3;

  constructor() {
    this.#tell(KIND.start, '');
  }

  get bytesUsed(): number {
    let used = 0;
    for (const inode of new Set(this.names.values())) used += inode.size;
    return used;
  }

  /** Opens what is there, or makes a file in a folder that is. */
  openPath(path: string, flags: { creates: boolean; truncates: boolean }): number {
    let inode = this.names.get(path);
    const isNew = inode === undefined && flags.creates;
    if (isNew) {
      inode = { bytes: NO_BYTES, size: 0 };
      this.names.set(path, inode);
    } else if (inode !== undefined && flags.truncates) inode.size = 0;
    const fd = this.#nextFd++;
    this.open.set(fd, { path, inode });
    this.#tell(KIND.open, path, { fd, flags: isNew ? FLAG.created : 0, offset: flags.truncates && !isNew ? 1 : 0 });
    return fd;
  }

  close(fd: number): void {
    this.open.delete(fd);
    this.#tell(KIND.close, '', { fd });
  }

  write(fd: number, bytes: Buffer, position: number): void {
    const inode = this.open.get(fd)!.inode!;
    const end = position + bytes.length;
    if (end > inode.bytes.length) {
      const larger = Buffer.alloc(Math.max(end, 2 * inode.bytes.length));
      larger.set(inode.bytes.subarray(0, inode.size));
      inode.bytes = larger;
    }
    if (position > inode.size) inode.bytes.fill(0, inode.size, position);
    inode.bytes.set(bytes, position);
    inode.size = Math.max(inode.size, end);
    this.#tell(KIND.write, bytes, { fd, offset: position, length: bytes.length });
  }

  /** A sync covers what was written before it began. Returns what is called where it succeeds. */
  beginSync(fd: number, isDataOnly: boolean): () => void {
    const call = ++this.#calls;
    this.#tell(KIND.syncBegin, '', { fd, call });
    return () => {
      if (this.open.has(fd)) this.#tell(KIND.syncEnd, '', { fd, call, flags: isDataOnly ? FLAG.dataOnly : 0 });
    };
  }

  /** A sync failed: the kernel counts the pages as clean, so that no later sync writes them, though programs still see them. */
  failSync(fd: number): void {
    const { path, inode } = this.open.get(fd)!;
    if (inode === undefined) return;
    const entry = this.#entry(path);
    if (entry instanceof File)
      for (const change of entry.changes) if (!change.isSynced) change.at = Number.POSITIVE_INFINITY;
  }

  link(existing: string, path: string): void {
    this.names.set(path, this.names.get(existing)!);
    this.#tell(KIND.link, `${existing}\0${path}`);
  }

  unlink(path: string): void {
    this.names.delete(path);
    this.#tell(KIND.unlink, path);
  }

  rename(from: string, to: string): void {
    this.names.set(to, this.names.get(from)!);
    this.names.delete(from);
    this.#tell(KIND.rename, `${from}\0${to}`);
  }

  mkdir(path: string): void {
    this.folders.add(path);
    this.#tell(KIND.mkdir, path);
  }

  rmdir(path: string): void {
    this.folders.delete(path);
    this.#tell(KIND.rmdir, path);
  }

  list(folder: string): string[] {
    const found: string[] = [];
    for (const name of this.names.keys()) if (dirname(name) === folder) found.push(basename(name));
    for (const name of this.folders) if (dirname(name) === folder && name !== folder) found.push(basename(name));
    return found;
  }

  /** The process that used it has ended. What it wrote stays in the page cache, synced or not. */
  processEnded(): void {
    this.open.clear();
    this.#tell(KIND.start, '');
  }

  /** Power is lost, and comes back. */
  losePower(model: Model, random: Random): void {
    const image = imageOf(this.#model, model, random);
    this.names.clear();
    this.folders.clear();
    this.open.clear();
    this.folders.add('/');
    this.#model = new Disk();
    this.#records = 0;
    this.#tell(KIND.start, '');
    this.#put('/', image, this.#model.root);
  }

  /** A copy as programs see it, all of it durable, to damage. */
  copy(): SimulatedDisk {
    const copy = new SimulatedDisk();
    for (const folder of this.folders) copy.folders.add(folder);
    for (const [name, { bytes, size }] of this.names) copy.names.set(name, { bytes: Buffer.from(bytes), size });
    copy.#isCopy = true;
    return copy;
  }
  /** A copy has no model: it loses no power. */
  #isCopy = false;

  #put(path: string, image: ImageFolder, folder: Folder): void {
    for (const [name, entry] of Object.entries(image)) {
      const whole = path === '/' ? `/${name}` : `${path}/${name}`;
      let known: File | Folder;
      if (Buffer.isBuffer(entry)) {
        known = this.#copies.get(entry) ?? new File();
        this.#copies.set(entry, known as File);
        const isFirst = (known as File).synced.length === 0 && entry.length > 0;
        if (isFirst) (known as File).synced = Buffer.from(entry);
        const inode = this.#inodes.get(entry) ?? { bytes: Buffer.from(entry), size: entry.length };
        this.#inodes.set(entry, inode);
        this.names.set(whole, inode);
      } else {
        known = new Folder();
        this.folders.add(whole);
        this.#put(whole, entry, known);
      }
      for (const names of [folder.names, folder.syncedNames, folder.journaledNames]) names.set(name, known);
    }
    if (path !== '/') return;
    this.#copies.clear();
    this.#inodes.clear();
  }
  /** While an image is put in place: files with several names are one file. */
  readonly #copies = new Map<Buffer, File>();
  readonly #inodes = new Map<Buffer, Inode>();

  #entry(path: string): File | Folder | undefined {
    let entry: File | Folder | undefined = this.#model.root;
    for (const name of path.split('/'))
      if (name !== '') entry = entry instanceof Folder ? entry.names.get(name) : undefined;
    return entry;
  }

  #tell(
    kind: Kind,
    payload: string | Buffer,
    fields: Partial<Record<'fd' | 'flags' | 'offset' | 'length' | 'call', number>> = {},
  ): void {
    if (this.#isCopy) return;
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    this.#model.apply(
      { kind, flags: 0, call: 0, fd: 0, offset: 0, length: 0, ...fields, payload: bytes },
      ++this.#records,
    );
  }
}
