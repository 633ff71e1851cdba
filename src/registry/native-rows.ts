/**
 * Whole leaf pages of the registry in C (native/rows.c), where there is an addon: millions of rows are checked, and put into the
 * channel table, in the time that TypeScript takes for hundreds of thousands.
 *
 * Main thread, at start. The twins in TypeScript (lmdb-walk.ts, channel/row.ts, ChannelTable.insertRow) are the specification:
 * C takes only what is sound and plain, and leaves the rest, with the words for what is wrong, to them.
 */
import type { ChannelTable } from '../channel/table.ts';
import { loadAddon } from '../native/addon.ts';

interface RowsAddon {
  rowsCheck(page: Uint8Array, number: number, transaction: number, next: number): number;
  rowsLoad(arena: Uint8Array, layout: Uint32Array, page: Uint8Array, first: number, counts: Uint32Array): number;
}

/** See `rowsCheck` there: the rows of a leaf page that has nothing but the rows from position `next` on, or 0. */
export type LeafCheck = (page: Uint8Array, number: number, transaction: number, next: number) => number;

/** Undefined without an addon, or with CLAIMWIRE_ROWS=portable, for tests of the twins. */
function addon(): RowsAddon | undefined {
  if (process.env.CLAIMWIRE_ROWS === 'portable') return undefined;
  try {
    const exports = loadAddon<Partial<RowsAddon>>();
    return exports.rowsCheck === undefined ? undefined : (exports as RowsAddon);
  } catch {
    return undefined;
  }
}

export function nativeLeafCheck(): LeafCheck | undefined {
  const rows = addon();
  return rows && ((page, number, transaction, next) => rows.rowsCheck(page, number, transaction, next));
}

/** Puts the plain rows of a page, which `LeafCheck` has counted, into the table from row `first` of it on. */
export type LeafLoad = (page: Uint8Array, first: number) => number;

export function nativeLeafLoad(table: ChannelTable): LeafLoad | undefined {
  const rows = addon();
  if (rows === undefined) return undefined;
  return (page, first) =>
    table.insertBy(({ bytes, layout }, counts) => rows.rowsLoad(bytes, layout, page, first, counts));
}
