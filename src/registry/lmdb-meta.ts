/**
 * The two meta pages of an LMDB data file, which say what snapshot is the newest and where its trees begin (lmdb-walk.ts).
 *
 * Main thread; reads with pread and never writes.
 */
import { readSync } from 'node:fs';

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
export const PAGE_HEADER_BYTES = 24;
const PAGE_META = 0x08;
const FREE_TREE_FLAGS = 0x08; // integer keys
/** The root of an empty tree. */
export const NO_PAGE = 0xffff_ffff_ffff_ffffn;
/** 10 million rows make a tree of depth 5. The limit ends a loop of pages before it is found by a page used twice. */
const DEPTH_MAX = 16;
const META_BYTES = 168;
/** The page sizes of the supported systems. */
const PAGE_SIZES = [4096, 16_384, 65_536];
/** Larger than any map this program asks for. With a flipped high bit mmap would fail later. */
const MAP_BYTES_MAX = 2n ** 44n;

/** A fault in the file; the message begins with the page. */
export class LmdbFault extends Error {
  override readonly name = 'LmdbFault';
}

export interface Tree {
  depth: number;
  branchPages: bigint;
  leafPages: bigint;
  overflowPages: bigint;
  entries: bigint;
  root: bigint;
  flags: number;
}

export interface LmdbMeta {
  /** Bytes in a page. */
  pageBytes: number;
  /** Number of the newest committed transaction. */
  transaction: bigint;
  lastPage: number;
  free: Tree;
  main: Tree;
}

export function fault(page: number | bigint, expected: string, actual: unknown): never {
  throw new LmdbFault(`page ${page}: expected ${expected}, got ${String(actual)}`);
}

/** Reads `bytes.length` bytes at `position`; a short file is a fault of `page`. */
export function readAt(fd: number, bytes: Uint8Array, position: number, page: number): DataView {
  const count = readSync(fd, bytes, 0, bytes.length, position);
  if (count !== bytes.length)
    fault(page, `${bytes.length} bytes at byte ${position}`, `${count} (the file is cut short)`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function readTree(view: DataView, offset: number): Tree {
  return {
    flags: view.getUint16(offset + 4, true),
    depth: view.getUint16(offset + 6, true),
    branchPages: view.getBigUint64(offset + 8, true),
    leafPages: view.getBigUint64(offset + 16, true),
    overflowPages: view.getBigUint64(offset + 24, true),
    entries: view.getBigUint64(offset + 32, true),
    root: view.getBigUint64(offset + 40, true),
  };
}

/** Whether the page does not even begin like a meta page, which no single flipped bit and no unfinished commit explains. */
function isGarbage(fd: number, index: number, pageBytes: number): boolean {
  const view = readAt(fd, new Uint8Array(META_BYTES), index * pageBytes, index);
  const [magic, version, flags] = [view.getUint32(24, true), view.getUint32(28, true), view.getUint16(18, true)];
  return magic !== MAGIC && version !== DATA_VERSION && flags !== PAGE_META;
}

/** A meta page that is garbage, and the other one if it is sound; undefined for any other pair. */
export function garbageMeta(fd: number): { index: 0 | 1; sound: LmdbMeta } | undefined {
  for (const pageBytes of PAGE_SIZES)
    for (const index of [0, 1] as const) {
      if (!isGarbage(fd, index, pageBytes)) continue;
      const sound = soundMeta(fd, 1 - index, pageBytes);
      if (sound !== undefined) return { index, sound };
    }
  return undefined;
}

function soundMeta(fd: number, index: number, pageBytes: number): LmdbMeta | undefined {
  try {
    const meta = readMeta(fd, index, pageBytes);
    return meta.pageBytes === pageBytes && (meta.transaction & 1n) === BigInt(index) ? meta : undefined;
  } catch (error) {
    if (error instanceof LmdbFault) return undefined;
    throw error;
  }
}

/**
 * Makes the meta page `index` from the sound one: one transaction older, with empty trees, since nobody knows where they
 * were. LMDB reads the newer page, and overwrites the older one with its next commit.
 */
export function olderMetaPage(fd: number, index: 0 | 1, { pageBytes, transaction }: LmdbMeta): Uint8Array {
  const page = new Uint8Array(pageBytes);
  const view = readAt(fd, page, (1 - index) * pageBytes, 1 - index);
  view.setBigUint64(0, BigInt(index), true);
  for (const tree of [48, 96]) {
    view.setUint16(tree + 6, 0, true);
    for (let count = tree + 8; count < tree + 40; count += 8) view.setBigUint64(count, 0n, true);
    view.setBigUint64(tree + 40, NO_PAGE, true);
  }
  view.setBigUint64(152, transaction - 1n, true);
  return page;
}

function readMeta(fd: number, index: number, pageBytes: number): LmdbMeta {
  const view = readAt(fd, new Uint8Array(META_BYTES), index * pageBytes, index);
  const magic = view.getUint32(24, true);
  if (magic !== MAGIC) fault(index, `LMDB magic ${MAGIC.toString(16)}`, magic.toString(16));
  const version = view.getUint32(28, true);
  if (version !== DATA_VERSION) fault(index, `data version ${DATA_VERSION}`, version);
  if (view.getBigUint64(0, true) !== BigInt(index)) fault(index, `page number ${index}`, view.getBigUint64(0, true));
  if (view.getUint16(18, true) !== PAGE_META) fault(index, 'a meta page', `flags ${view.getUint16(18, true)}`);
  const size = view.getUint32(48, true);
  if (size < 512 || size > 65_536 || (size & (size - 1)) !== 0) fault(index, 'a page size of 512..65536', size);
  const mapBytes = view.getBigUint64(40, true);
  if (mapBytes > MAP_BYTES_MAX) fault(index, `a map of at most ${MAP_BYTES_MAX} bytes`, mapBytes);
  const lastPage = view.getBigUint64(144, true);
  if (lastPage < 1n || lastPage * BigInt(size) >= MAP_BYTES_MAX) fault(index, 'a last page inside the map', lastPage);
  const free = readTree(view, 48);
  const main = readTree(view, 96);
  if (free.flags !== FREE_TREE_FLAGS) fault(index, `free-list flags ${FREE_TREE_FLAGS}`, free.flags);
  if (main.flags !== 0 || view.getUint32(96, true) !== 0) fault(index, 'plain main tree flags', main.flags);
  for (const tree of [free, main]) {
    if (tree.depth > DEPTH_MAX) fault(index, `a tree depth of at most ${DEPTH_MAX}`, tree.depth);
    if ((tree.root === NO_PAGE) !== (tree.depth === 0)) fault(index, 'a root where there is depth', tree.depth);
  }
  return { pageBytes: size, transaction: view.getBigUint64(152, true), lastPage: Number(lastPage), free, main };
}

/**
 * Reads both meta pages and returns the newer one. LMDB writes them in turn, so the two are one transaction apart; in any
 * other pair it is not known which snapshot is the newest.
 */
export function readLmdbMeta(fd: number): LmdbMeta {
  const first = readMeta(fd, 0, 0);
  const second = readMeta(fd, 1, first.pageBytes);
  if (second.pageBytes !== first.pageBytes) fault(1, `page size ${first.pageBytes}`, second.pageBytes);
  const [newer, older] = second.transaction > first.transaction ? [second, first] : [first, second];
  const slot = newer === first ? 0n : 1n;
  const fresh = newer.transaction === 0n && older.transaction === 0n;
  if (!fresh && (newer.transaction - older.transaction !== 1n || (newer.transaction & 1n) !== slot))
    fault(Number(slot), 'meta pages one transaction apart', `${first.transaction} and ${second.transaction}`);
  checkRoots(fd, older);
  return newer;
}

/** Checks that the older snapshot's roots are no newer than it: else it is the newest one, with a damaged number. */
function checkRoots(fd: number, meta: LmdbMeta): void {
  for (const { root } of [meta.free, meta.main]) {
    if (root === NO_PAGE) continue;
    if (root > BigInt(meta.lastPage)) fault(root, `a root up to page ${meta.lastPage}`, root);
    const page = Number(root);
    const view = readAt(fd, new Uint8Array(PAGE_HEADER_BYTES), page * meta.pageBytes, page);
    const transaction = view.getBigUint64(8, true);
    if (view.getBigUint64(0, true) !== root) fault(root, 'its own page number', view.getBigUint64(0, true));
    if (transaction > meta.transaction) fault(root, `a transaction up to ${meta.transaction}`, transaction);
  }
}
