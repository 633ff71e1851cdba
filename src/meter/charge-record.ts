/**
 * What the disk knows of charges: two side tables. Pure functions, any thread.
 *
 * `spent` has an entry for each ledger channel that was ever charged, by its 32-byte id: the drops spent, u64. A channel's
 * handle may be given to another channel, and a removed channel may come back under another handle; what was bought with
 * a ledger channel's claims stays bought. `charge-log` has the latest charges that had a key, in the order in which they
 * were made, `ROW_CHARGES` to an entry: entries are by their number (u64, big-endian), and only the last one is not full. Where
 * nodes share a store there is such a log for each shard, and its number (u16, big-endian) comes first in the key.
 * A charge is a fingerprint of channel and key, and its drops (i64, negative for a refund).
 */
import { hash } from 'node:crypto';

export const SPENT_TABLE = 'spent';
export const LOG_TABLE = 'charge-log';
export const FINGERPRINT_BYTES = 16;
const CHARGE_BYTES = FINGERPRINT_BYTES + 8;
const ROW_NUMBER_BYTES = 8;
const SHARD_BYTES = 2;
/** With its checksum it fills one page of LMDB's file: an entry costs as much as any other, however few charges it has. */
export const ROW_CHARGES = 128;

export interface LoggedCharge {
  /** See `fingerprintOf`. */
  readonly name: string | undefined;
  readonly drops: bigint;
}

export function encodeSpent(spent: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(spent);
  return bytes;
}

export function decodeSpent(bytes: Uint8Array | undefined): bigint {
  return bytes === undefined ? 0n : new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
}

export function rowKey(row: number, shard: number | undefined): Buffer {
  const bytes = Buffer.allocUnsafe(shard === undefined ? ROW_NUMBER_BYTES : SHARD_BYTES + ROW_NUMBER_BYTES);
  if (shard !== undefined) bytes.writeUInt16BE(shard);
  bytes.writeBigUInt64BE(BigInt(row), bytes.length - ROW_NUMBER_BYTES);
  return bytes;
}

export function rowNumber(key: Uint8Array): number {
  return Number(new DataView(key.buffer, key.byteOffset).getBigUint64(key.length - ROW_NUMBER_BYTES));
}

/** The shard of whose log an entry is; undefined for the log of a node that has all. */
export function rowShard(key: Uint8Array): number | undefined {
  if (key.length === ROW_NUMBER_BYTES) return undefined;
  return new DataView(key.buffer, key.byteOffset).getUint16(0);
}

/** An entry of the log with the first `held` charges of `row`, and room for `count` more. */
export function extendedRow(row: Uint8Array, held: number, count: number): Buffer {
  const bytes = Buffer.allocUnsafe((held + count) * CHARGE_BYTES);
  bytes.set(row.subarray(0, held * CHARGE_BYTES));
  return bytes;
}

export function writeCharge(row: Buffer, index: number, { name, drops }: LoggedCharge): void {
  const offset = index * CHARGE_BYTES;
  row.write(name!, offset, FINGERPRINT_BYTES, 'latin1');
  row.writeBigInt64BE(drops, offset + FINGERPRINT_BYTES);
}

/** How many charges an entry of the log has. */
export function chargesIn(row: Uint8Array): number {
  return row.length / CHARGE_BYTES;
}

export function nameAt(row: Uint8Array, index: number): string {
  const offset = row.byteOffset + index * CHARGE_BYTES;
  return Buffer.from(row.buffer, offset, FINGERPRINT_BYTES).toString('latin1');
}

export function dropsAt(row: Uint8Array, index: number): bigint {
  return new DataView(row.buffer, row.byteOffset).getBigInt64(index * CHARGE_BYTES + FINGERPRINT_BYTES);
}

export const KEY_CHARACTERS_MAX = 64;
const LEDGER_ID_BYTES = 32;
/** A character of UTF-16 is at most 3 bytes in UTF-8. */
const hashed = Buffer.alloc(LEDGER_ID_BYTES + 3 * KEY_CHARACTERS_MAX);

/**
 * 128 bits of SHA-256 over channel and key, one character a byte: nobody finds two keys with the same. Strings, since they
 * are what sets and maps compare fast.
 */
export function fingerprintOf(ledgerChannelId: Uint8Array, key: string): string {
  hashed.set(ledgerChannelId);
  const end = LEDGER_ID_BYTES + hashed.write(key, LEDGER_ID_BYTES);
  return hash('sha256', hashed.subarray(0, end), 'binary').slice(0, FINGERPRINT_BYTES);
}
