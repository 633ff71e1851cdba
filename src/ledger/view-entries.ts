/**
 * What the side tables have of the ledger's channels, as changes of a commit: each belongs to the shard of its channel. Pure
 * functions, main thread.
 */
import { shardOfChannel } from '../../protocol/shard.ts';
import type { SideChange } from '../registry/side-tables.ts';
import { encodeView, type LedgerView, type Sight, versioned } from './view.ts';

export const VIEWS_TABLE = 'ledger-channels';
/** By ledger id, channels that the operator removed: they open by themselves no more. */
export const REMOVED_TABLE = 'ledger-removed';
export const META_TABLE = 'ledger-meta';
export const POLLED_KEY = Buffer.from('polled');
/** By shard, u16 big-endian, where nodes share a store. */
export const POLLED_TABLE = 'ledger-polled';
/** Tables whose entries come and go with their shards. */
export const VIEW_TABLES = [VIEWS_TABLE, REMOVED_TABLE, POLLED_TABLE] as const;

/** When all channels of an account were seen last. */
export type Polled = Pick<Sight, 'seenAt' | 'clockBehind'> & { account: string };

/** A channel that the operator removed. */
export interface Removed {
  channelId: bigint;
  /** When it was seen last. */
  seenAt: number;
}

export function polledChange(shard: number | undefined, polled: Polled): SideChange {
  const value = versioned(polled);
  return shard === undefined
    ? { table: META_TABLE, key: POLLED_KEY, value }
    : { table: POLLED_TABLE, key: keyOfShard(shard), value, shard };
}

function keyOfShard(shard: number): Uint8Array {
  return Uint8Array.of(shard >> 8, shard & 0xff);
}

export function shardOfKey(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset).getUint16(0);
}

export function changeOf(view: LedgerView): SideChange {
  const { channelId, ledgerChannelId } = view;
  return { table: VIEWS_TABLE, key: ledgerChannelId, value: encodeView(view), shard: shardOfChannel(channelId) };
}

export function removalOf(view: LedgerView): SideChange[] {
  const marks = isOperators(view) ? [markOf(view)] : [];
  const { ledgerChannelId, channelId } = view;
  return [{ table: VIEWS_TABLE, key: ledgerChannelId, shard: shardOfChannel(channelId) }, ...marks];
}

export function markOf({
  ledgerChannelId,
  channelId,
  seenAt,
}: Pick<LedgerView, 'channelId' | 'ledgerChannelId' | 'seenAt'>): SideChange {
  const value = versioned({ seenAt, channelId: String(channelId) });
  return { table: REMOVED_TABLE, key: ledgerChannelId, value, shard: shardOfChannel(channelId) };
}

/** Whether it was the operator who removed a channel that the node has no more: it was open, and is still on the ledger. */
export function isOperators({ exists, followed }: LedgerView): boolean {
  return exists && followed !== undefined;
}

/** The operator has opened it again, or it is gone from the ledger. @param id the ledger's, in hex */
export function unmarkOf(id: string, { channelId }: Removed): SideChange {
  return { table: REMOVED_TABLE, key: Buffer.from(id, 'hex'), shard: shardOfChannel(channelId) };
}
