/**
 * The 93-byte claim, read and written in place: `(view, offset)` in, numbers out, nothing copied.
 *
 * The claim path handles a u64 as two u32 halves, because a BigInt allocates; the BigInt forms below are for tools,
 * clients and tests. The caller checks that CLAIM_BYTES bytes lie at `offset`.
 */
import {
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_SIGNATURE,
  CLAIM_TIMESTAMP,
  FRAME_CLAIM,
  SIGNATURE_BYTES,
  U64_MAX,
} from './layout.ts';

/** A claim as an object. `amount` is cumulative, in drops; `timestamp` in milliseconds since 1970. */
export interface Claim {
  channelId: bigint;
  sequence: number;
  amount: bigint;
  /** 64 bytes, r‖s (or Ed25519). */
  signature: Uint8Array;
  timestamp: number;
}

/** Upper half of the channel handle. */
export function claimChannelHigh(view: DataView, offset: number): number {
  return view.getUint32(offset + CLAIM_CHANNEL_ID);
}
/** Lower half of the channel handle. */
export function claimChannelLow(view: DataView, offset: number): number {
  return view.getUint32(offset + CLAIM_CHANNEL_ID + 4);
}
/** The sequence, a u32. */
export function claimSequence(view: DataView, offset: number): number {
  return view.getUint32(offset + CLAIM_SEQUENCE);
}
/** Upper half of the cumulative amount. */
export function claimAmountHigh(view: DataView, offset: number): number {
  return view.getUint32(offset + CLAIM_AMOUNT);
}
/** Lower half of the cumulative amount. */
export function claimAmountLow(view: DataView, offset: number): number {
  return view.getUint32(offset + CLAIM_AMOUNT + 4);
}
/** The upper half of the timestamp's bits. An ack copies them as two u32, since an f64 may change the bits of a NaN. */
export function claimTimestampHigh(view: DataView, offset: number): number {
  return view.getUint32(offset + CLAIM_TIMESTAMP);
}
/** The lower half of the timestamp's bits. */
export function claimTimestampLow(view: DataView, offset: number): number {
  return view.getUint32(offset + CLAIM_TIMESTAMP + 4);
}

/** copyClaim moves 5 × 16 bytes in a loop, then 12 and 1. */
const COPY_STRIDE = 16;
const COPY_LOOP_END = 80;

/**
 * Copies a claim's 93 bytes. It is four times as fast as `set(subarray)`, which makes a view each time. Doubles would be
 * faster still, but the copy of a NaN may have other bits.
 */
export function copyClaim(source: DataView, sourceOffset: number, target: DataView, targetOffset: number): void {
  let from = sourceOffset;
  let to = targetOffset;
  for (const end = sourceOffset + COPY_LOOP_END; from < end; from += COPY_STRIDE, to += COPY_STRIDE) {
    target.setInt32(to, source.getInt32(from, true), true);
    target.setInt32(to + 4, source.getInt32(from + 4, true), true);
    target.setInt32(to + 8, source.getInt32(from + 8, true), true);
    target.setInt32(to + 12, source.getInt32(from + 12, true), true);
  }
  target.setInt32(to, source.getInt32(from, true), true);
  target.setInt32(to + 4, source.getInt32(from + 4, true), true);
  target.setInt32(to + 8, source.getInt32(from + 8, true), true);
  target.setUint8(to + 12, source.getUint8(from + 12));
}

/** Writes a whole claim at `offset`. Throws RangeError where a field does not fit its wire size. */
export function encodeClaim(view: DataView, offset: number, claim: Claim): void {
  expectU64(claim.channelId, 'channelId');
  expectU64(claim.amount, 'amount');
  if (claim.sequence !== claim.sequence >>> 0) throw new RangeError(`sequence: expected a u32, got ${claim.sequence}`);
  if (claim.signature.length !== SIGNATURE_BYTES)
    throw new RangeError(`signature: expected ${SIGNATURE_BYTES} bytes, got ${claim.signature.length}`);
  view.setUint8(offset, FRAME_CLAIM);
  view.setBigUint64(offset + CLAIM_CHANNEL_ID, claim.channelId);
  view.setUint32(offset + CLAIM_SEQUENCE, claim.sequence);
  view.setBigUint64(offset + CLAIM_AMOUNT, claim.amount);
  const start = view.byteOffset + offset + CLAIM_SIGNATURE;
  new Uint8Array(view.buffer, start, SIGNATURE_BYTES).set(claim.signature);
  view.setFloat64(offset + CLAIM_TIMESTAMP, claim.timestamp);
}

/** Reads a whole claim at `offset`; the signature is a copy. For tools and tests, not the claim path. */
export function decodeClaim(view: DataView, offset: number): Claim {
  const type = view.getUint8(offset);
  if (type !== FRAME_CLAIM) throw new RangeError(`frame type: expected 0x01 (claim), got 0x${type.toString(16)}`);
  const start = view.byteOffset + offset + CLAIM_SIGNATURE;
  return {
    channelId: view.getBigUint64(offset + CLAIM_CHANNEL_ID),
    sequence: view.getUint32(offset + CLAIM_SEQUENCE),
    amount: view.getBigUint64(offset + CLAIM_AMOUNT),
    signature: new Uint8Array(view.buffer, start, SIGNATURE_BYTES).slice(),
    timestamp: view.getFloat64(offset + CLAIM_TIMESTAMP),
  };
}

/** A claim as its 93 wire bytes. */
export function claimBytes(claim: Claim): Uint8Array {
  const bytes = new Uint8Array(CLAIM_BYTES);
  encodeClaim(new DataView(bytes.buffer), 0, claim);
  return bytes;
}

/** Throws RangeError, naming the field, for a bigint that is no u64. */
export function expectU64(value: bigint, name: string): void {
  if (value < 0n || value > U64_MAX) throw new RangeError(`${name}: expected 0..2^64-1, got ${value}`);
}
