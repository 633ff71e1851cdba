/**
 * Control messages as bytes: 0x80, then MessagePack by msgpackr. Any thread; only the returned buffers are allocated here.
 *
 * msgpackr is not made for hostile bytes: five bytes can announce an array of 2^25 elements, which it allocates before it
 * misses them, and two of its extensions define record readers and errors. So it decodes only what `plainEnd` has checked:
 * nil, booleans, numbers, strings, bytes, arrays and maps, complete, a few levels deep, and without extensions.
 */
import { Packr } from 'msgpackr/pack';
import { Unpackr } from 'msgpackr/unpack';
import { CONTROL_REQUEST_BYTES_MAX, type ControlReply, type ControlRequest, isU32 } from './control.ts';
import { PAYLOAD_CONTROL, STREAM_PAYLOAD_BYTES_MAX } from './layout.ts';

const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true });
/** An integer in 64 bits decodes as a number where a double holds it exactly. */
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'auto' });

/** A request's channel is at the second level, and a node's counters within their groups are at the fourth. */
const DEPTH_MAX = 6;

/** Encodes the message as a stream payload, without the length header. Throws RangeError if it does not fit one. */
export function encodeControl(message: ControlRequest | ControlReply): Uint8Array {
  const packed = packr.pack(message);
  if (packed.length >= STREAM_PAYLOAD_BYTES_MAX)
    throw new RangeError(`control message: expected under ${STREAM_PAYLOAD_BYTES_MAX} bytes, got ${packed.length}`);
  const payload = new Uint8Array(1 + packed.length);
  payload[0] = PAYLOAD_CONTROL;
  payload.set(packed, 1);
  return payload;
}

/** Decodes `bytes[start, end)`, a control payload after its first byte; undefined if it is not plain. Never throws. */
export function decodeControl(bytes: Uint8Array, start: number, end: number): unknown {
  if (plainEnd(bytes, start, end) !== end) return undefined;
  try {
    return unpackr.unpack(bytes.subarray(start, end));
  } catch {
    return undefined;
  }
}

/** Twice as many fields as any request has; looking at them costs a few microseconds at most. */
const FIELDS_READ_MAX = 8;

/**
 * The `id` of a message that is refused whole, so that its sender learns of it. It is looked for among the map's first
 * fields, as far as they are plain and within the size of a request. 0 if there is none. Never throws.
 */
export function readControlId(bytes: Uint8Array, start: number, end: number): number {
  const last = Math.min(end, start + CONTROL_REQUEST_BYTES_MAX);
  const token = bytes[start];
  // The header of a map: 16 fields fit its first byte, else a length of 16 or 32 bits follows.
  const isShort = token !== undefined && token >= 0x80 && token < 0x90;
  if (start >= last || !(isShort || token === 0xde || token === 0xdf)) return 0;
  let offset = start + (isShort ? 1 : token === 0xde ? 3 : 5);
  for (let field = 0; field < FIELDS_READ_MAX && offset < last; field++) {
    const valueAt = plainEnd(bytes, offset, last);
    const next = plainEnd(bytes, valueAt, last);
    if (next > last) return 0;
    if (decodeControl(bytes, offset, valueAt) === 'id') {
      const id = decodeControl(bytes, valueAt, next);
      return isU32(id) ? id : 0;
    }
    offset = next;
  }
  return 0;
}

/** How many bytes follow the header of each value of fixed length: 0xca (float 32) to 0xd3 (int 64). */
const FIXED_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8];

/**
 * Where the plain value at `start` ends; a number above `end` if there is none, or only a part of one.
 * https://github.com/msgpack/msgpack/blob/master/spec.md
 */
function plainEnd(bytes: Uint8Array, start: number, end: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const none = end + 1;
  /** How many values are still to come, by level. */
  const open = [1];
  let offset = start;
  /** Reads a length of `size` bytes; the result is larger than what is left if the bytes are cut off. */
  const length = (size: number): number => {
    offset += size;
    if (offset > end) return none;
    if (size === 1) return bytes[offset - 1]!;
    return size === 2 ? view.getUint16(offset - 2) : view.getUint32(offset - 4);
  };
  for (;;) {
    while (open.at(-1) === 0) open.pop();
    if (open.length === 0) return offset;
    open[open.length - 1]! -= 1;
    if (offset >= end) return none;
    const token = bytes[offset++]!;
    let values = 0;
    let skipped = 0;
    if (token < 0x80 || token >= 0xe0 || token === 0xc0 || token === 0xc2 || token === 0xc3) continue;
    if (token < 0x90) values = 2 * (token & 0x0f);
    else if (token < 0xa0) values = token & 0x0f;
    else if (token < 0xc0) skipped = token & 0x1f;
    else if (token >= 0xca && token <= 0xd3) skipped = FIXED_BYTES[token - 0xca]!;
    else if (token >= 0xc4 && token <= 0xc6) skipped = length(1 << (token - 0xc4));
    else if (token >= 0xd9 && token <= 0xdb) skipped = length(1 << (token - 0xd9));
    else if (token === 0xdc || token === 0xdd) values = length(2 << (token - 0xdc));
    else if (token === 0xde || token === 0xdf) values = 2 * length(2 << (token - 0xde));
    else return none;
    offset += skipped;
    // Announced values that are missing need no rule of their own, since the walk then runs out of bytes.
    if (offset > end) return none;
    if (values > 0 && open.push(values) > DEPTH_MAX) return none;
  }
}
