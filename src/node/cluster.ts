/** A node's part in its cluster, put together of the node's parts. Main thread. */
import type { ChannelTable } from '../channel/table.ts';
import { ClusterMember } from '../cluster/membership.ts';
import type { RouteControl } from '../control/route-control.ts';
import type { Logger } from '../log.ts';
import type { Meter } from '../meter/meter.ts';
import type { ChannelStore } from '../registry/channel-store.ts';
import type { RaisedAmounts } from '../registry/raised.ts';
import type { SharedStore } from '../store/store.ts';
import type { Clock } from '../system/system.ts';
import { ShardAccounts } from './shard-accounts.ts';
import { NodeShards } from './shards.ts';

interface ClusterParts {
  channels: ChannelStore;
  table: ChannelTable;
  meter: Meter;
  raised: RaisedAmounts;
  /** Resolves once every group that is open at the call is committed. */
  passFence: () => Promise<void>;
  route: RouteControl;
  clock: Clock;
  logger: Logger;
  /** Where peers are told to find the node. */
  places: () => readonly string[];
  onFailed: (error: Error) => void;
}

export function openCluster(
  { database, watchDatabase, fence, heart, sides, held, version }: SharedStore,
  { channels, table, meter, raised, passFence, route, clock, logger, places, onFailed }: ClusterParts,
): { member: ClusterMember; accounts: ShardAccounts } {
  const accounts = new ShardAccounts({ sides, charges: meter, raised });
  const shards = new NodeShards({ channels, table, accounts, fence, passFence, route, logger }, held, version);
  const member = new ClusterMember({ database, watchDatabase, heart, shards, clock, places, logger, onFailed });
  return { member, accounts };
}
