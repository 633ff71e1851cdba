/**
 * TCP framing, `u32 length ‖ payload`, taken apart as chunks arrive; one parser per connection, owned by its reader.
 *
 * A payload that lies whole inside one chunk is handed out where it lies. Only one that spans chunks is gathered, in a
 * buffer the parser owns and made once, so a connection costs one buffer however its peer cuts the stream.
 */
import { STREAM_HEADER_BYTES, STREAM_PAYLOAD_BYTES_MAX } from './layout.ts';

/** What is wrong with a stream. After anything but STREAM_SOUND the reader closes the connection and counts why. */
export const STREAM_SOUND = 0;
export const STREAM_LENGTH_ZERO = 1;
export const STREAM_LENGTH_OVER_MAX = 2;
export type StreamFault = typeof STREAM_SOUND | typeof STREAM_LENGTH_ZERO | typeof STREAM_LENGTH_OVER_MAX;

/** Takes payloads in order; `bytes[start, end)` is valid only during the call. Must not throw. */
export interface PayloadSink {
  payload(bytes: Uint8Array, start: number, end: number): void;
}

export class StreamParser {
  readonly #gathered = new Uint8Array(STREAM_PAYLOAD_BYTES_MAX);
  #gatheredBytes = 0;
  #headerBytes = 0;
  #payloadBytes = 0;
  #fault: StreamFault = STREAM_SOUND;

  /** True between messages: a connection that ends elsewhere was cut off. */
  get atBoundary(): boolean {
    return this.#headerBytes === 0;
  }

  /** Takes the next bytes of the stream. A fault is final: later bytes are not looked at. Never throws. */
  push(chunk: Uint8Array, sink: PayloadSink): StreamFault {
    let offset = 0;
    while (offset < chunk.length && this.#fault === STREAM_SOUND) {
      if (this.#headerBytes < STREAM_HEADER_BYTES) this.#headerByte(chunk[offset++]!);
      else offset = this.#payload(chunk, offset, sink);
    }
    return this.#fault;
  }

  #headerByte(byte: number): void {
    // By multiplication: a shift would make lengths of 2^31 and more negative.
    this.#payloadBytes = this.#payloadBytes * 256 + byte;
    this.#headerBytes += 1;
    if (this.#headerBytes < STREAM_HEADER_BYTES) return;
    if (this.#payloadBytes === 0) this.#fault = STREAM_LENGTH_ZERO;
    else if (this.#payloadBytes > STREAM_PAYLOAD_BYTES_MAX) this.#fault = STREAM_LENGTH_OVER_MAX;
  }

  /** Takes payload bytes from `offset` on, hands the payload out when whole, and says where it stopped reading. */
  #payload(chunk: Uint8Array, offset: number, sink: PayloadSink): number {
    const payloadBytes = this.#payloadBytes;
    const missing = payloadBytes - this.#gatheredBytes;
    const end = Math.min(offset + missing, chunk.length);
    const whole = end - offset === missing;
    const inPlace = whole && this.#gatheredBytes === 0;
    if (!inPlace) {
      this.#gathered.set(chunk.subarray(offset, end), this.#gatheredBytes);
      this.#gatheredBytes += end - offset;
    }
    if (whole) {
      this.#gatheredBytes = 0;
      this.#headerBytes = 0;
      this.#payloadBytes = 0;
      if (inPlace) sink.payload(chunk, offset, end);
      else sink.payload(this.#gathered, 0, payloadBytes);
    }
    return end;
  }
}

/** Writes the header of a payload of `payloadBytes` bytes (1..65,536) at `offset`. Throws RangeError outside that. */
export function encodeStreamHeader(view: DataView, offset: number, payloadBytes: number): void {
  if (!Number.isInteger(payloadBytes) || payloadBytes < 1 || payloadBytes > STREAM_PAYLOAD_BYTES_MAX)
    throw new RangeError(`payload bytes: expected 1..${STREAM_PAYLOAD_BYTES_MAX}, got ${payloadBytes}`);
  view.setUint32(offset, payloadBytes);
}
