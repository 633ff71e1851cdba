/**
 * What one connection is still to be sent, and the sum over a listener's connections. Runs in the listener's thread.
 *
 * A write goes to the kernel at once, in most cases whole. While the kernel takes no more, what follows is gathered here
 * in one piece rather than in the stream's list, where an ack of 36 bytes takes several hundred.
 */
import type { Socket } from 'node:net';

const NOTHING = new Uint8Array(0);
const GATHER_BYTES = 2_048;

/** Bytes that wait in all outboxes of a listener. */
export class OutboxSum {
  bytes = 0;
}

export class Outbox {
  readonly #stream: Socket;
  readonly #sum: OutboxSum;
  /** Handed to the stream and not with the kernel yet. */
  #writing = 0;
  /** To be handed over next: the first `#gatheredBytes`. */
  #gathered = NOTHING;
  #gatheredBytes = 0;
  #isOver = false;

  constructor(stream: Socket, sum: OutboxSum) {
    this.#stream = stream;
    this.#sum = sum;
  }

  /** Bytes that wait. */
  get bytes(): number {
    return this.#writing + this.#gatheredBytes;
  }

  /** Memory to write the next `length` bytes into, at once; then `send`. */
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

  /** What `next` gave memory for is written there. */
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

  /** Nothing waits any more: it leaves behind what is written already, or is dropped with the stream. */
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

  /** Also after every write that did not have to wait: there is nothing to do then. */
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
