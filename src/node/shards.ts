/** What a cluster asks of its node (control/shard-control.ts), put together of the node's parts. Main thread. */
import { claimChannelHigh, claimChannelLow } from '../../protocol/claim.ts';
import { shardOf } from '../../protocol/shard.ts';
import type { ChannelTable } from '../channel/table.ts';
import type { RouteControl } from '../control/route-control.ts';
import type { ShardControl } from '../control/shard-control.ts';
import { RECORD_BYTES } from '../journal/record.ts';
import type { Logger } from '../log.ts';
import type { ChannelStore } from '../registry/channel-store.ts';
import type { ClusterState, Fence, ShardSide } from '../store/claim-database.ts';
import type { HeldFence } from '../store/held-fence.ts';
import type { ShardAccounts } from './shard-accounts.ts';

interface NodeShardsParts {
  channels: Pick<ChannelStore, 'shards'>;
  table: Pick<ChannelTable, 'find' | 'isRemoved' | 'commit'>;
  accounts: ShardAccounts;
  fence: HeldFence;
  /** Resolves once every group that is open at the call is committed. */
  passFence: () => Promise<void>;
  route: RouteControl;
  logger: Logger;
}

export class NodeShards implements ShardControl {
  readonly #parts: NodeShardsParts;
  readonly #served: Set<number>;
  #version: number;

  /** `served` are the shards that the node has loaded since it entered, by the map of `version`. No claim is received before. */
  constructor(parts: NodeShardsParts, served: readonly number[], version: number) {
    this.#parts = parts;
    this.#served = new Set(served);
    this.#version = version;
    parts.channels.shards.only(served);
    this.#hold();
  }

  get fence(): Fence {
    return this.#parts.fence.fence;
  }

  loadRows(rows: Uint8Array): void {
    this.#parts.channels.shards.load(rows);
  }

  loadSide(side: ShardSide): void {
    this.#parts.accounts.load(side);
  }

  applyGroups(records: Uint8Array, shards: ReadonlySet<number>): void {
    const { table } = this.#parts;
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    for (let offset = 0; offset + RECORD_BYTES <= records.length; offset += RECORD_BYTES) {
      const [high, low] = [claimChannelHigh(view, offset), claimChannelLow(view, offset)];
      if (!shards.has(shardOf(high, low))) continue;
      const row = table.find(high, low);
      if (row >= 0 && !table.isRemoved(row)) table.commit(row, view, offset);
    }
  }

  writeShards(shards: readonly number[]): Promise<void> {
    return this.#parts.channels.shards.write(shards);
  }

  serveShards(shards: readonly number[]): void {
    for (const shard of shards) this.#served.add(shard);
    this.#parts.accounts.serve(shards);
    this.#parts.channels.shards.serve(shards);
    this.#hold();
  }

  async drainShards(shards: readonly number[]): Promise<void> {
    for (const shard of shards) this.#served.delete(shard);
    // Claims are answered MOVED from here on, and their payers ask for the map until it names the receiver.
    this.#hold();
    await this.#parts.channels.shards.drain(shards);
    await this.#parts.accounts.drain(shards);
    await this.#parts.passFence();
  }

  changeFence(change: (fence: Fence) => Promise<Fence>): Promise<void> {
    return this.#parts.fence.change(change);
  }

  dropShards(shards: readonly number[]): void {
    this.#parts.channels.shards.drop(shards);
    this.#parts.accounts.drop(shards);
  }

  confirm(askedAtMs: number, standsMs: number): void {
    this.#parts.route.confirm(askedAtMs, standsMs);
  }

  setRoute({ version, members, shards }: ClusterState): void {
    this.#version = version;
    const nodes = members.map(({ node, places }) => ({ name: node, places: [...places] }));
    const holders = shards.map(({ node }) => node);
    try {
      this.#parts.route.show({ version, node: this.fence.node, nodes, holders });
    } catch (error) {
      this.#parts.logger.warn(`cluster, route: ${(error as Error).message}; peers are shown the map before`);
    }
    this.#hold();
  }

  #hold(): void {
    this.#parts.route.hold(this.#served, this.#version);
  }
}
