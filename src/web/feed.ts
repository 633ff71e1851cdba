/**
 * Payloads of all peers on their way to the threads of the node, in turns: a message of each peer that has one. Web process.
 *
 * A thread is sent a fixed number of bytes ahead of what it has taken. What does not fit waits at its peer, which is not
 * read meanwhile or loses messages (peers.ts). So a peer that floods delays another by one message a round.
 *
 * After the batches of a turn the next ones wait for a millisecond, unless much comes in it: each turn costs this process, the
 * node's main thread and the threads a wake-up, which at ten thousand messages a second would cost the payers by UDP more than
 * the claims.
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

/** Sends a batch (transport/web-batch.ts) to thread `ring`. */
export type SendBatch = (ring: number, batch: Uint8Array) => void;

/** The ways to all threads. All batches of a turn leave together, so that they can be one message to the node. */
export class Feeds {
  readonly #feeds: Feed[];
  #isScheduled = false;
  /** Since the last batch. */
  #isResting = false;

  constructor(rings: number, send: SendBatch) {
    const onWaiting = (isMuch: boolean) => this.#schedule(isMuch);
    this.#feeds = Array.from({ length: rings }, (_, ring) => new Feed((batch) => send(ring, batch), onWaiting));
  }

  /** The one of a peer's slot. */
  of(slot: number): Feed {
    return this.#feeds[slot % this.#feeds.length]!;
  }

  /** Thread `ring` needs room for so many bytes no longer. */
  taken(ring: number, bytes: number): void {
    this.#feeds[ring]?.taken(bytes);
  }

  #schedule(isMuch: boolean): void {
    if (this.#isScheduled || (this.#isResting && !isMuch)) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#round();
    });
  }

  #round(): void {
    let hasSent = false;
    for (const feed of this.#feeds) hasSent = feed.round() || hasSent;
    if (!hasSent || this.#isResting) return;
    this.#isResting = true;
    setTimeout(() => {
      this.#isResting = false;
      if (this.#feeds.some(({ canSend }) => canSend)) this.#schedule(false);
    }, BATCH_MS);
  }
}

/** The way to one thread. */
export class Feed {
  readonly #send: (batch: Uint8Array) => void;
  readonly #onWaiting: (isMuch: boolean) => void;
  readonly #turns: FeedSource[] = [];
  readonly #batch = new BatchWriter();
  #window = WINDOW_BYTES;
  /** Of all sources, counted like theirs. */
  #waitingBytes = 0;

  /** @param onWaiting called where a round would send something, with whether that is much */
  constructor(send: (batch: Uint8Array) => void, onWaiting: (isMuch: boolean) => void) {
    this.#send = send;
    this.#onWaiting = onWaiting;
  }

  /** Whether a round would send something. */
  get canSend(): boolean {
    return this.#window > 0 && this.#turns.length > 0;
  }

  /** Adds a message of `source`, in memory that stays as it is. */
  add(source: FeedSource, message: Uint8Array): void {
    if (source.waiting.push(message) === 1) this.#turns.push(source);
    const bytes = message.length + WAITING_OVERHEAD_BYTES;
    source.waitingBytes += bytes;
    this.#waitingBytes += bytes;
    this.#tell();
  }

  /** The thread needs room for so many bytes no longer. */
  taken(bytes: number): void {
    this.#window += bytes;
    this.#tell();
  }

  /** Drops what waits of `source`. */
  leave(source: FeedSource): void {
    this.#waitingBytes -= source.waitingBytes;
    source.waiting.length = 0;
    source.waitingBytes = 0;
    const place = this.#turns.indexOf(source);
    if (place >= 0) this.#turns.splice(place, 1);
  }

  /** Sends a message of each source in turn, as long as there is room: the window may be overrun by one. */
  round(): boolean {
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
    if (this.#batch.length === 0) return false;
    this.#send(this.#batch.take());
    return true;
  }

  #tell(): void {
    if (this.canSend) this.#onWaiting(this.#waitingBytes >= BATCH_BYTES);
  }
}
