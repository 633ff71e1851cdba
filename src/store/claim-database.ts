/**
 * The database that several nodes share: channels, the claims committed since, and who may write them. The interface:
 * PostgreSQL implements it, and a twin in memory with the same fences and the same refusals.
 *
 * Fencing knows no clock. Each write is one statement that holds only while the database has the writer's own `Fence`; whoever
 * takes a node's shards away changes that fence first, which waits for the writes under way and makes every later one fail.
 * Heartbeats decide WHEN to take over, never WHO may write.
 *
 * A promise resolves once what it did is on stable storage, at the primary and at a synchronous standby. Where the answer
 * was lost or says that the standby was not awaited, the call is made again until it is confirmed or refused: a row that is
 * visible need not be replicated yet, so nothing is concluded from reading it back.
 *
 * Every call may reject with STORE_FENCED (the fence is not the database's: stop acknowledging), STORE_UNREPLICATED (no
 * synchronous standby is configured) or STORE_FAILED (closed, or what the database says cannot be mended by trying again).
 */
import type { SideChange } from '../registry/side-tables.ts';
import type { ReplicationFigures } from './store-figures.ts';

/** Channels hash to so many shards (`shardOf`), numbered from 0. */
export { SHARDS } from '../../protocol/shard.ts';

/** By what right a node writes. */
export interface Fence {
  /** The node's name: 1 to 64 of a-z, 0-9 and hyphen. */
  readonly node: string;
  /** Rises with each start of the node and with each takeover of it. */
  readonly epoch: number;
  /** Rises with each shard that the node gives away. Getting one leaves it: to hold more than one knows does no harm. */
  readonly holding: number;
}

/** A shard as the database has it. */
export interface Shard {
  shard: number;
  /** Who holds it; undefined before anybody did. */
  node: string | undefined;
  /** Rises whenever it changes hands. */
  epoch: number;
  /**
   * The node it was taken from, while that node's groups may have claims of it that `channels` lacks: the holder reads them,
   * writes the channels, and calls `folded`. It serves the shard after that, so its own groups have none until then.
   */
  source: string | undefined;
}

/**
 * A node as the database has it. Members are the nodes that have entered, or beaten since they left, and were not taken over
 * since. Whoever holds a shard is one.
 */
export interface Member {
  node: string;
  epoch: number;
  /** Counts the node's heartbeats: whoever sees it stand still for long enough may take over. */
  beats: number;
  /** Where peers find the node, as it said at its last beat; empty before the first. */
  places: readonly string[];
  /** It gives its shards away, as it said at its last beat: nobody gives it any. False before the first. */
  leaving: boolean;
}

/** What is asked often: no shard is read for it. */
export interface ClusterPulse {
  /** Rises with each change of holders, sources, members, their places or leaving; not with beats. */
  version: number;
  members: readonly Member[];
}

/** The map of shards, and its members. */
export interface ClusterState extends ClusterPulse {
  /** SHARDS of them, in order. */
  shards: readonly Shard[];
}

/** A side entry that belongs to a shard, and not to a node. */
export interface ShardSide {
  shard: number;
  table: string;
  key: Uint8Array;
  value: Uint8Array;
}

/** A row of `claim_groups`: records as the journal has them (journal/record.ts), 96 bytes each. */
export interface StoredGroup {
  node: string;
  epoch: number;
  lane: number;
  /** From 1 in each epoch and lane. */
  group: number;
  records: Uint8Array;
}

export interface ClaimDatabase {
  /**
   * Enters a node under a new epoch, which ends the right of whoever wrote under its name before, and gives it the shards
   * that nobody has ever held. What is read after it has resolved is replicated.
   */
  enter(node: string): Promise<Fence>;

  /** Appends the group `group` of a lane. Resolves once it may be acknowledged. Calls of one lane come one at a time. */
  append(fence: Fence, lane: number, group: number, records: Uint8Array): Promise<void>;

  /** Inserts or replaces the channels of these packed rows (channel/row.ts), all or none. Copied before the call returns. */
  replaceChannels(fence: Fence, rows: Uint8Array): Promise<void>;
  /**
   * Calls `visit` with blocks of packed rows of the channels in `shards`, without the removed ones; a block is valid during
   * the call. @returns the number of rows
   */
  readChannels(shards: readonly number[], visit: (rows: Uint8Array) => void): Promise<number>;
  /**
   * Packed rows of those of these channels that are removed, while groups of another node or epoch are there, which may have
   * claims of them: whoever is given such a handle would be paid by a replay of them. Empty once there are no such groups.
   */
  readRemoved(fence: Fence, channelIds: readonly bigint[]): Promise<Uint8Array>;
  /** Number of channels in `shards`, without the removed ones. */
  countChannels(shards: readonly number[]): Promise<number>;

  /** Calls `visit` with every group of a node, of all epochs. @returns the number of groups */
  readGroups(node: string, visit: (group: StoredGroup) => void): Promise<number>;
  /**
   * Removes the node's own groups, since `channels` has their claims: those of earlier epochs, and of each lane those below
   * `below[lane]`. While some shard's `source` is this node, groups of earlier epochs stay.
   * Also all groups of nodes that are no members, and no shard's `source`: they need never come back.
   */
  dropGroups(fence: Fence, below: readonly number[]): Promise<void>;

  /**
   * Calls `visit` with the node's own side entries (registry/side-tables.ts), by table and by key in the order of bytes. Those
   * of shards are not among them.
   */
  readSides(node: string, visit: (table: string, key: Uint8Array, value: Uint8Array) => void): Promise<number>;
  /** Calls `visit` with the side entries of shards, in no order. What their holders before had committed is among them. */
  readShardSides(shards: readonly number[], visit: (side: ShardSide) => void): Promise<number>;
  /**
   * Makes changes of the node's side entries, and of its shards', all or none. Rejects with MOVED where it does not hold the
   * shard of one: also where the fence is right, since the writer may have learnt of a new fence after it made the change.
   */
  commitSides(fence: Fence, changes: readonly SideChange[]): Promise<void>;

  /**
   * Says that the node lives and where it is found; one that had left is a member again. Rejects with STORE_FENCED once it has
   * been taken over; `holding` is not looked at, so a beat may be under way while shards are handed over.
   */
  beat(fence: Fence, places: readonly string[], leaving: boolean): Promise<void>;
  pulse(): Promise<ClusterPulse>;
  state(): Promise<ClusterState>;

  /**
   * Takes a dead node over: its epoch rises, so that nothing it still writes is taken, and each of its shards goes to the node
   * that `to` names for it (by shard), with `source` set to the dead node; a shard that has a source keeps it, since the dead
   * node never served it. Nothing happens, and the answer is false, where the dead node's epoch is not `epoch` any more (it came
   * back, or somebody else took over), where `to` lacks one of its shards, or where it names one that is no other member.
   */
  takeOver(by: Fence, dead: { node: string; epoch: number }, to: ReadonlyMap<number, string>): Promise<boolean>;
  /**
   * Gives shards that the node holds, and has no group under way for, to another member. The giver has written their channels
   * (`replaceChannels`); their side entries are the shards' own, and the giver can write them no more. A node's calls come one at a time. Rejects with INPUT_INVALID, and changes
   * nothing, where `to` is no other member, or a shard is not the giver's or has a source. @returns the giver's fence from now on
   */
  handOver(fence: Fence, shards: readonly number[], to: string): Promise<Fence>;
  /** The holder's `channels` have every claim of these shards that their source's groups have. */
  folded(fence: Fence, shards: readonly number[]): Promise<void>;
  /** The node is no member any more. Rejects with INPUT_INVALID where it holds a shard. */
  leave(fence: Fence): Promise<void>;

  /** How far the standbys are, for operators: it waits for none of them. Left out where there is nothing of the kind. */
  replication?(): Promise<ReplicationFigures | null>;

  /** Ends the connections; calls under way reject with STORE_FAILED. */
  close(): Promise<void>;
}
