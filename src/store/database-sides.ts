/**
 * The side tables of a node in a database. Main thread.
 *
 * All entries are in memory as well, since `get` does not wait: the node's own, and those of the shards that it holds, so nobody
 * else changes them. Entries of shards come (`take`) and go (`drop`) with them. Calls that come while a commit is under way share
 * the next one.
 */
import { assert, ClaimwireError } from '../errors.ts';
import { SIDE_LIMITS, type SideChange, type SideTables } from '../registry/side-tables.ts';
import type { ClaimDatabase, ShardSide } from './claim-database.ts';
import type { HeldFence } from './held-fence.ts';

/** What all entries may take: a million charges with keys have a third of it. */
const BYTES_MAX = 1024 * 2 ** 20;
/** What an entry costs beyond its bytes. */
const ENTRY_BYTES = 200;
/** Bytes of changes in one commit. */
const COMMIT_BYTES = 4 * 2 ** 20;

type SideDatabase = Pick<ClaimDatabase, 'readSides' | 'readShardSides' | 'commitSides'>;
interface SideFence extends Pick<HeldFence, 'write'> {
  readonly start: { readonly node: string };
}

interface WaitingCall {
  changes: SideChange[];
  bytes: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** The shard is undefined where the entry is the node's own. */
interface Entry {
  value: Uint8Array;
  shard: number | undefined;
}

/** A table's entries by key; the keys in order once they were asked for, until there are others. */
interface Table {
  values: Map<string, Entry>;
  order: string[] | undefined;
}

export class DatabaseSides implements SideTables {
  readonly isSharded = true;
  readonly #database: SideDatabase;
  readonly #fence: SideFence;
  readonly #bytesMax: number;
  readonly #tables = new Map<string, Table>();
  #bytes = 0;
  #waiting: WaitingCall[] = [];
  #waitingBytes = 0;
  #isRunning = false;

  private constructor(database: SideDatabase, fence: SideFence, bytesMax: number) {
    this.#database = database;
    this.#fence = fence;
    this.#bytesMax = bytesMax;
  }

  /** Reads the entries of the node and of its shards. Throws REGISTRY_FULL where they are more than memory should hold. */
  static async load(
    database: SideDatabase,
    fence: SideFence,
    shards: readonly number[],
    bytesMax = BYTES_MAX,
  ): Promise<DatabaseSides> {
    const sides = new DatabaseSides(database, fence, bytesMax);
    await database.readSides(fence.start.node, (table, key, value) => sides.#put({ table, key, value: value.slice() }));
    await database.readShardSides(shards, (side) => sides.take(side));
    if (sides.#bytes > bytesMax) throw sides.#full(0);
    return sides;
  }

  /** Takes in an entry of a shard that the node has got. Throws REGISTRY_FULL. */
  take({ table, key, value, shard }: ShardSide): void {
    const known = this.#tables.get(table)?.values.get(keyText(key));
    // One ledger channel under handles of two shards: what counts up and restricts holds where it is highest.
    if (known !== undefined && known.shard !== shard && Buffer.compare(known.value, value) > 0) return;
    if (this.#bytes > this.#bytesMax) throw this.#full(bytesOf({ table, key, value }));
    this.#put({ table, key, value: value.slice(), shard });
  }

  /** Forgets the entries of shards that the node has given away. Each entry is looked at: some 50 ms for a million. */
  drop(shards: readonly number[]): void {
    const gone = new Set<number | undefined>(shards);
    for (const [name, table] of this.#tables)
      for (const [key, { value, shard }] of table.values) {
        if (shard === undefined || !gone.has(shard)) continue;
        table.values.delete(key);
        table.order = undefined;
        this.#bytes -= ENTRY_BYTES + key.length + value.length;
        if (table.values.size === 0) this.#tables.delete(name);
      }
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    return this.#tables.get(table)?.values.get(keyText(key))?.value.slice();
  }

  *entries(table: string, from?: Uint8Array): Iterable<readonly [Uint8Array, Uint8Array]> {
    const found = this.#tables.get(table);
    if (found === undefined) return;
    found.order ??= [...found.values.keys()].sort();
    const first = from === undefined ? '' : keyText(from);
    for (const key of found.order) {
      const value = key < first ? undefined : found.values.get(key);
      if (value !== undefined) yield [new Uint8Array(Buffer.from(key, 'latin1')), value.value.slice()];
    }
  }

  async commit(changes: readonly SideChange[]): Promise<void> {
    const copies = changes.map(copyOf);
    if (copies.length === 0) return;
    const bytes = copies.reduce((sum, change) => sum + bytesOf(change), 0);
    if (this.#waitingBytes + bytes > SIDE_LIMITS.waitingBytesMax)
      throw new ClaimwireError(
        'NODE_BUSY',
        `side tables: expected at most ${SIDE_LIMITS.waitingBytesMax} bytes of changes to wait, got ${this.#waitingBytes + bytes}; try again later`,
      );
    const grows = copies.some(({ value }) => value !== undefined);
    if (grows && this.#bytes + this.#waitingBytes + bytes > this.#bytesMax) throw this.#full(bytes);
    this.#waitingBytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ changes: copies, bytes, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Calls of one event turn share the first commit.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      await this.#commitCalls(this.#next());
    }
    this.#isRunning = false;
  }

  async #commitCalls(calls: readonly WaitingCall[]): Promise<void> {
    const changes = this.#placed(calls.flatMap((call) => call.changes));
    let fault: unknown;
    try {
      await this.#fence.write((fence) => this.#database.commitSides(fence, changes));
    } catch (error) {
      fault = error;
    }
    // One call's shard was given away: those that share its commit have nothing to do with that.
    if (calls.length > 1 && fault instanceof ClaimwireError && fault.code === 'MOVED') {
      for (const call of calls) await this.#commitCalls([call]);
      return;
    }
    if (fault === undefined) for (const change of changes) this.#put(change);
    for (const { bytes, resolve, reject } of calls) {
      this.#waitingBytes -= bytes;
      if (fault === undefined) resolve();
      else reject(fault);
    }
  }

  /** The same changes where the entries lie: one that goes to another shard leaves the one where it was. */
  #placed(changes: readonly SideChange[]): SideChange[] {
    const shards = new Map<string, Pick<Entry, 'shard'> | undefined>();
    return changes.flatMap((change): SideChange[] => {
      const { table, key, value, shard } = change;
      const place = `${table} ${keyText(key)}`;
      const known = shards.has(place) ? shards.get(place) : this.#tables.get(table)?.values.get(keyText(key));
      shards.set(place, value === undefined ? undefined : { shard });
      const removal = known && { table, key, shard: known.shard };
      if (value === undefined) return removal === undefined ? [] : [removal];
      return removal === undefined || removal.shard === shard ? [change] : [removal, change];
    });
  }

  /** The calls of the next commit: at least one, and no more than are quickly written. */
  #next(): WaitingCall[] {
    let count = 1;
    for (let bytes = this.#waiting[0]!.bytes; count < this.#waiting.length; count++) {
      bytes += this.#waiting[count]!.bytes;
      if (bytes > COMMIT_BYTES) break;
    }
    return this.#waiting.splice(0, count);
  }

  #put({ table: name, key, value, shard }: SideChange): void {
    const table = this.#tables.get(name) ?? { values: new Map<string, Entry>(), order: undefined };
    const text = keyText(key);
    const before = table.values.get(text);
    if (before !== undefined) this.#bytes -= ENTRY_BYTES + key.length + before.value.length;
    if (value === undefined) table.values.delete(text);
    else {
      table.values.set(text, { value, shard });
      this.#bytes += ENTRY_BYTES + key.length + value.length;
    }
    if ((before === undefined) !== (value === undefined)) table.order = undefined;
    if (table.values.size > 0) this.#tables.set(name, table);
    else this.#tables.delete(name);
  }

  #full(more: number): ClaimwireError {
    return new ClaimwireError(
      'REGISTRY_FULL',
      `side tables: expected at most ${this.#bytesMax} bytes of entries, got ${this.#bytes + more}; they are kept in memory`,
    );
  }
}

/** In the order of its bytes. */
function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}

function bytesOf({ key, value }: SideChange): number {
  return ENTRY_BYTES + key.length + (value?.length ?? 0);
}

/** What is out of range is a bug of the caller, and must not fail the calls that share its commit. */
function copyOf({ table, key, value, shard }: SideChange): SideChange {
  const { tableNameMax, keyBytesMax, valueBytesMax } = SIDE_LIMITS;
  assert(/^[a-z0-9-]+$/.test(table) && table.length <= tableNameMax, `${JSON.stringify(table)} is a side table's name`);
  assert(key.length > 0 && key.length <= keyBytesMax, `a side key has 1 to ${keyBytesMax} bytes, got ${key.length}`);
  assert((value?.length ?? 0) <= valueBytesMax, `a side value has up to ${valueBytesMax} bytes, got ${value?.length}`);
  return { table, key: key.slice(), value: value?.slice(), shard };
}
