/**
 * Where a node keeps its channels, its side tables and what was committed: in its data folder (embedded-store.ts), or in a
 * database that several nodes share (database-store.ts). The interface, for the main thread.
 *
 * A start opens the store, makes a channel table of room for `count`, and recovers: the table has every claim that was ever
 * acknowledged, then a checkpoint writes that down, then the logs begin anew. Only then claims are received.
 */
import type { ChannelTable } from '../channel/table.ts';
import type { LeafProofs } from '../journal/leaf-proofs.ts';
import type { LaneStart } from '../journal/segment.ts';
import type { ChannelStore, RowStore } from '../registry/channel-store.ts';
import type { SideTables } from '../registry/side-tables.ts';
import type { ClaimDatabase } from './claim-database.ts';
import type { DatabaseSides } from './database-sides.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { HeldFence } from './held-fence.ts';
import type { DatabaseStart } from './open-database.ts';
import type { StoreFigures } from './store-figures.ts';

type StoreKind = 'embedded' | 'postgres';

/** Where a lane's groups go: plain data for its thread. One of the two. */
export interface LogStart {
  journal?: LaneStart | undefined;
  database?: DatabaseStart | undefined;
}

/** The lanes' logs, as the main thread keeps them. A lane says how far it is by a segment (journal/group-log.ts). */
export interface ClaimLogs {
  /** Where each lane begins. */
  readonly starts: readonly LogStart[];
  /** The channels have all that was recovered: the logs begin anew. */
  begin(): Promise<void>;
  /** Makes room ahead of the segments that the lanes write to. */
  prepare(segments: readonly number[]): Promise<void>;
  /** Whether some lane's log has grown enough for a checkpoint. */
  hasGrown(segments: readonly number[]): boolean;
  /** Drops the groups of lower segments, by lane, since the channels have their claims. */
  release(segments: readonly number[]): Promise<void>;
  /** Drops all groups, since the lanes have ended, and the channels have all claims. */
  end(segments: readonly number[]): Promise<void>;
}

/** What nodes share, for a node's part in its cluster. */
export interface SharedStore {
  /** For what the node itself writes; its calls come one at a time. */
  readonly database: ClaimDatabase;
  /** For what must not wait behind those. */
  readonly watchDatabase: ClaimDatabase;
  readonly fence: HeldFence;
  /** Beats since the node has entered. */
  readonly heart: Heartbeat;
  /** The same as the store's: entries of shards come and go with them. */
  readonly sides: Pick<DatabaseSides, 'take' | 'drop'>;
  /** Shards that the node has had since it entered, by the map of `version`: `recover` loads them. */
  readonly held: readonly number[];
  readonly version: number;
}

export interface OpenedStore {
  /** Undefined where no other node can have it. */
  readonly shared?: SharedStore | undefined;
  readonly kind: StoreKind;
  /** Number of channels that the table should have room for, as of the start. */
  readonly count: number;
  /** The rows of the channels. */
  readonly rows: RowStore;
  readonly sides: SideTables;
  /** The leaves of signed roots, once it has recovered; undefined before, and where a store has none. */
  readonly leaves?: LeafProofs | undefined;
  /** Whether it answered when it was last asked, a moment ago. A disk always does. */
  readonly isAnswering: boolean;
  /** How it and the node get on; undefined where it is the node's own disk. */
  readonly figures?: StoreFigures;
  /** Loads the channels, and replays the claims that were committed since into their table. `lanes` lanes will write. */
  recover(channels: ChannelStore, table: ChannelTable, lanes: number): Promise<ClaimLogs>;
  /** Gives up what is under way, so that a stop ends though nothing answers. A disk is waited for. */
  abandon(): void;
  close(): Promise<void>;
}

/** What /stats says of a store. */
export function storeStats({ kind, figures }: OpenedStore): { store: string; database?: StoreFigures } {
  return figures === undefined ? { store: kind } : { store: kind, database: figures };
}
