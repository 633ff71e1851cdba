/**
 * What the disk knows of charges: two side tables. Pure functions, any thread.
 *
 * `spent` has an entry for each ledger channel that was ever charged, by its 32-byte id: the drops spent, u64. A channel's
 * handle may be given to another channel, and a removed channel may come back under another handle; what was bought with
 * a ledger channel's claims stays bought. `charges` is a log of the latest charges that had a key, by their number (u64,
 * big-endian, so that new ones are appended): a fingerprint of channel and key, the drops, and what was spent then.
 */
import { createHash } from 'node:crypto';

export const SPENT_TABLE = 'spent';
export const LOG_TABLE = 'charges';
export const FINGERPRINT_BYTES = 16;

export interface LoggedCharge {
  fingerprint: Buffer;
  /** Negative for a refund. */
  drops: bigint;
  spent: bigint;
}

export function encodeSpent(spent: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(spent);
  return bytes;
}

export function decodeSpent(bytes: Uint8Array | undefined): bigint {
  return bytes === undefined ? 0n : new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0);
}

export function logKey(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(number));
  return bytes;
}

export function logNumber(key: Uint8Array): number {
  return Number(new DataView(key.buffer, key.byteOffset).getBigUint64(0));
}

export function encodeCharge({ fingerprint, drops, spent }: LoggedCharge): Buffer {
  const bytes = Buffer.alloc(FINGERPRINT_BYTES + 16);
  bytes.set(fingerprint);
  bytes.writeBigInt64BE(drops, FINGERPRINT_BYTES);
  bytes.writeBigUInt64BE(spent, FINGERPRINT_BYTES + 8);
  return bytes;
}

export function decodeCharge(bytes: Uint8Array): LoggedCharge {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    fingerprint: buffer.subarray(0, FINGERPRINT_BYTES),
    drops: buffer.readBigInt64BE(FINGERPRINT_BYTES),
    spent: buffer.readBigUInt64BE(FINGERPRINT_BYTES + 8),
  };
}

/** 128 bits of SHA-256: nobody finds two keys with the same. */
export function fingerprintOf(ledgerChannelId: Uint8Array, key: string): Buffer {
  return createHash('sha256').update(ledgerChannelId).update(key).digest().subarray(0, FINGERPRINT_BYTES);
}
