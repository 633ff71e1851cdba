/**
 * The 32-byte ack, read and written in place, like the claim.
 *
 * The node writes acks from u32 halves (`writeAck`); clients and tools read objects (`decodeAck`).
 */
import {
  claimChannelHigh,
  claimChannelLow,
  claimSequence,
  claimTimestampHigh,
  claimTimestampLow,
  expectU64,
} from './claim.ts';
import {
  ACK_AMOUNT,
  ACK_BYTES,
  ACK_CHANNEL_ID,
  ACK_RESERVED,
  ACK_SEQUENCE,
  ACK_STATUS,
  ACK_TIMESTAMP,
  FRAME_ACK,
} from './layout.ts';

/** An ack as an object; what `amount` (drops) means depends on `status`, see protocol/README.md. */
export interface Ack {
  status: number;
  sequence: number;
  channelId: bigint;
  amount: bigint;
  /** Echo of the claim's timestamp, milliseconds since 1970 on the payer's clock. */
  timestamp: number;
}

/** Writes an ack at `offset` without allocation. All arguments but `view` and `offset` are u8 or u32 values. */
export function writeAck(
  view: DataView,
  offset: number,
  status: number,
  sequence: number,
  channelHigh: number,
  channelLow: number,
  amountHigh: number,
  amountLow: number,
  timestampHigh: number,
  timestampLow: number,
): void {
  view.setUint8(offset, FRAME_ACK);
  view.setUint8(offset + ACK_STATUS, status);
  view.setUint16(offset + ACK_RESERVED, 0);
  view.setUint32(offset + ACK_SEQUENCE, sequence);
  view.setUint32(offset + ACK_CHANNEL_ID, channelHigh);
  view.setUint32(offset + ACK_CHANNEL_ID + 4, channelLow);
  view.setUint32(offset + ACK_AMOUNT, amountHigh);
  view.setUint32(offset + ACK_AMOUNT + 4, amountLow);
  view.setUint32(offset + ACK_TIMESTAMP, timestampHigh);
  view.setUint32(offset + ACK_TIMESTAMP + 4, timestampLow);
}

/** Writes the ack of the claim at `claimOffset` of `claims`: its sequence, channel and timestamp are echoed bit for bit. */
export function writeAckOf(
  view: DataView,
  offset: number,
  status: number,
  amountHigh: number,
  amountLow: number,
  claims: DataView,
  claimOffset: number,
): void {
  writeAck(
    view,
    offset,
    status,
    claimSequence(claims, claimOffset),
    claimChannelHigh(claims, claimOffset),
    claimChannelLow(claims, claimOffset),
    amountHigh,
    amountLow,
    claimTimestampHigh(claims, claimOffset),
    claimTimestampLow(claims, claimOffset),
  );
}

/** Writes a whole ack at `offset`. Throws RangeError where a field does not fit its wire size. */
export function encodeAck(view: DataView, offset: number, ack: Ack): void {
  if (ack.status !== (ack.status & 0xff)) throw new RangeError(`status: expected a u8, got ${ack.status}`);
  if (ack.sequence !== ack.sequence >>> 0) throw new RangeError(`sequence: expected a u32, got ${ack.sequence}`);
  expectU64(ack.channelId, 'channelId');
  expectU64(ack.amount, 'amount');
  view.setUint8(offset, FRAME_ACK);
  view.setUint8(offset + ACK_STATUS, ack.status);
  view.setUint16(offset + ACK_RESERVED, 0);
  view.setUint32(offset + ACK_SEQUENCE, ack.sequence);
  view.setBigUint64(offset + ACK_CHANNEL_ID, ack.channelId);
  view.setBigUint64(offset + ACK_AMOUNT, ack.amount);
  view.setFloat64(offset + ACK_TIMESTAMP, ack.timestamp);
}

/** Reads a whole ack at `offset`. The caller checks that ACK_BYTES bytes lie there. */
export function decodeAck(view: DataView, offset: number): Ack {
  const type = view.getUint8(offset);
  if (type !== FRAME_ACK) throw new RangeError(`frame type: expected 0x02 (ack), got 0x${type.toString(16)}`);
  return {
    status: view.getUint8(offset + ACK_STATUS),
    sequence: view.getUint32(offset + ACK_SEQUENCE),
    channelId: view.getBigUint64(offset + ACK_CHANNEL_ID),
    amount: view.getBigUint64(offset + ACK_AMOUNT),
    timestamp: view.getFloat64(offset + ACK_TIMESTAMP),
  };
}

/** An ack as its 32 wire bytes. */
export function ackBytes(ack: Ack): Uint8Array {
  const bytes = new Uint8Array(ACK_BYTES);
  encodeAck(new DataView(bytes.buffer), 0, ack);
  return bytes;
}
