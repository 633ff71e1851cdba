/**
 * How the side tables lie in their LMDB file, and the check of that file before LMDB trusts it.
 *
 * Main thread; never writes. All tables share one tree: an entry's key is the length of its table's name, the name, and the
 * key in the table. A value has its CRC-32 before it, taken over the whole key and the value, since LMDB checks no data.
 */
import { existsSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { assert } from '../errors.ts';
import { decodeRecord, walkFile } from './check.ts';
import { LmdbFault, type LmdbMeta } from './lmdb-meta.ts';
import { walkLmdb } from './lmdb-walk.ts';
import { SIDE_LIMITS } from './side-tables.ts';

const CRC_BYTES = 4;
export const SIDE_FORMAT = 1;
/** No table has a name of no length, so this key is before all tables. */
export const FORMAT_KEY = Buffer.from('\0claimwire/side');
const TABLE_NAME = /^[a-z0-9-]+$/;

/** Prefixes made before. Names are constants of the code, so there are few. */
const prefixes = new Map<string, Buffer>();

/** The keys of a table begin with this. Not to be changed. */
export function tablePrefix(table: string): Buffer {
  const known = prefixes.get(table);
  if (known !== undefined) return known;
  assert(
    TABLE_NAME.test(table) && table.length <= SIDE_LIMITS.tableNameMax,
    `a side table's name is 1 to ${SIDE_LIMITS.tableNameMax} of a-z, 0-9 and "-", got ${JSON.stringify(table)}`,
  );
  const prefix = Buffer.concat([Buffer.of(table.length), Buffer.from(table, 'latin1')]);
  prefixes.set(table, prefix);
  return prefix;
}

export function entryKey(table: string, key: Uint8Array): Buffer {
  const { keyBytesMax } = SIDE_LIMITS;
  assert(key.length > 0 && key.length <= keyBytesMax, `a side key has 1 to ${keyBytesMax} bytes, got ${key.length}`);
  // Not Buffer.concat, which costs a microsecond: a service's charges make tens of thousands of keys a second.
  const prefix = tablePrefix(table);
  const whole = Buffer.allocUnsafe(prefix.length + key.length);
  whole.set(prefix);
  whole.set(key, prefix.length);
  return whole;
}

/** A value as it is stored: its checksum, then its bytes. */
export function sealed(key: Uint8Array, value: Uint8Array): Buffer {
  const { valueBytesMax } = SIDE_LIMITS;
  assert(value.length <= valueBytesMax, `a side value has up to ${valueBytesMax} bytes, got ${value.length}`);
  const bytes = Buffer.allocUnsafe(CRC_BYTES + value.length);
  bytes.writeUInt32LE(crc32(value, crc32(key)));
  bytes.set(value, CRC_BYTES);
  return bytes;
}

/** The value in stored bytes, as a view. */
export function unsealed(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(CRC_BYTES);
}

/**
 * Checks the whole file: each page, each entry's key and checksum, the free list. A folder that does not exist has no tables.
 * @throws ClaimwireError REGISTRY_CORRUPT saying where; DATA_LOCKED when another process writes to it meanwhile
 */
export function checkSideTables(directory: string): void {
  if (existsSync(directory)) walkFile(directory, walkSideEntries);
}

/** As `checkSideTables`, over one snapshot of an open file. Throws LmdbFault. */
export function walkSideEntries(fd: number, meta: LmdbMeta): void {
  let format: unknown;
  walkLmdb(fd, meta, (bytes, keyOffset, keyBytes, value) => {
    const key = bytes.subarray(keyOffset, keyOffset + keyBytes);
    if (FORMAT_KEY.equals(key)) {
      format = decodeRecord(value)?.format;
      return;
    }
    const fault = entryFault(key, value);
    if (fault !== undefined) throw new LmdbFault(`side entry ${Buffer.from(key).toString('hex')}: ${fault}`);
  });
  if (format !== SIDE_FORMAT) throw new LmdbFault(`side tables: expected format ${SIDE_FORMAT}, got ${String(format)}`);
}

function entryFault(key: Uint8Array, value: Uint8Array): string | undefined {
  const nameLength = key[0] ?? 0;
  const name = Buffer.from(key.subarray(1, 1 + nameLength)).toString('latin1');
  if (!TABLE_NAME.test(name) || name.length !== nameLength || key.length <= 1 + nameLength)
    return 'expected the name of a table and a key, got something else';
  if (value.length < CRC_BYTES) return `expected at least ${CRC_BYTES} bytes, got ${value.length}`;
  const stored = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
  const actual = crc32(unsealed(value), crc32(key));
  return stored === actual ? undefined : `expected checksum ${stored.toString(16)}, got ${actual.toString(16)}`;
}
