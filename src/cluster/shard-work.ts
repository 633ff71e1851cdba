/**
 * Getting shards and giving them away, one batch at a time. Main thread.
 *
 * A shard is served by whom the map names, and only once all claims that were acknowledged are loaded there. The giver serves
 * it no more before the map changes; so for as long as a move takes, nobody does, and its payers send again.
 */

import type { ShardControl } from '../control/shard-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { ClaimDatabase, ClusterState, Shard } from '../store/claim-database.ts';
import { endsNode } from '../store/heartbeat.ts';
import type { Clock } from '../system/system.ts';
import type { ClusterSettings } from './cluster-settings.ts';

interface ShardWorkParts {
  database: ClaimDatabase;
  shards: ShardControl;
  clock: Pick<Clock, 'monotonic'>;
  settings: Pick<ClusterSettings, 'batchShards' | 'batchChannels'>;
  /** Reads the map anew. */
  refresh: () => Promise<void>;
}

/** Shards of dead nodes that are loaded at once: their groups are read for each such batch. */
const RECEIVED_AT_ONCE = 512;

export class ShardWork {
  readonly #parts: ShardWorkParts;
  readonly #node: string;
  readonly #served = new Set<number>();
  #giving: ReadonlySet<number> = new Set();
  #handedOver: readonly number[] | undefined;
  #isBusy = false;
  #shardsMoving = 0;
  #shardsReceived = 0;
  #shardsGiven = 0;
  #lastGiveMs = 0;
  #lastLoadMs = 0;

  constructor(parts: ShardWorkParts) {
    this.#parts = parts;
    this.#node = parts.shards.fence.node;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  get figures() {
    return {
      shardsServed: this.#served.size - this.#giving.size,
      shardsMoving: this.#shardsMoving,
      shardsReceived: this.#shardsReceived,
      shardsGiven: this.#shardsGiven,
      lastGiveMs: this.#lastGiveMs,
      lastLoadMs: this.#lastLoadMs,
    };
  }

  serves(shards: readonly number[]): void {
    for (const shard of shards) this.#served.add(shard);
  }

  /** A shard that the node serves and somebody else holds: it can only have been taken over. */
  lost({ shards }: ClusterState): Shard | undefined {
    return shards.find(({ shard, node }) => node !== this.#node && this.#served.has(shard) && !this.#giving.has(shard));
  }

  /** Loads shards that the map gives to this node. @returns whether there were any */
  async receive({ shards }: ClusterState): Promise<boolean> {
    const gained = shards.filter(
      ({ shard, node }) => node === this.#node && !this.#served.has(shard) && !this.#giving.has(shard),
    );
    if (gained.length === 0) return false;
    // Those that were handed over lie in the database as they are: they take least, and payers wait for them.
    const handed = gained.filter(({ source }) => source === undefined);
    await this.#busily(() => this.#load((handed.length > 0 ? handed : gained).slice(0, RECEIVED_AT_ONCE)));
    return true;
  }

  async #load(gained: readonly Shard[]): Promise<void> {
    const { database, shards: node, clock } = this.#parts;
    const begun = clock.monotonic();
    const numbers = gained.map(({ shard }) => shard);
    this.#shardsMoving = numbers.length;
    await database.readChannels(numbers, (rows) => node.loadRows(rows));
    await database.readShardSides(numbers, (side) => node.loadSide(side));
    const taken = new Set(gained.filter(({ source }) => source !== undefined).map(({ shard }) => shard));
    for (const source of new Set(gained.map((shard) => shard.source)))
      if (source !== undefined) await database.readGroups(source, ({ records }) => node.applyGroups(records, taken));
    if (taken.size > 0) {
      await node.writeShards([...taken]);
      await database.folded(node.fence, [...taken]);
    }
    this.serves(numbers);
    node.serveShards(numbers);
    this.#shardsReceived += numbers.length;
    this.#lastLoadMs = clock.monotonic() - begun;
    // Whoever folds the last shard of a dead node drops its groups, while the shards are served.
    if (taken.size > 0) await database.dropGroups(node.fence, []);
  }

  /** Gives shards that the node holds and serves to another, as many of them as fit a batch. */
  async give(shards: readonly number[], to: string): Promise<void> {
    const served = shards.filter((shard) => this.#served.has(shard));
    if (served.length > 0) await this.#busily(() => this.#give(served, to));
  }

  async #give(served: readonly number[], to: string): Promise<void> {
    const { database, shards: node, clock } = this.#parts;
    const batch = await this.#fitting(served);
    // Most is written while the shards are still served.
    await node.writeShards(batch);
    const begun = clock.monotonic();
    this.#giving = new Set(batch);
    this.#shardsMoving = batch.length;
    await node.drainShards(batch);
    try {
      await node.writeShards(batch);
      await node.changeFence((fence) => database.handOver(fence, batch, to));
    } catch (error) {
      if (!(error instanceof ClaimwireError) || endsNode(error)) throw error;
      // Nothing has changed: the receiver may have died. The shards are served here as before.
      this.#giving = new Set();
      node.serveShards(batch);
      throw error;
    }
    for (const shard of batch) this.#served.delete(shard);
    this.#shardsGiven += batch.length;
    this.#handedOver = batch;
    this.#lastGiveMs = clock.monotonic() - begun;
    await this.settle();
  }

  /**
   * Drops what was handed over, once the map that is known says so: by the map before, the shards would be loaded again. To
   * be called again where it failed.
   */
  async settle(): Promise<void> {
    if (this.#handedOver === undefined) return;
    await this.#parts.refresh();
    this.#parts.shards.dropShards(this.#handedOver);
    this.#handedOver = undefined;
    this.#giving = new Set();
  }

  /** The first of these shards, with no more channels together than a receiver loads at once; at least one. */
  async #fitting(shards: readonly number[]): Promise<readonly number[]> {
    const { database, settings } = this.#parts;
    let fitting = shards;
    while (fitting.length > 1 && (await database.countChannels(fitting)) > settings.batchChannels)
      fitting = fitting.slice(0, fitting.length >> 1);
    return fitting;
  }

  async #busily(work: () => Promise<void>): Promise<void> {
    this.#isBusy = true;
    try {
      await work();
    } finally {
      this.#isBusy = false;
      this.#shardsMoving = 0;
    }
  }
}
