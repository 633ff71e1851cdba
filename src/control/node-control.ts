/**
 * What a running node lets its operator do: the port between the HTTP admin and the node. node.ts implements it.
 */
import type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from '../channel/changes.ts';
import type { Channel } from '../channel/row.ts';
import type { KernelStats } from '../verify/kernel.ts';

/** Counters by name, nested one level for reasons, ready for JSON. */
export interface NodeStats {
  backend: string;
  /** Instruction set of the verification kernel; null where the backend has none. */
  kernel: string | null;
  layout: string;
  /** Threads that verify. */
  verifiers: number;
  sockets: string;
  path: string;
  durability: string;
  verify: string;
  uptimeSeconds: number;
  channels: number;
  ring: { depth: number; slots: number };
  counters: Record<string, number | Record<string, number>>;
  /** The cache of key tables; null where the backend has none. */
  keyTables: KernelStats | null;
}

/** A running node, to its operator. */
export interface NodeControl {
  /**
   * Opens channels: durable in the registry, then visible to the claim path. The same ledger id with the same
   * parameters again is `unchanged`; with others, or another ledger id under a taken u64 handle, CHANNEL_EXISTS;
   * a key that is not a point of the curve, INPUT_INVALID; no room left, TABLE_FULL, or on
   * the disk, REGISTRY_FULL. A registry that fails, REGISTRY_FAILED, is the node's end.
   */
  openChannels(openings: readonly ChannelOpening[]): Promise<OpeningResult>;
  /** The same for fresh channels as packed registry rows (channel/row.ts), their keys checked: a bulk import's. */
  openRows(rows: Uint8Array): Promise<OpeningResult>;
  /** The channel of a handle, if it is there. */
  channel(channelId: bigint): Channel | undefined;
  /**
   * Rows by position, in the order they were opened: `limit` of them from position `from`. A removed channel's row keeps
   * its place, with the state `removed`, until a channel opened after a later start takes it.
   */
  channels(from: number, limit: number): Channel[];
  /** Throws CHANNEL_UNKNOWN, CHANNEL_CLOSED or CAPACITY_BELOW_COMMITTED; durable when it resolves. */
  updateChannel(channelId: bigint, change: ChannelChange): Promise<Channel>;
  /** After it resolves no claim of the channel is accepted any more, and its best claim is in the registry. */
  closeChannel(channelId: bigint): Promise<Channel>;
  /**
   * Closes and forgets channels, all in one commit; durable when it resolves. One with a committed amount is refused,
   * CHANNEL_UNREDEEMED, unless it is a throw-away channel or `force` says that the loss of its best claim is meant.
   *
   * Until the node starts again the row counts against the limit of channels, and the same handle opens again only with
   * the same ledger channel, key and profile, and then with the amount it had: claims sent before cannot be paid twice.
   */
  removeChannels(channelIds: readonly bigint[], options?: { force?: boolean }): Promise<RemovalResult>;
  /** Configuration and counters, now. */
  stats(): NodeStats;
  /** Seconds since 1970 by the clock that channels expire by (path/rule-clock.ts). */
  readonly ruleSeconds: number;
  readonly ready: boolean;
}
