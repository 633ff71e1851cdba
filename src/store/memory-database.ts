/**
 * The database's twin in memory, for tests and simulations: the same fences and the same refusals, and nothing but promises,
 * so that a run repeats exactly. Several nodes hold a handle (`MemoryDatabase`) each on one state (`MemoryTables`).
 *
 * A write locks its node's row, compares fences, is under way for as long as `underWay` says, takes effect, and is answered.
 * As with a server, a write that is under way takes effect although its caller has been killed or has closed its handle.
 */

import { shardOfChannel } from '../../protocol/shard.ts';
import { ROW, ROW_BYTES, STATE_REMOVED, stateOf } from '../channel/row.ts';
import { assert, ClaimwireError } from '../errors.ts';
import type { SideChange } from '../registry/side-tables.ts';
import type { ClaimDatabase, ClusterPulse, ClusterState, Fence, StoredGroup } from './claim-database.ts';
import { MemoryTables, type NodeRow } from './memory-tables.ts';
import * as rules from './rules.ts';

/** Names of calls that write. */
export type WriteCall =
  | 'enter'
  | 'append'
  | 'replaceChannels'
  | 'dropGroups'
  | 'commitSides'
  | 'beat'
  | 'takeOver'
  | 'handOver'
  | 'folded'
  | 'leave';

export interface MemoryDatabaseOptions {
  /** Awaited by each write that holds its locks and that the fence allows, before it takes effect. */
  underWay?: (call: WriteCall) => Promise<void> | void;
  /**
   * Whether the connection is cut now: `before` the write has taken effect, or `after`. Either way its caller does not know,
   * so the write is made again.
   */
  cut?: (call: WriteCall) => 'before' | 'after' | undefined;
}

/** Rows in a block of `readChannels`. */
const BLOCK_ROWS = 1_024;

export class MemoryDatabase implements ClaimDatabase {
  readonly #tables: MemoryTables;
  readonly #options: MemoryDatabaseOptions;
  readonly #closed: Promise<never>;
  #close!: () => void;
  #isClosed = false;

  constructor(tables: MemoryTables = new MemoryTables(), options: MemoryDatabaseOptions = {}) {
    this.#tables = tables;
    this.#options = options;
    this.#closed = new Promise((_, reject) => {
      this.#close = () => reject(rules.closed());
    });
    this.#closed.catch(() => {});
  }

  async enter(name: string): Promise<Fence> {
    rules.expectNode(name);
    return this.#write('enter', { alone: [name] }, () => () => {
      const { epoch, holding } = this.#tables.enter(name);
      return { node: name, epoch, holding };
    });
  }

  async append(fence: Fence, lane: number, group: number, records: Uint8Array): Promise<void> {
    rules.expectGroup(lane, group, records);
    const copy = records.slice();
    return this.#guarded('append', fence, () => {
      assert(Buffer.compare(copy, records) === 0, 'the records of a group are left alone until it is stored');
      this.#tables.putGroup({ node: fence.node, epoch: fence.epoch, lane, group, records: copy });
    });
  }

  async replaceChannels(fence: Fence, rows: Uint8Array): Promise<void> {
    rules.expectRows(rows);
    const copy = rows.slice();
    return this.#guarded('replaceChannels', fence, () => {
      for (const row of packed(copy)) this.#tables.putChannel(row);
    });
  }

  async readChannels(shards: readonly number[], visit: (rows: Uint8Array) => void): Promise<number> {
    rules.expectShards(shards);
    return this.#read(() => {
      const rows = this.#present(shards);
      for (let start = 0; start < rows.length; start += BLOCK_ROWS)
        visit(new Uint8Array(Buffer.concat(rows.slice(start, start + BLOCK_ROWS))));
      return rows.length;
    });
  }

  async readRemoved({ node, epoch }: Fence, channelIds: readonly bigint[]): Promise<Uint8Array> {
    return this.#read(() => {
      if (!this.#tables.hasGroupsBeside(node, epoch)) return new Uint8Array(0);
      const wanted = new Set(channelIds);
      const rows = this.#tables.channelsOf(channelIds.map(shardOfChannel)).filter((row) => {
        const channelId = new DataView(row.buffer, row.byteOffset).getBigUint64(ROW.channelId, true);
        return stateOf(row[ROW.state]!) === STATE_REMOVED && wanted.delete(channelId);
      });
      return new Uint8Array(Buffer.concat(rows));
    });
  }

  async countChannels(shards: readonly number[]): Promise<number> {
    rules.expectShards(shards);
    return this.#read(() => this.#present(shards).length);
  }

  async readGroups(node: string, visit: (group: StoredGroup) => void): Promise<number> {
    rules.expectNode(node);
    return this.#read(() => {
      const groups = this.#tables.groupsOf(node);
      for (const group of groups) visit({ ...group, records: group.records.slice() });
      return groups.length;
    });
  }

  async dropGroups(fence: Fence, below: readonly number[]): Promise<void> {
    rules.expectBounds(below);
    const bounds = [...below];
    return this.#guarded('dropGroups', fence, () => {
      const isSource = this.#tables.shards.some(({ source }) => source === fence.node);
      this.#tables.dropGroups(fence.node, ({ epoch, lane, group }) =>
        epoch < fence.epoch ? !isSource : epoch === fence.epoch && group < (bounds[lane] ?? 0),
      );
      for (const node of this.#tables.nodes.values())
        if (
          node.node !== fence.node &&
          !node.isMember &&
          !this.#tables.shards.some(({ source }) => source === node.node)
        )
          this.#tables.dropGroups(node.node, () => true);
    });
  }

  async readSides(node: string, visit: (table: string, key: Uint8Array, value: Uint8Array) => void): Promise<number> {
    rules.expectNode(node);
    return this.#read(() => {
      const entries = this.#tables.sidesOf(node);
      for (const { table, key, value } of entries) visit(table, key.slice(), value.slice());
      return entries.length;
    });
  }

  async commitSides(fence: Fence, changes: readonly SideChange[]): Promise<void> {
    rules.expectChanges(changes);
    const copies = changes.map(({ table, key, value }) => ({ table, key: key.slice(), value: value?.slice() }));
    return this.#guarded('commitSides', fence, () => this.#tables.putSides(fence.node, copies));
  }

  async beat(fence: Fence, places: readonly string[], leaving: boolean): Promise<void> {
    rules.expectFence({ ...fence, holding: 0 });
    rules.expectPlaces(places);
    return this.#write('beat', { shared: [fence.node] }, () => {
      const node = this.#expectEpoch(fence);
      return () => this.#tables.beat(node, [...places], leaving);
    });
  }

  pulse(): Promise<ClusterPulse> {
    return this.#read(() => ({ version: this.#tables.version, members: this.#tables.members() }));
  }

  state(): Promise<ClusterState> {
    return this.#read(() => ({
      version: this.#tables.version,
      members: this.#tables.members(),
      shards: this.#tables.shards.map((shard) => ({ ...shard })),
    }));
  }

  async takeOver(by: Fence, dead: { node: string; epoch: number }, to: ReadonlyMap<number, string>): Promise<boolean> {
    rules.expectFence(by);
    rules.expectFence({ ...dead, holding: 0 });
    rules.expectShards(to.keys());
    for (const name of to.values()) rules.expectNode(name);
    const holders = new Map(to);
    const change = Symbol('takeOver');
    const members = [by.node, ...holders.values()].filter((name) => name !== dead.node);
    return this.#write('takeOver', { shared: members, alone: [dead.node] }, () => {
      if (this.#tables.nodes.get(dead.node)?.change === change) return () => true;
      this.#expectFence(by);
      const isStill = this.#tables.nodes.get(dead.node)?.epoch === dead.epoch;
      const held = this.#tables.shardsOf(dead.node);
      const isWhole = held.every(({ shard }) => holders.has(shard));
      const areMembers = [...holders.values()].every((name) => this.#isOther(name, dead.node));
      if (!isStill || !isWhole || !areMembers) return () => false;
      return () => {
        this.#tables.takeOver(dead.node, holders);
        this.#tables.nodes.get(dead.node)!.change = change;
        return true;
      };
    });
  }

  async handOver(fence: Fence, shards: readonly number[], to: string): Promise<Fence> {
    rules.expectFence(fence);
    rules.expectShards(shards);
    rules.expectNode(to);
    const given = [...shards];
    const next = { ...fence, holding: fence.holding + given.length };
    const change = Symbol('handOver');
    return this.#write('handOver', { shared: [to], alone: [fence.node] }, () => {
      // The answer of an earlier try was lost.
      if (this.#tables.nodes.get(fence.node)?.change === change) return () => next;
      this.#expectFence(fence);
      if (!this.#isOther(to, fence.node)) throw rules.invalid(`expected another member to hand shards to, got ${to}`);
      for (const shard of given) {
        const { node, source } = this.#tables.shards[shard] ?? { node: undefined, source: undefined };
        if (node !== fence.node || source !== undefined)
          throw rules.invalid(`expected a shard that ${fence.node} holds and has folded, got ${shard}`);
      }
      return () => {
        this.#tables.handOver(given, fence.node, to);
        this.#tables.nodes.get(fence.node)!.change = change;
        return next;
      };
    });
  }

  async folded(fence: Fence, shards: readonly number[]): Promise<void> {
    rules.expectShards(shards);
    const done = [...shards];
    return this.#guarded('folded', fence, () => this.#tables.fold(done, fence.node));
  }

  async leave(fence: Fence): Promise<void> {
    rules.expectFence(fence);
    return this.#write('leave', { alone: [fence.node] }, () => {
      const node = this.#expectFence(fence);
      const held = this.#tables.shardsOf(fence.node).length;
      if (held > 0)
        throw rules.invalid(`expected a node without shards to leave, got ${fence.node}, which holds ${held}`);
      return () => this.#tables.leave(node);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#close();
  }

  #present(shards: readonly number[]): Uint8Array[] {
    return this.#tables.channelsOf(shards).filter((row) => stateOf(row[ROW.state]!) !== STATE_REMOVED);
  }

  #isOther(name: string, than: string): boolean {
    return name !== than && this.#tables.nodes.get(name)?.isMember === true;
  }

  #expectEpoch({ node: name, epoch }: Fence): NodeRow {
    const node = this.#tables.nodes.get(name);
    if (node?.epoch === epoch) return node;
    throw rules.fenced(name, `expected epoch ${epoch} of the node in the database, got ${node?.epoch ?? 'none'}`);
  }

  #expectFence(fence: Fence): NodeRow {
    const node = this.#expectEpoch(fence);
    if (node.holding === fence.holding) return node;
    throw rules.fenced(fence.node, `expected ${fence.holding} shards given away, got ${node.holding}`);
  }

  /** A write that only the fence allows. */
  async #guarded(call: WriteCall, fence: Fence, effect: () => void): Promise<void> {
    rules.expectFence(fence);
    return this.#write(call, { shared: [fence.node] }, () => {
      this.#expectFence(fence);
      return effect;
    });
  }

  /**
   * Makes a write until its answer has come.
   * @param begin looks at the tables under the locks, throws a refusal, or says what takes effect
   */
  async #write<T>(
    call: WriteCall,
    locks: { shared?: readonly string[]; alone?: readonly string[] },
    begin: () => () => T,
  ): Promise<T> {
    if (this.#isClosed) throw rules.closed();
    const { underWay, cut } = this.#options;
    for (;;) {
      const attempt = (async () => {
        if (!this.#tables.isReplicated) throw unreplicated();
        const release = await this.#tables.locks.lock(locks.shared ?? [], locks.alone);
        try {
          const effect = begin();
          await underWay?.(call);
          const where = cut?.(call);
          const result = where === 'before' ? undefined : effect();
          return { isAnswered: where === undefined, result };
        } finally {
          release();
        }
      })();
      attempt.catch(() => {});
      const { isAnswered, result } = await Promise.race([attempt, this.#closed]);
      if (isAnswered) return result as T;
    }
  }

  /** What is in the tables is replicated: a write takes effect when it is. */
  async #read<T>(look: () => T): Promise<T> {
    if (this.#isClosed) throw rules.closed();
    await Promise.resolve();
    return look();
  }
}

function* packed(rows: Uint8Array): Iterable<Uint8Array> {
  for (let start = 0; start < rows.length; start += ROW_BYTES) yield rows.subarray(start, start + ROW_BYTES);
}

function unreplicated(): ClaimwireError {
  return new ClaimwireError('STORE_UNREPLICATED', 'store: expected a synchronous standby, got none');
}
