/**
 * What a running node lets its operator do, by HTTP (src/http) or by control messages (server.ts). node.ts implements it.
 */
import type { LeafProof } from '../../protocol/merkle.ts';
import type { ChannelChange, ChannelOpening, OpeningResult, RemovalResult } from '../channel/changes.ts';
import type { Channel } from '../channel/row.ts';
import { ClaimwireError, type ErrorCode } from '../errors.ts';
import type { StoreFigures } from '../store/store-figures.ts';
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
  /** Where channels and claims are kept: `embedded` or `postgres`. */
  store: string;
  /** How the node and its database get on, where it has one. */
  database?: StoreFigures;
  verify: string;
  uptimeSeconds: number;
  channels: number;
  /** Channels that there is room for. */
  channelsMax: number;
  ring: { depth: number; slots: number };
  counters: Record<string, number | Record<string, number>>;
  /** The cache of key tables; null where the backend has none. */
  keyTables: KernelStats | null;
  /**
   * Over HTTP: how late a thread of the node was woken that only sleeps and looks at the clock; how often, by microseconds, since
   * somebody first asked. It goes on while somebody asks at least every ten seconds. Null without an addon.
   */
  hiccups?: Record<string, number> | null;
}

/** A running node, to its operator. */
export interface NodeControl {
  /**
   * Opens channels: first durably in the registry, then visibly to the claim path. A channel that is open already with
   * the same parameters is `unchanged`. One with other parameters, or whose handle is in use, is refused as
   * CHANNEL_EXISTS, and one whose key is not a point of the curve as INPUT_INVALID. Without room in the table the refusal
   * is TABLE_FULL, without room on the disk REGISTRY_FULL. Where another node holds the shard of any of
   * them, all are refused as MOVED: a channel is open at one node. A registry that fails (REGISTRY_FAILED) ends the node.
   */
  openChannels(openings: readonly ChannelOpening[]): Promise<OpeningResult>;
  /** The same for a bulk import's new channels, as packed registry rows (channel/row.ts) whose keys are checked. */
  openRows(rows: Uint8Array): Promise<OpeningResult>;
  /** Throws MOVED, with the holder's name in `details.node`, where another node of the cluster holds the channel's shard. */
  expectHere?(channelId: bigint): void;
  /** Which other node of the cluster holds the channel's shard, by the map, and where it is found. */
  holderOf?(channelId: bigint): { node: string; places: readonly string[] } | undefined;
  /** The channel of a handle, or undefined. */
  channel(channelId: bigint): Channel | undefined;
  /**
   * A number that is another one after each change of the channel that no claim makes: of capacity, expiry or state. Who keeps
   * a copy of the channel asks whether it still holds, which costs less than another copy. Undefined where there is no such
   * channel.
   */
  channelVersion?(channelId: bigint): number | undefined;
  /**
   * The proof of a channel's newest committed leaf of a signed root; undefined where it has none. Throws JOURNAL_FAILED where the
   * disk does not give it.
   */
  leafProof?(channel: Channel): LeafProof | undefined;
  /**
   * At most `limit` rows from position `from`, in the order of opening. A removed channel's row keeps its position, with
   * the state `removed`, until a channel opened after a later start replaces it.
   */
  channels(from: number, limit: number): Channel[];
  /** Throws CHANNEL_UNKNOWN, CHANNEL_CLOSED or CAPACITY_BELOW_COMMITTED; durable when it resolves. */
  updateChannel(channelId: bigint, change: ChannelChange): Promise<Channel>;
  /** After it resolves no claim of the channel is accepted any more, and its best claim is in the registry. */
  closeChannel(channelId: bigint): Promise<Channel>;
  /**
   * Closes and removes channels, all in one commit; durable when it resolves. A channel with a committed amount is refused
   * as CHANNEL_UNREDEEMED, unless it is a throw-away channel or `force` accepts the loss of its best claim.
   *
   * Until the node starts again the row counts towards the limit of channels. Meanwhile the handle opens again only with
   * the same ledger channel, key and profile, and with the amount it had, so that no earlier claim is paid twice.
   */
  removeChannels(channelIds: readonly bigint[], options?: { force?: boolean }): Promise<RemovalResult>;
  /** Configuration and counters, now. */
  stats(): NodeStats;
  /** Seconds since 1970 by the clock that channels expire by (path/rule-clock.ts). */
  readonly ruleSeconds: number;
  readonly ready: boolean;
  /**
   * Whether changes are taken, as they are for some seconds more than `ready` says: a disk that hangs often goes on soon, and then
   * nobody has to ask again. As `ready` where it is left out.
   */
  readonly canChange?: boolean;
}

/** Throws NODE_STOPPING while the node can change nothing. */
export function expectReady(control: NodeControl): void {
  if (control.canChange ?? control.ready) return;
  const message = 'node: expected it ready, got it starting, stopping or waiting for its disk; try again shortly';
  throw new ClaimwireError('NODE_STOPPING', message);
}

/** Opens one channel, and throws where that is refused. Resolves with whether the channel is new. */
export async function openChannel(control: NodeControl, opening: ChannelOpening): Promise<boolean> {
  const { opened, refused } = await control.openChannels([opening]);
  const [refusal] = refused;
  if (refusal !== undefined) throw new ClaimwireError(refusal.code as ErrorCode, refusal.message);
  return opened === 1;
}
