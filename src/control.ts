/**
 * What a running node lets its operator do: the port between the HTTP admin and the node. node.ts implements it.
 */

import type { ProfileName } from '../protocol/layout.ts';
import type { Channel } from './channel/row.ts';
import type { KernelStats } from './verify/kernel.ts';

/** A channel to open, already checked for form (see channel/parse.ts). Amounts in drops. */
export interface ChannelOpening {
  channelId: bigint;
  ledgerChannelId: Uint8Array;
  publicKey: Uint8Array;
  capacity: bigint;
  profile: ProfileName;
  /** Unix seconds, 0 = never. */
  expiresAt: number;
}

export interface ChannelChange {
  capacity?: bigint;
  expiresAt?: number;
}

/** How a bulk opening went. A line that could not be opened says why; the others stand. */
export interface OpeningResult {
  opened: number;
  /** Lines that repeat an identical open channel: nothing to do. */
  unchanged: number;
  refused: { index: number; code: string; message: string }[];
}

/** Counters by name, nested one level for reasons, ready for JSON. */
export interface NodeStats {
  backend: string;
  /** Instruction set of the verification kernel; null where the backend has none. */
  kernel: string | null;
  layout: string;
  /** Threads that verify. */
  verifiers: number;
  sockets: string;
  durability: string;
  verify: string;
  uptimeSeconds: number;
  channels: number;
  ring: { depth: number; slots: number };
  counters: Record<string, number | Record<string, number>>;
  /** The cache of key tables; null where the backend has none. */
  keyTables: KernelStats | null;
}

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
  channel(channelId: bigint): Channel | undefined;
  /** Rows in the order they were opened: `limit` of them from position `from`. */
  channels(from: number, limit: number): Channel[];
  /** Throws CHANNEL_UNKNOWN, CHANNEL_CLOSED or CAPACITY_BELOW_COMMITTED; durable when it resolves. */
  updateChannel(channelId: bigint, change: ChannelChange): Promise<Channel>;
  /** After it resolves no claim of the channel is accepted any more, and its best claim is in the registry. */
  closeChannel(channelId: bigint): Promise<Channel>;
  stats(): NodeStats;
  readonly ready: boolean;
}
