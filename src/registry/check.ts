/**
 * Reads a registry's file without LMDB, and checks it.
 *
 * Main thread, at start and in tools; never writes. A row is a record with a 5-byte key, "r" and its position: channels
 * count from 0 in the order they were opened, without a gap. Keys of other lengths are those of named records.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ROW_BYTES, rowFault } from '../channel/row.ts';
import { ClaimwireError } from '../errors.ts';
import { LmdbFault, type LmdbMeta, readLmdbMeta } from './lmdb-meta.ts';
import { type LeafVisit, leafValue, type WholeLeaf, walkLmdb } from './lmdb-walk.ts';
import { nativeLeafCheck } from './native-rows.ts';

const ROW_KEY_BYTES = 5;
export const META_KEY = 'claimwire/meta';
export const OWNER_KEY = 'claimwire/owner';
/** A commit is half-written only for microseconds; a fault seen this many times is damage. */
const META_READS_MAX = 3;
const META_READ_WAIT_MS = 1;
const CRC_DIGITS = 8;

export function registryFile(directory: string): string {
  return join(directory, 'data.mdb');
}

/**
 * Checks the whole registry: each page, each row's checksum and key, the free list. A folder that does not exist is an
 * empty registry.
 * @returns the number of channels
 * @throws ClaimwireError REGISTRY_CORRUPT saying where; DATA_LOCKED when another process writes to it meanwhile
 */
export function checkRegistry(directory: string): number {
  return existsSync(directory)
    ? walkRegistry(
        directory,
        () => {},
        () => {},
      )
    : 0;
}

/** Takes all rows of a checked leaf page at once: `rowOfLeaf` finds them. */
export type VisitLeaf = (page: Uint8Array, rows: number) => void;

/**
 * Calls `visit` with every row by position from 0 (a view that is valid during the call), checking the whole file.
 * @param visitLeaf takes the rows of a whole page instead, where C has checked it
 * @returns the number of rows
 * @throws as `checkRegistry`
 */
export function walkRegistry(directory: string, visit: (row: Uint8Array) => void, visitLeaf?: VisitLeaf): number {
  return walkFile(directory, (fd, meta) => walkRows(fd, meta, visit, visitLeaf));
}

/**
 * Calls `walk` with the newest snapshot of a folder's file.
 * @throws as `checkRegistry`, for an LmdbFault of `walk`
 */
export function walkFile<T>(directory: string, walk: (fd: number, meta: LmdbMeta) => T): T {
  const file = registryFile(directory);
  const fd = openFile(file);
  let meta: LmdbMeta | undefined;
  try {
    meta = settledMeta(fd);
    return walk(fd, meta);
  } catch (error) {
    if (!(error instanceof LmdbFault)) throw error;
    // LMDB reuses a snapshot's pages only two commits later. If this snapshot is no longer the newest, another process is
    // writing, and the fault is no damage.
    if (meta !== undefined && wasWritten(fd, meta))
      throw new ClaimwireError(
        'DATA_LOCKED',
        `registry ${directory}: expected to be alone, got another process writing to it; stop that node first`,
        { directory },
      );
    const fault = error.message;
    const advice = 'nothing was changed; restore the folder from a backup';
    throw new ClaimwireError('REGISTRY_CORRUPT', `registry ${file}: ${fault}; ${advice}`, { file, fault });
  } finally {
    closeSync(fd);
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = `registry ${file}: expected a readable file, got ${code}`;
    if (code !== 'ENOENT') throw new ClaimwireError('CONFIG_INVALID', message, { file });
    throw new ClaimwireError('REGISTRY_CORRUPT', `registry ${file}: expected this file, got none; restore it`, {
      file,
    });
  }
}

function settledMeta(fd: number): LmdbMeta {
  for (let look = 1; ; look++) {
    try {
      return readLmdbMeta(fd);
    } catch (error) {
      if (look === META_READS_MAX) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, META_READ_WAIT_MS);
    }
  }
}

function wasWritten(fd: number, meta: LmdbMeta): boolean {
  try {
    return settledMeta(fd).transaction !== meta.transaction;
  } catch {
    return false;
  }
}

/** As `walkRegistry`, over one snapshot of an open file. Throws LmdbFault. */
export function walkRows(fd: number, meta: LmdbMeta, visit: (row: Uint8Array) => void, visitLeaf?: VisitLeaf): number {
  let rows = 0;
  let hasMeta = false;
  const check = visitLeaf && nativeLeafCheck();
  const wholeLeaf: WholeLeaf | undefined =
    check &&
    ((page, number, transaction) => {
      const count = check(page, number, transaction, rows);
      if (count > 0) visitLeaf!(page, count);
      rows += count;
      return count;
    });
  const entry: LeafVisit = (bytes, keyOffset, keyBytes, value) => {
    if (keyBytes === ROW_KEY_BYTES) {
      const position = positionAt(bytes, keyOffset);
      if (position !== rows) throw new LmdbFault(`row ${rows}: expected it before row ${position}, got none`);
      const fault = rowFault(value);
      if (fault !== undefined) throw new LmdbFault(`row ${position}: ${fault}`);
      visit(value);
      rows++;
      return;
    }
    const name = Buffer.from(bytes.subarray(keyOffset, keyOffset + keyBytes)).toString('latin1');
    if (name === META_KEY) hasMeta = true;
    const fault = recordFault(name, value);
    if (fault !== undefined) throw new LmdbFault(`record ${JSON.stringify(name)}: ${fault}`);
  };
  walkLmdb(fd, meta, entry, wholeLeaf);
  if (!hasMeta) throw new LmdbFault(`record ${META_KEY}: expected one, got none`);
  return rows;
}

/** Row `index` of a page that a VisitLeaf has. */
export function rowOfLeaf(page: Uint8Array, index: number): Uint8Array {
  return leafValue(page, index, ROW_KEY_BYTES, ROW_BYTES);
}

/** Why a named record is not sound, or undefined when it is. */
function recordFault(name: string, value: Uint8Array): string | undefined {
  if (name !== META_KEY && name !== OWNER_KEY) return 'expected a record of this version, got another';
  return decodeRecord(value) === undefined ? 'expected JSON with its checksum, got something else' : undefined;
}

/** A named record: 8 hex digits of CRC-32, since LMDB checks no data, then JSON. */
export function encodeRecord(value: object): Buffer {
  const text = JSON.stringify(value);
  return Buffer.from(crc32(text).toString(16).padStart(CRC_DIGITS, '0') + text);
}

/** The object in a named record, or undefined where the bytes are not such a record. */
export function decodeRecord(bytes: Uint8Array): Record<string, unknown> | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const body = buffer.subarray(CRC_DIGITS);
  if (buffer.toString('latin1', 0, CRC_DIGITS) !== crc32(body).toString(16).padStart(CRC_DIGITS, '0')) return undefined;
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Rows sort after the named records ("c…"), so that a new row is the last key of all and fills the last page. */
const ROW_KEY_PREFIX = 0x72;

export function rowKey(position: number): Buffer {
  const key = Buffer.allocUnsafe(ROW_KEY_BYTES);
  key[0] = ROW_KEY_PREFIX;
  key.writeUInt32BE(position, 1);
  return key;
}

function positionAt(bytes: Uint8Array, offset: number): number {
  if (bytes[offset] !== ROW_KEY_PREFIX)
    throw new LmdbFault(`row key: expected ${ROW_KEY_PREFIX}, got ${bytes[offset]}`);
  return new DataView(bytes.buffer, bytes.byteOffset + offset, ROW_KEY_BYTES).getUint32(1);
}
