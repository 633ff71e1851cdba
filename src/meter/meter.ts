/**
 * What a service does with committed claims: it watches them, waits for them, and charges against them. Main thread.
 */
import type { ChargeResult, CommittedBatch } from '../control/meter-control.ts';
import type { RaisedAmounts } from '../registry/raised.ts';
import type { SideTables } from '../registry/side-tables.ts';
import type { Spans } from '../spans/spans.ts';
import { AmountWatch } from './amount-watch.ts';
import { spannedCharge } from './charge-span.ts';
import { type ChargeOptions, Charges } from './charges.ts';
import type { CommittedSource } from './committed-source.ts';
import { deferred } from './deferred.ts';

/** A channel whose committed amount has grown, and that amount in drops. */
export interface CommittedAmount {
  channelId: bigint;
  committed: bigint;
}

export class Meter {
  readonly #source: CommittedSource;
  readonly #watch: AmountWatch;
  readonly #charges: Charges;
  /** Aborted by `stop`. */
  readonly #ended = new AbortController();
  #spans: Spans | undefined;

  constructor(source: CommittedSource, tables: SideTables, raised: RaisedAmounts, warn: (line: string) => void) {
    this.#source = source;
    this.#watch = new AmountWatch(source);
    this.#charges = new Charges(source, tables, this.#watch, {}, raised, warn);
  }

  /** Charges made since the start. */
  get charges(): number {
    return this.#charges.made;
  }

  /** The refunds among them. */
  get refunds(): number {
    return this.#charges.refunded;
  }

  /** From now on charges have spans. */
  useSpans(spans: Spans): void {
    this.#spans = spans;
  }

  charge(channelId: bigint, drops: bigint, options?: ChargeOptions): Promise<ChargeResult> {
    const span = this.#spans?.begin(drops < 0n ? 'refund' : 'charge');
    if (span === undefined) return this.#charges.charge(channelId, drops, options);
    return spannedCharge(span, this.#charges, channelId, drops, options);
  }

  spent(channelId: bigint): bigint {
    return this.#charges.spent(channelId);
  }
  /** The same by the channel's id on the ledger, also where it is not open. */
  spentOf(ledgerChannelId: Uint8Array): bigint {
    return this.#charges.spentOf(ledgerChannelId);
  }

  async waitForAmount(channelId: bigint, drops: bigint, options: { signal?: AbortSignal | undefined } = {}) {
    const { signal } = options;
    signal?.throwIfAborted();
    const { promise, resolve, reject } = deferred<bigint>();
    const forget = this.#watch.add(channelId, { drops, reached: resolve, failed: reject });
    const abort = () => {
      forget();
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    return promise.finally(() => signal?.removeEventListener('abort', abort));
  }

  onCommitted(listener: (batch: CommittedBatch) => void): () => void {
    return this.#source.onCommitted(listener);
  }

  /**
   * The same as an iteration, which ends with the signal. While the consumer is busy, what has grown is kept with its
   * newest amount only, so at most one entry a channel waits.
   */
  async *committed(options: { signal?: AbortSignal | undefined } = {}): AsyncGenerator<CommittedAmount[], void, void> {
    const ends = [this.#ended.signal, ...(options.signal === undefined ? [] : [options.signal])];
    let grown = new Map<bigint, bigint>();
    let wake = () => {};
    const unlisten = this.onCommitted((batch) => {
      for (let index = 0; index < batch.length; index++) grown.set(batch.channelId(index), batch.committed(index));
      wake();
    });
    const abort = () => wake();
    for (const signal of ends) signal.addEventListener('abort', abort);
    try {
      while (!ends.some((signal) => signal.aborted)) {
        const taken = grown;
        grown = new Map();
        if (taken.size > 0) yield Array.from(taken, ([channelId, committed]) => ({ channelId, committed }));
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      unlisten();
      for (const signal of ends) signal.removeEventListener('abort', abort);
    }
  }

  /** See Charges. */
  drainShards(shards: readonly number[]): Promise<void> {
    return this.#charges.drainShards(shards);
  }
  serveShards(shards: readonly number[]): void {
    this.#charges.serveShards(shards);
  }
  /** Whoever waits for the amount of a channel that has gone is told so. */
  dropShards(shards: readonly number[]): void {
    this.#charges.dropShards(shards);
    this.#watch.recheckAll();
  }

  /** Looks again at channels that were removed: who waits for them is told so. */
  recheck(channelIds: readonly bigint[]): void {
    for (const channelId of channelIds) this.#watch.recheck(channelId);
  }

  /** Refuses what waits, and waits for the charges that are being committed. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#charges.stop();
    this.#watch.stop();
  }
}
