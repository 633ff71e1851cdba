/** What the meter sees of the claim path: node.ts implements it, and so do fakes in tests. Main thread. */
import type { CommittedBatch } from '../control/meter-control.ts';

export interface CommittedSource {
  /** Drops committed on a channel, durable; undefined where there is no such channel. */
  committed(channelId: bigint): bigint | undefined;
  /** The 32 bytes by which the ledger knows a channel; undefined where there is none. */
  ledgerChannelId(channelId: bigint): Uint8Array | undefined;
  /**
   * Calls `listener` with channels whose amount has grown, from now on: within a millisecond or two where `soon` is true,
   * else in larger batches. Returns a function that ends it.
   */
  onCommitted(listener: (batch: CommittedBatch) => void, options?: { soon?: boolean }): () => void;
}
