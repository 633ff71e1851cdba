/**
 * A node's way to the store that it shares with others: calls that are late, wait while it is cut off, and take effect though their
 * caller has ended; answers that are lost, so that the write is made again. The store itself watches who writes what.
 */
import { claimChannelHigh, claimChannelLow } from '../../protocol/claim.ts';
import { shardOf } from '../../protocol/shard.ts';
import { RECORD_BYTES } from '../../src/journal/record.ts';
import type { ClaimDatabase, StoredGroup } from '../../src/store/claim-database.ts';
import { MemoryDatabase, type WriteCall } from '../../src/store/memory-database.ts';
import { MemoryTables } from '../../src/store/memory-tables.ts';
import type { World } from './world.ts';

const WAY_MS = 1;
const LOOK_MS = 20;

/** The twin's tables, which no node writes a claim to that does not hold its shard. */
export class WatchedTables extends MemoryTables {
  readonly #world: World;

  constructor(world: World) {
    super();
    this.#world = world;
  }

  override putGroup(group: StoredGroup): void {
    const view = new DataView(group.records.buffer, group.records.byteOffset, group.records.byteLength);
    for (let offset = 0; offset < group.records.length; offset += RECORD_BYTES) {
      const shard = shardOf(claimChannelHigh(view, offset), claimChannelLow(view, offset));
      const { node } = this.shards[shard]!;
      if (node !== group.node)
        this.#world.violated('no shard is written by two', `${group.node} stores a claim of shard ${shard} of ${node}`);
    }
    super.putGroup(group);
  }

  override takeOver(dead: string, to: ReadonlyMap<number, string>): void {
    this.#world.happened('cluster.taken-over', () => `${dead}, by ${[...new Set(to.values())]}`);
    super.takeOver(dead, to);
  }

  override handOver(shards: readonly number[], from: string, to: string): void {
    this.#world.happened('cluster.handed-over', () => `${shards.length} from ${from} to ${to}`);
    super.handOver(shards, from, to);
  }
}

export class DatabaseLink {
  isCutOff = false;
  readonly #world: World;
  readonly #tables: WatchedTables;

  constructor(world: World, tables: WatchedTables) {
    this.#world = world;
    this.#tables = tables;
  }

  /** A handle of a process. What an owner asks is answered in an event of that owner. */
  open(isOver: () => boolean): ClaimDatabase {
    const { scheduler, chance } = this.#world;
    const database = new MemoryDatabase(this.#tables, {
      underWay: () => new Promise((resolve) => scheduler.after(chance.fraction() * WAY_MS, resolve, scheduler.world)),
      cut: (call) => this.#cut(call),
    });
    return new Proxy(database as ClaimDatabase, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown;
        if (typeof value !== 'function' || name === 'close') return (value as () => void)?.bind?.(target) ?? value;
        const isRead = String(name).startsWith('read');
        const method = (value as (...given: unknown[]) => Promise<unknown>).bind(target);
        return (...given: unknown[]) => this.#call(() => (isRead && isOver() ? never() : method(...given)));
      },
    });
  }

  #call(work: () => Promise<unknown>): Promise<unknown> {
    const { scheduler, chance } = this.#world;
    const owner = scheduler.current;
    const way = () => chance.fraction() * WAY_MS;
    return new Promise((resolve, reject) => {
      const answer = (end: () => void) => {
        if (this.isCutOff && !this.#world.isCalm) scheduler.after(LOOK_MS, () => answer(end), scheduler.world);
        else scheduler.after(way(), end, owner);
      };
      const arrive = () => {
        if (this.isCutOff && !this.#world.isCalm) {
          scheduler.after(LOOK_MS, arrive, scheduler.world);
          return;
        }
        work().then(
          (value) => answer(() => resolve(value)),
          (error: Error) => answer(() => reject(error)),
        );
      };
      scheduler.after(way(), arrive, scheduler.world);
    });
  }

  #cut(call: WriteCall): 'before' | 'after' | undefined {
    if (!this.#world.strikes('clusterLosesAnswers')) return undefined;
    this.#world.happened('cluster.answer-lost', () => call);
    return this.#world.chance.of(['before', 'after'] as const);
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
