/**
 * Payloads of all peers on their way to one thread of the node, in turns: a message of each peer that has one. Web process.
 *
 * The thread is sent a fixed number of bytes ahead of what it has taken. What does not fit waits at its peer, which is not
 * read meanwhile or loses messages (peers.ts). So a peer that floods delays another by one message a round.
 *
 * After a batch the next one waits for a millisecond, unless much comes in it: each costs this process, the node's main
 * thread and the thread a wake-up, which at ten thousand messages a second would cost the payers by UDP more than the claims.
 */
import { BatchWriter, RECORD_HEADER_BYTES } from '../transport/web-batch.ts';
import { BATCH_BYTES, BATCH_MS, WAITING_OVERHEAD_BYTES, WINDOW_BYTES } from './limits.ts';

/** A peer's messages that wait to be sent on. */
export interface FeedSource {
  readonly slot: number;
  readonly generation: number;
  readonly waiting: Uint8Array[];
  /** Of these, each with WAITING_OVERHEAD_BYTES. */
  waitingBytes: number;
  /** Called when nothing waits any more. */
  drained(): void;
}

export class Feed {
  readonly #send: (batch: Uint8Array) => void;
  readonly #turns: FeedSource[] = [];
  readonly #batch = new BatchWriter();
  #window = WINDOW_BYTES;
  #isScheduled = false;
  /** Since the last batch. */
  #isResting = false;
  /** Of all sources, counted like theirs. */
  #waitingBytes = 0;

  /** @param send given batches as in transport/web-batch.ts */
  constructor(send: (batch: Uint8Array) => void) {
    this.#send = send;
  }

  /** Adds a message of `source`, in memory that stays as it is. */
  add(source: FeedSource, message: Uint8Array): void {
    if (source.waiting.push(message) === 1) this.#turns.push(source);
    const bytes = message.length + WAITING_OVERHEAD_BYTES;
    source.waitingBytes += bytes;
    this.#waitingBytes += bytes;
    this.#schedule();
  }

  /** The thread needs room for so many bytes no longer. */
  taken(bytes: number): void {
    this.#window += bytes;
    if (this.#turns.length > 0) this.#schedule();
  }

  /** Drops what waits of `source`. */
  leave(source: FeedSource): void {
    this.#waitingBytes -= source.waitingBytes;
    source.waiting.length = 0;
    source.waitingBytes = 0;
    const place = this.#turns.indexOf(source);
    if (place >= 0) this.#turns.splice(place, 1);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#window <= 0) return;
    if (this.#isResting && this.#waitingBytes < BATCH_BYTES) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#round();
    });
  }

  /** The window may be overrun by one message. */
  #round(): void {
    while (this.#window > 0) {
      const source = this.#turns.shift();
      if (source === undefined) break;
      const message = source.waiting.shift()!;
      const bytes = message.length + WAITING_OVERHEAD_BYTES;
      source.waitingBytes -= bytes;
      this.#waitingBytes -= bytes;
      this.#window -= message.length + RECORD_HEADER_BYTES;
      this.#batch.add(source.slot, source.generation, message, 0, message.length);
      if (source.waiting.length > 0) this.#turns.push(source);
      else source.drained();
    }
    if (this.#batch.length === 0) return;
    this.#send(this.#batch.take());
    if (this.#isResting) return;
    this.#isResting = true;
    setTimeout(() => {
      this.#isResting = false;
      if (this.#turns.length > 0) this.#schedule();
    }, BATCH_MS);
  }
}
