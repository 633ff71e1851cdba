/**
 * A small JSON record with its own checksum: 8 hex digits of CRC-32, then the text. LMDB checks no data.
 */
import { crc32 } from 'node:zlib';

const CRC_DIGITS = 8;

export function encodeRecord(value: object): Buffer {
  const text = JSON.stringify(value);
  return Buffer.from(crc32(text).toString(16).padStart(CRC_DIGITS, '0') + text);
}

/** The object, or `undefined` where the bytes are not such a record. */
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
