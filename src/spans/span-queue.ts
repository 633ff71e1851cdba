/**
 * Ended spans on their way to the collector: a queue with a bound, one batch under way at a time. A collector that is slow or
 * gone costs spans, which are counted, and nothing else. Main thread.
 */
import type { Clock } from '../system/system.ts';

export interface SpanCounters {
  /** Handed to the collector, which took them. */
  exported: number;
  /** The queue was full. */
  dropped: number;
  /** The collector did not take them. */
  failed: number;
  queued: number;
}

/** Sends a batch. Rejects where the collector did not take it. */
export type SendSpans<Ended> = (spans: Ended[]) => Promise<void>;

const QUEUE_MAX = 4_096;
const BATCH_MAX = 512;
const EVERY_MS = 1_000;

export class SpanQueue<Ended> {
  readonly #send: SendSpans<Ended>;
  readonly #warn: (line: string) => void;
  readonly #counters = { exported: 0, dropped: 0, failed: 0 };
  readonly #stopTimer: () => void;
  #queue: Ended[] = [];
  #sending: Promise<void> | undefined;
  #isFailing = false;
  #isEnded = false;

  constructor(send: SendSpans<Ended>, clock: Pick<Clock, 'every'>, warn: (line: string) => void) {
    this.#send = send;
    this.#warn = warn;
    this.#stopTimer = clock.every(EVERY_MS, () => this.#sendSoon());
  }

  get counters(): SpanCounters {
    return { ...this.#counters, queued: this.#queue.length };
  }

  add(span: Ended): void {
    if (this.#isEnded || this.#queue.length >= QUEUE_MAX) {
      this.#counters.dropped++;
      return;
    }
    this.#queue.push(span);
    if (this.#queue.length >= BATCH_MAX) this.#sendSoon();
  }

  /** Sends what is left. The caller bounds how long it waits for that. */
  async close(): Promise<void> {
    this.#isEnded = true;
    this.#stopTimer();
    // A collector that refuses is not asked again and again.
    const { failed } = this.#counters;
    do {
      this.#sendSoon();
      await this.#sending;
    } while (this.#queue.length > 0 && this.#counters.failed === failed);
  }

  #sendSoon(): void {
    if (this.#queue.length > 0) this.#sending ??= this.#sendBatch();
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#queue.splice(0, BATCH_MAX);
    try {
      await this.#send(batch);
      this.#counters.exported += batch.length;
      this.#isFailing = false;
    } catch (error) {
      this.#counters.failed += batch.length;
      // Told once until it works again.
      if (!this.#isFailing) this.#warn(`otel: ${batch.length} spans were not taken: ${(error as Error).message}`);
      this.#isFailing = true;
    }
    this.#sending = undefined;
  }
}
