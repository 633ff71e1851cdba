/**
 * TCP framing, `u32 length ‖ payload`, taken apart as chunks arrive; one parser per connection, owned by its reader.
 *
 * A payload that lies whole in one chunk is handed out in place. A payload that spans chunks is gathered in a buffer that
 * grows with the bytes received, not with the announced length. So an idle connection needs almost no memory, and a peer
 * cannot make the parser allocate more than a small multiple of what it sends.
 */
import { STREAM_HEADER_BYTES, STREAM_PAYLOAD_BYTES_MAX } from './layout.ts';

/** The faults of a stream. After any but STREAM_SOUND the reader closes the connection and counts the reason. */
export const STREAM_SOUND = 0;
/** A message without a payload. */
export const STREAM_LENGTH_ZERO = 1;
/** A message longer than STREAM_PAYLOAD_BYTES_MAX. */
export const STREAM_LENGTH_OVER_MAX = 2;
/** One of the STREAM constants for faults. */
export type StreamFault = typeof STREAM_SOUND | typeof STREAM_LENGTH_ZERO | typeof STREAM_LENGTH_OVER_MAX;

/** A parser keeps a buffer of one datagram's size between payloads. */
const GATHER_KEPT_BYTES = 2_048;
const NOTHING = new Uint8Array(0);

/**
 * Receives payloads in order. `bytes[start, end)` is valid only during the call, or after `stop` until the next push. The
 * sink must not throw.
 */
export interface PayloadSink {
  /** One whole payload. */
  payload(bytes: Uint8Array, start: number, end: number): void;
}

/** Splits one stream into payloads for a PayloadSink. */
export class StreamParser {
  #gathered: Uint8Array = NOTHING;
  #gatheredBytes = 0;
  #headerBytes = 0;
  #payloadBytes = 0;
  #fault: StreamFault = STREAM_SOUND;
  #isStopped = false;
  #consumed = 0;

  /** True between messages: a connection that ends elsewhere was cut off. */
  get atBoundary(): boolean {
    return this.#headerBytes === 0;
  }

  /** Where in its chunk the last push stopped reading. */
  get consumed(): number {
    return this.#consumed;
  }

  /** A sink calls this during `payload` to end the push. Push the same chunk again from `consumed` to go on. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Parses the next bytes of the stream, `chunk` from `offset` on. After a fault later bytes are ignored. Never throws. */
  push(chunk: Uint8Array, sink: PayloadSink, offset = 0): StreamFault {
    this.#isStopped = false;
    this.#consumed = offset;
    while (this.#consumed < chunk.length && this.#fault === STREAM_SOUND && !this.#isStopped) {
      if (this.#headerBytes < STREAM_HEADER_BYTES) this.#headerByte(chunk[this.#consumed++]!);
      else this.#payload(chunk, sink);
    }
    return this.#fault;
  }

  #headerByte(byte: number): void {
    // Multiplied, since a shift would make lengths of 2^31 and more negative.
    this.#payloadBytes = this.#payloadBytes * 256 + byte;
    this.#headerBytes += 1;
    if (this.#headerBytes < STREAM_HEADER_BYTES) return;
    if (this.#payloadBytes === 0) this.#fault = STREAM_LENGTH_ZERO;
    else if (this.#payloadBytes > STREAM_PAYLOAD_BYTES_MAX) this.#fault = STREAM_LENGTH_OVER_MAX;
  }

  /** Takes payload bytes from where reading stands, and hands the payload out when it is whole. */
  #payload(chunk: Uint8Array, sink: PayloadSink): void {
    const start = this.#consumed;
    const missing = this.#payloadBytes - this.#gatheredBytes;
    const end = Math.min(start + missing, chunk.length);
    this.#consumed = end;
    const isWhole = end - start === missing;
    if (isWhole && this.#gatheredBytes === 0) {
      this.#headerBytes = 0;
      this.#payloadBytes = 0;
      sink.payload(chunk, start, end);
      return;
    }
    this.#gather(chunk, start, end);
    if (!isWhole) return;
    const bytes = this.#gathered;
    const length = this.#payloadBytes;
    if (bytes.length > GATHER_KEPT_BYTES) this.#gathered = NOTHING;
    this.#gatheredBytes = 0;
    this.#headerBytes = 0;
    this.#payloadBytes = 0;
    sink.payload(bytes, 0, length);
  }

  #gather(chunk: Uint8Array, start: number, end: number): void {
    const needed = this.#gatheredBytes + end - start;
    if (needed > this.#gathered.length) {
      const grown = new Uint8Array(Math.min(this.#payloadBytes, Math.max(2 * needed, GATHER_KEPT_BYTES)));
      grown.set(this.#gathered.subarray(0, this.#gatheredBytes));
      this.#gathered = grown;
    }
    this.#gathered.set(chunk.subarray(start, end), this.#gatheredBytes);
    this.#gatheredBytes = needed;
  }
}

/** Writes the header of a payload of `payloadBytes` bytes (1..65,536) at `offset`. Throws RangeError outside that. */
export function encodeStreamHeader(view: DataView, offset: number, payloadBytes: number): void {
  if (!Number.isInteger(payloadBytes) || payloadBytes < 1 || payloadBytes > STREAM_PAYLOAD_BYTES_MAX)
    throw new RangeError(`payload bytes: expected 1..${STREAM_PAYLOAD_BYTES_MAX}, got ${payloadBytes}`);
  view.setUint32(offset, payloadBytes);
}
