/**
 * The database's twin in memory, for tests and simulations: the same fences and the same refusals, and nothing but promises,
 * so that a run repeats exactly. Several nodes hold a handle (`MemoryDatabase`) each on one state (`MemoryTables`).
 *
 * A write locks its node's row, compares fences, is under way for as long as `underWay` says, takes effect, and is answered.
 * As with a server, a write that is under way takes effect although its caller has been killed or has closed its handle.
 */
import { ROW, ROW_BYTES, rowFault, STATE_REMOVED, stateOf } from '../channel/row.ts';
import { assert, ClaimwireError } from '../errors.ts';
import { SIDE_LIMITS, type SideChange } from '../registry/side-tables.ts';
import type { ClaimDatabase, ClusterPulse, ClusterState, Fence, StoredGroup } from './claim-database.ts';
import { MemoryTables, type NodeRow } from './memory-tables.ts';

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

const NODE_NAME = /^[a-z0-9-]{1,64}$/;
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
      this.#close = () => reject(closed());
    });
    this.#closed.catch(() => {});
  }

  enter(name: string): Promise<Fence> {
    return this.#write('enter', { alone: [name] }, () => {
      expectName(name);
      return () => {
        const node = this.#tables.enter(name);
        return { node: name, epoch: node.epoch, holding: node.holding };
      };
    });
  }

  append(fence: Fence, lane: number, group: number, records: Uint8Array): Promise<void> {
    const copy = records.slice();
    return this.#guarded('append', fence, () => {
      assert(Buffer.compare(copy, records) === 0, 'the records of a group are left alone until it is stored');
      this.#tables.putGroup({ node: fence.node, epoch: fence.epoch, lane, group, records: copy });
    });
  }

  replaceChannels(fence: Fence, rows: Uint8Array): Promise<void> {
    const copy = rows.slice();
    for (const row of packed(copy)) assert(rowFault(row) === undefined, `sound rows, got one with ${rowFault(row)}`);
    return this.#guarded('replaceChannels', fence, () => {
      for (const row of packed(copy)) this.#tables.putChannel(row);
    });
  }

  readChannels(shards: readonly number[], visit: (rows: Uint8Array) => void): Promise<number> {
    return this.#read(() => {
      const rows = this.#present(shards);
      for (let start = 0; start < rows.length; start += BLOCK_ROWS)
        visit(new Uint8Array(Buffer.concat(rows.slice(start, start + BLOCK_ROWS))));
      return rows.length;
    });
  }

  countChannels(shards: readonly number[]): Promise<number> {
    return this.#read(() => this.#present(shards).length);
  }

  readGroups(node: string, visit: (group: StoredGroup) => void): Promise<number> {
    return this.#read(() => {
      const groups = this.#tables.groupsOf(node);
      for (const group of groups) visit({ ...group, records: group.records.slice() });
      return groups.length;
    });
  }

  dropGroups(fence: Fence, below: readonly number[]): Promise<void> {
    const bounds = [...below];
    return this.#guarded('dropGroups', fence, () => {
      const isSource = this.#tables.shards.some(({ source }) => source === fence.node);
      this.#tables.dropGroups(fence.node, ({ epoch, lane, group }) =>
        epoch < fence.epoch ? !isSource : epoch === fence.epoch && group < (bounds[lane] ?? 0),
      );
    });
  }

  readSides(node: string, visit: (table: string, key: Uint8Array, value: Uint8Array) => void): Promise<number> {
    return this.#read(() => {
      const entries = this.#tables.sidesOf(node);
      for (const { table, key, value } of entries) visit(table, key.slice(), value.slice());
      return entries.length;
    });
  }

  commitSides(fence: Fence, changes: readonly SideChange[]): Promise<void> {
    const copies = changes.map(({ table, key, value }) => ({ table, key: key.slice(), value: value?.slice() }));
    for (const { table, key, value } of copies)
      assert(
        table.length <= SIDE_LIMITS.tableNameMax &&
          key.length <= SIDE_LIMITS.keyBytesMax &&
          (value?.length ?? 0) <= SIDE_LIMITS.valueBytesMax,
        'an entry is within the limits of side tables',
      );
    return this.#guarded('commitSides', fence, () => this.#tables.putSides(fence.node, copies));
  }

  beat(fence: Fence, places: readonly string[], leaving: boolean): Promise<void> {
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

  takeOver(by: Fence, dead: { node: string; epoch: number }, to: ReadonlyMap<number, string>): Promise<boolean> {
    const holders = new Map(to);
    const members = [by.node, ...holders.values()].filter((name) => name !== dead.node);
    return this.#write('takeOver', { shared: members, alone: [dead.node] }, () => {
      this.#expectFence(by);
      const isStill = this.#tables.nodes.get(dead.node)?.epoch === dead.epoch;
      const held = this.#tables.shardsOf(dead.node);
      const isWhole = held.every(({ shard }) => holders.has(shard));
      const areMembers = [...holders.values()].every((name) => this.#isOther(name, dead.node));
      if (!isStill || !isWhole || !areMembers) return () => false;
      return () => {
        this.#tables.takeOver(dead.node, holders);
        return true;
      };
    });
  }

  handOver(fence: Fence, shards: readonly number[], to: string): Promise<Fence> {
    const given = [...shards];
    const next = { ...fence, holding: fence.holding + given.length };
    return this.#write('handOver', { shared: [to], alone: [fence.node] }, () => {
      const { holding } = this.#expectEpoch(fence);
      // The answer of an earlier try was lost, and nobody else can have changed it: a node's calls come one at a time.
      if (given.length > 0 && holding === next.holding) return () => next;
      this.#expectFence(fence);
      if (!this.#isOther(to, fence.node)) throw invalid(`expected another member to hand shards to, got ${to}`);
      for (const shard of given) {
        const { node, source } = this.#tables.shards[shard] ?? { node: undefined, source: undefined };
        if (node !== fence.node || source !== undefined)
          throw invalid(`expected a shard that ${fence.node} holds and has folded, got ${shard}`);
      }
      return () => {
        this.#tables.handOver(given, fence.node, to);
        return next;
      };
    });
  }

  folded(fence: Fence, shards: readonly number[]): Promise<void> {
    const done = [...shards];
    return this.#guarded('folded', fence, () => this.#tables.fold(done, fence.node));
  }

  leave(fence: Fence): Promise<void> {
    return this.#write('leave', { alone: [fence.node] }, () => {
      const node = this.#expectFence(fence);
      const held = this.#tables.shardsOf(fence.node).length;
      if (held > 0) throw invalid(`expected a node without shards to leave, got ${fence.node}, which holds ${held}`);
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
    throw fenced(name, `expected epoch ${epoch} of the node in the database, got ${node?.epoch ?? 'none'}`);
  }

  #expectFence(fence: Fence): NodeRow {
    const node = this.#expectEpoch(fence);
    if (node.holding === fence.holding) return node;
    throw fenced(fence.node, `expected ${fence.holding} shards given away, got ${node.holding}`);
  }

  /** A write that only the fence allows. */
  #guarded(call: WriteCall, fence: Fence, effect: () => void): Promise<void> {
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
    if (this.#isClosed) throw closed();
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
    if (this.#isClosed) throw closed();
    await Promise.resolve();
    return look();
  }
}

function* packed(rows: Uint8Array): Iterable<Uint8Array> {
  assert(rows.length % ROW_BYTES === 0, `rows are ${ROW_BYTES} bytes each, got ${rows.length}`);
  for (let start = 0; start < rows.length; start += ROW_BYTES) yield rows.subarray(start, start + ROW_BYTES);
}

function expectName(name: string): void {
  if (!NODE_NAME.test(name)) throw invalid(`expected a node name of 1 to 64 of a-z, 0-9 and hyphen, got ${name}`);
}

function invalid(message: string): ClaimwireError {
  return new ClaimwireError('INPUT_INVALID', `store: ${message}`);
}

function fenced(node: string, message: string): ClaimwireError {
  return new ClaimwireError(
    'STORE_FENCED',
    `store: ${message}; another node took ${node}'s shards, or it was started twice`,
  );
}

function unreplicated(): ClaimwireError {
  return new ClaimwireError('STORE_UNREPLICATED', 'store: expected a synchronous standby, got none');
}

function closed(): ClaimwireError {
  return new ClaimwireError('STORE_FAILED', 'store: expected an open database, got one that was closed');
}
