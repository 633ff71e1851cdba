/**
 * What a cluster asks of its node: to take in the channels of shards, to serve them, and to give them away. Main thread.
 *
 * A shard that a node gets: `loadRows`, `loadSide`, where it was taken from a dead node `applyGroups` and `writeShards`, then `serveShards`.
 * One that it gives away: `writeShards`, `drainShards`, `writeShards` again for what has come between, `changeFence`, `dropShards`.
 */
import type { ClusterState, Fence, ShardSide } from '../store/claim-database.ts';

export interface ShardControl {
  /** By what right the node writes now. */
  readonly fence: Fence;
  /**
   * Takes in packed rows of channels (channel/row.ts), copied before it returns. The claim path refuses their claims until their shards are
   * served. Rows that are loaded already are replaced, since a load that failed is made again.
   */
  loadRows(rows: Uint8Array): void;
  /** Takes in a side entry of a shard: what was spent on a channel, above all. Before the shard is served. */
  loadSide(side: ShardSide): void;
  /** Raises channels of `shards` to what these records of claims say (journal/record.ts). It passes over all others. */
  applyGroups(records: Uint8Array, shards: ReadonlySet<number>): void;
  /**
   * Writes the channels of these shards that have changed since their last write to the database. All writes of channels come one after
   * the other, also those of checkpoints: an earlier one that arrived later would set an amount back.
   */
  writeShards(shards: readonly number[]): Promise<void>;
  /** Takes claims and charges of these shards from now on. */
  serveShards(shards: readonly number[]): void;
  /** Takes no more claims or charges of these shards. Resolves when no group and no commit under way has one. */
  drainShards(shards: readonly number[]): Promise<void>;
  /**
   * Runs `change`, which ends with another fence for the node. What the database refuses meanwhile under the old one is made
   * again under the new one, unless `change` rejects with STORE_FENCED.
   */
  changeFence(change: (fence: Fence) => Promise<Fence>): Promise<void>;
  /** Forgets the channels and side entries of these shards, which were drained: their rows are free for others. */
  dropShards(shards: readonly number[]): void;
  /**
   * The database has confirmed the node's right to write, when it was asked at this time of the monotonic clock: nobody takes
   * its shards for so long from then on. Later nothing final is said of a claim or channel until it is confirmed again.
   */
  confirm(askedAtMs: number, standsMs: number): void;
  /** Where claims of each shard are sent to, from now on. */
  setRoute(map: ClusterState): void;
}

/**
 * What keeps side entries of channels in memory, beside their rows, and goes with their shards: of those that a node gets `load` and
 * `serve`; of those that it gives away `drain` and `drop`, or `serve` where they stay.
 */
export interface ShardFollower {
  /** Takes in a side entry, valid during the call. */
  load(side: ShardSide): void;
  /** All entries are there. Called right before the channels take claims. */
  serve(shards: readonly number[]): void;
  /** Begins nothing more about their channels. Resolves soon: when no commit under way has an entry of theirs. */
  drain(shards: readonly number[]): Promise<void>;
  /** They are another node's. */
  drop(shards: readonly number[]): void;
}
