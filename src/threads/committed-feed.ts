/**
 * Tells listeners which channels' committed amounts have grown. Main thread.
 *
 * Committers mark rows only while somebody listens (ring/grown-rows.ts). The marks are taken when a committer rings, and
 * then not again for some time, in which further growth of the same channels costs next to nothing: 1 ms while somebody
 * waits for an amount, 50 ms for who only watches.
 */
import { type ChannelTable, HOT_ID_HIGH, HOT_ID_LOW, highHalf, joined, lowHalf } from '../channel/table.ts';
import type { CommittedBatch } from '../control/meter-control.ts';
import type { Arena } from '../ring/arena.ts';
import { GrownRowsReader } from '../ring/grown-rows.ts';

const SOON_MS = 1;
const BULK_MS = 50;

export interface FeedOptions {
  /** Whether to be called within a millisecond or two, rather than in larger batches. */
  soon?: boolean;
}

type Listener = (batch: CommittedBatch) => void;

export class CommittedFeed {
  readonly #table: ChannelTable;
  readonly #marks: GrownRowsReader;
  readonly #batch: RowBatch;
  readonly #listeners = new Map<Listener, FeedOptions>();
  #soon = 0;
  #running: Promise<void> | undefined;
  #isStopped = false;
  /** Ends a pause between two looks. */
  #goOn: (() => void) | undefined;

  constructor(arena: Arena, table: ChannelTable) {
    this.#table = table;
    this.#marks = new GrownRowsReader(arena);
    this.#batch = new RowBatch(table);
  }

  /** Calls `listener` with what is committed from now on; returns a function that ends it. An error that it throws is uncaught. */
  onCommitted(listener: Listener, options: FeedOptions = {}): () => void {
    // A function of its own, so that the same listener may be given twice.
    const own: Listener = (batch) => listener(batch);
    if (this.#isStopped) return () => {};
    if (this.#listeners.size === 0) {
      this.#marks.take(() => {});
      this.#marks.isWanted = true;
    }
    this.#listeners.set(own, options);
    if (options.soon === true && this.#soon++ === 0) this.#goOn?.();
    this.#running ??= this.#run();
    return () => {
      if (!this.#listeners.delete(own)) return;
      if (options.soon === true) this.#soon--;
      if (this.#listeners.size === 0) this.#marks.isWanted = false;
    };
  }

  /** Tells what was committed until now, and nothing more. Call it when no committer runs any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#goOn?.();
    this.#marks.bell.ring();
    await this.#running;
    this.#look();
    this.#listeners.clear();
  }

  /** Drops committed on a channel, durable; undefined where there is no such channel. */
  committed(channelId: bigint): bigint | undefined {
    const row = this.#row(channelId);
    return row < 0 ? undefined : amountAt(this.#table, row);
  }
  /** The 32 bytes by which the ledger knows a channel; undefined where there is none. */
  ledgerChannelId(channelId: bigint): Uint8Array | undefined {
    const row = this.#row(channelId);
    return row < 0 ? undefined : this.#table.ledgerId(row);
  }
  #row(channelId: bigint): number {
    const row = this.#table.find(highHalf(channelId), lowHalf(channelId));
    return row < 0 || this.#table.isRemoved(row) ? -1 : row;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#marks.bell.sleepAsync(() => this.#isStopped || this.#marks.hasMarks);
      this.#look();
      await this.#pause(this.#soon > 0 ? SOON_MS : BULK_MS);
    }
  }

  #look(): void {
    this.#marks.take((rows, count) => {
      this.#batch.set(rows, count);
      for (const listener of [...this.#listeners.keys()]) {
        try {
          listener(this.#batch);
        } catch (error) {
          // As an event target does: other listeners are called, and the program hears of it.
          process.nextTick(() => {
            throw error;
          });
        }
      }
      this.#batch.set(rows, 0);
    });
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#goOn = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

class RowBatch implements CommittedBatch {
  readonly #table: ChannelTable;
  #rows: Uint32Array = new Uint32Array();
  length = 0;

  constructor(table: ChannelTable) {
    this.#table = table;
  }
  set(rows: Uint32Array, count: number): void {
    this.#rows = rows;
    this.length = count;
  }
  channelId(index: number): bigint {
    const hot = this.#table.hot(this.#rows[index]!);
    return joined(this.#table.words[hot + HOT_ID_HIGH]!, this.#table.words[hot + HOT_ID_LOW]!);
  }
  committed(index: number): bigint {
    return amountAt(this.#table, this.#rows[index]!);
  }
}

function amountAt(table: ChannelTable, row: number): bigint {
  const hot = table.hot(row);
  const high = table.committedHigh(hot);
  return joined(high, table.committedLow(hot));
}
