/**
 * What a loss of power may leave of a disk: five models, each with its chances drawn from a seed.
 *
 *   strict   POSIX to the letter: of what was not synced any pages are there; of the changes of a folder's names that no
 *            fsync of that folder followed, any are there, in any combination
 *   ordered  names as ext4 keeps them: a journal of which some beginning is there, and every fsync commits what came
 *            before it; data as above
 *   torn512  the same names; unsynced writes arrive by sectors of 512 bytes, in any combination
 *   torn4096 the same names; a disk of 4 KiB blocks is cut off while it writes: a block that an unsynced write touches is
 *            old, new, part this and part that, or garbage, and with it bytes of that block that were synced before
 *   kept     kill -9: everything written is there
 */
import type { Random } from '../support/random.ts';
import { applied, applyNames, type Change, type Disk, type Entry, type File, Folder, type Names } from './disk.ts';

export const MODELS = ['strict', 'ordered', 'torn512', 'torn4096', 'kept'] as const;
export type Model = (typeof MODELS)[number];

/** A folder's names with what they name: folders, and files as their contents. */
export interface ImageFolder {
  [name: string]: ImageFolder | Buffer;
}

const SECTOR_BYTES = 512;
const BLOCK_BYTES = 4096;
/** Shares of the unsynced that arrive, in a thousand, one drawn per image: the ends show what the middle seldom does. */
const SHARES = [0, 100, 500, 900, 1000];
/** Of the blocks a torn disk was writing to, in a thousand: garbage, and sectors of both. */
const GARBAGE = 250;
const MIXED = 250;

/** What is on the disk when power comes back. */
export function imageOf(disk: Disk, model: Model, random: Random): ImageFolder {
  const share = SHARES[random.below(SHARES.length)]!;
  const names = namesUnder(disk, model, share, random);
  const contents = new Map<File, Buffer>();
  const build = (folder: Folder): ImageFolder => {
    const image: ImageFolder = {};
    for (const [name, entry] of names(folder)) image[name] = entry instanceof Folder ? build(entry) : fileOf(entry);
    return image;
  };
  const fileOf = (file: File): Buffer => {
    const known = contents.get(file) ?? contentsUnder(file, model, share, random);
    contents.set(file, known);
    return known;
  };
  return build(disk.root);
}

function namesUnder(disk: Disk, model: Model, share: number, random: Random): (folder: Folder) => Names {
  if (model === 'kept') return (folder) => folder.names;
  if (model === 'strict')
    return (folder) => {
      const names = new Map<string, Entry>(folder.syncedNames);
      for (const change of folder.changes) if (change.isSynced || random.below(1000) < share) applyNames(names, change);
      return names;
    };
  const journaled = disk.journal.slice(0, random.below(disk.journal.length + 1));
  return (folder) => {
    const names = new Map<string, Entry>(folder.journaledNames);
    for (const change of journaled) if (change.folder === folder) applyNames(names, change);
    return names;
  };
}

/** A file's contents; the durable ones themselves where nothing else is in question, so never to be written to. */
function contentsUnder(file: File, model: Model, share: number, random: Random): Buffer {
  if (file.changes.length === 0) return file.synced;
  let contents: Buffer = Buffer.from(file.synced);
  for (const change of file.changes) {
    if (change.isSynced || model === 'kept') contents = applied(contents, change);
    else if (change.bytes === undefined) contents = random.below(1000) < share ? applied(contents, change) : contents;
    else if (model === 'torn4096') contents = tornBlocks(contents, change, share, random);
    else contents = inPieces(contents, change, model === 'torn512' ? SECTOR_BYTES : BLOCK_BYTES, share, random);
  }
  return contents;
}

/** The parts of a write that lie in each `size` bytes of the file. */
function* pieces({ offset, bytes }: Change, size: number): Generator<Change> {
  const end = offset + bytes!.length;
  for (let from = offset; from < end; ) {
    const to = Math.min(end, (Math.floor(from / size) + 1) * size);
    yield { offset: from, bytes: bytes!.subarray(from - offset, to - offset), at: 0, call: 0, isSynced: false };
    from = to;
  }
}

function inPieces(contents: Buffer, change: Change, size: number, share: number, random: Random): Buffer {
  // The file's new length may be there before its bytes are: they are zeros then.
  const isLonger = random.below(1000) < share;
  const end = change.offset + change.bytes!.length;
  let result = isLonger && end > contents.length ? lengthened(contents, end) : contents;
  for (const piece of pieces(change, size)) if (random.below(1000) < share) result = applied(result, piece);
  return result;
}

function tornBlocks(contents: Buffer, change: Change, share: number, random: Random): Buffer {
  let result = contents;
  for (const piece of pieces(change, BLOCK_BYTES)) {
    const chance = random.below(1000);
    if (chance < GARBAGE) {
      const offset = Math.floor(piece.offset / BLOCK_BYTES) * BLOCK_BYTES;
      result = lengthened(result, piece.offset + piece.bytes!.length);
      result.set(random.bytes(Math.min(BLOCK_BYTES, result.length - offset)), offset);
    } else if (chance < GARBAGE + MIXED) result = inPieces(result, piece, SECTOR_BYTES, 500, random);
    else if (random.below(1000) < share) result = applied(result, piece);
  }
  return result;
}

function lengthened(contents: Buffer, length: number): Buffer {
  return length <= contents.length ? contents : applied(contents, { ...NO_CHANGE, offset: length });
}
const NO_CHANGE: Change = { offset: 0, bytes: undefined, at: 0, call: 0, isSynced: false };
