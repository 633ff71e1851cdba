/**
 * What one connection is still to be sent, and the sum of a listener's connections. Listener's thread.
 *
 * Most writes go to the kernel at once. While the kernel accepts no more, later bytes are gathered here as one piece: in the
 * stream's list an ack of 36 bytes would use several hundred.
 */
import type { Socket } from 'node:net';

const NOTHING = new Uint8Array(0);
const GATHER_BYTES = 2_048;

/** Bytes that wait in all outboxes of a listener. */
export type OutboxSum = { bytes: number };

export class Outbox {
  readonly #stream: Socket;
  readonly #sum: OutboxSum;
  /** Bytes passed to the stream that the kernel has not accepted yet. */
  #writing = 0;
  /** The next piece: its first `#gatheredBytes` are to be written. */
  #gathered = NOTHING;
  #gatheredBytes = 0;
  #isOver = false;

  constructor(stream: Socket, sum: OutboxSum) {
    this.#stream = stream;
    this.#sum = sum;
  }

  get bytes(): number {
    return this.#writing + this.#gatheredBytes;
  }

  /** Memory for the next `length` bytes. The caller fills it at once, then calls `send`. */
  next(length: number): Uint8Array {
    if (this.#writing === 0) {
      this.#gathered = Buffer.allocUnsafe(length);
      this.#gatheredBytes = 0;
    } else {
      this.#grow(this.#gatheredBytes + length);
      this.#sum.bytes += length;
    }
    const start = this.#gatheredBytes;
    this.#gatheredBytes += length;
    return this.#gathered.subarray(start, start + length);
  }

  /** Writes to the stream, unless an earlier write waits. */
  send(): void {
    if (this.#writing > 0 || this.#gatheredBytes === 0) return;
    const bytes = this.#gathered.subarray(0, this.#gatheredBytes);
    this.#gathered = NOTHING;
    this.#gatheredBytes = 0;
    this.#stream.write(bytes, this.#onWritten);
    if (this.#stream.writableLength === 0) return;
    this.#writing = bytes.length;
    this.#sum.bytes += bytes.length;
  }

  /** Passes what waits to the stream, or drops it where the stream has ended. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#sum.bytes -= this.bytes;
    if (this.#gatheredBytes > 0 && this.#stream.writable)
      this.#stream.write(this.#gathered.subarray(0, this.#gatheredBytes));
    this.#writing = 0;
    this.#gatheredBytes = 0;
    this.#gathered = NOTHING;
  }

  /** Called after every write, also after one that did not have to wait. */
  readonly #onWritten = (): void => {
    if (this.#isOver || this.#writing === 0 || this.#stream.writableLength > 0) return;
    this.#sum.bytes -= this.bytes;
    this.#writing = 0;
    this.send();
  };

  #grow(needed: number): void {
    if (needed <= this.#gathered.length) return;
    const grown = new Uint8Array(Math.max(2 * this.#gathered.length, needed, GATHER_BYTES));
    grown.set(this.#gathered.subarray(0, this.#gatheredBytes));
    this.#gathered = grown;
  }
}
