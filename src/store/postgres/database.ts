/**
 * The shared database, on PostgreSQL: one connection a handle, one statement at a time, in the event loop of whichever thread opened
 * it. What is not confirmed is asked again (session.ts), so each call is one that may be done twice.
 */
import { randomBytes } from 'node:crypto';
import { ROW_BYTES } from '../../channel/row.ts';
import { ClaimwireError } from '../../errors.ts';
import { type Logger, stderrLogger } from '../../log.ts';
import { loadPostgres } from '../../optional-libraries.ts';
import type { SideChange } from '../../registry/side-tables.ts';
import type {
  ClaimDatabase,
  ClusterPulse,
  ClusterState,
  Fence,
  Member,
  Shard,
  ShardSide,
  StoredGroup,
} from '../claim-database.ts';
import * as rules from '../rules.ts';
import { sideOwner } from '../side-owner.ts';
import { type ReplicationFigures, StoreCounts } from '../store-figures.ts';
import { parsePostgresAddress } from './address.ts';
import { bigints, byteArrays, smalls, texts, wholes } from './arrays.ts';
import { channelParameters, rowsOf } from './channel-columns.ts';
import type { Connection, Row, Statement } from './connection.ts';
import { migrate } from './migrate.ts';
import { ServerLook } from './server-look.ts';
import { Session } from './session.ts';
import * as changes from './shard-statements.ts';
import * as statements from './statements.ts';

export interface PostgresOptions {
  /** Has the password in its first line; otherwise PGPASSWORD or ~/.pgpass have it. */
  passwordFile?: string | undefined;
  /** A server without synchronous standbys will do: what is acknowledged then rests on one machine. */
  mayBeUnreplicated?: boolean;
  /** How long the first connection is tried for. */
  waitMs?: number;
  connectMs?: number;
  /** An answer that takes longer is not waited for: the connection is cut, and the statement made again. */
  statementMs?: number;
  logger?: Logger;
  random?: () => number;
  /** Counts what is made again. */
  counts?: StoreCounts | undefined;
}

const DEFAULTS = { mayBeUnreplicated: false, waitMs: 30_000, connectMs: 5_000, statementMs: 10_000 };

const LOOK_MS_MAX = 3_000;
/** Rows of channels in a block, groups and side entries in an answer: each bounds the memory of one answer. */
const BLOCK_ROWS = 4_096;
const GROUPS = 16;
const SIDES = 256;
/** Those of shards are small: amounts, and rows of charges of 3 KiB. */
const SHARD_SIDES = 2_048;
/** Shards of a statement that counts channels: of 100 million there are 12 million in them, which takes a few seconds. */
const COUNTED_SHARDS = 128;

export class PostgresDatabase implements ClaimDatabase {
  readonly #session: Session;
  readonly #look: ServerLook;
  readonly #mayBeUnreplicated: boolean;

  private constructor(session: Session, look: ServerLook, mayBeUnreplicated: boolean) {
    this.#session = session;
    this.#look = look;
    this.#mayBeUnreplicated = mayBeUnreplicated;
  }

  /**
   * Connects, and makes the tables where there are none.
   * @param address `postgres://USER@HOST:PORT,HOST:PORT/NAME`
   * @throws ClaimwireError STORE_UNREACHABLE, STORE_UNREPLICATED, STORE_FAILED, INPUT_INVALID, DEPENDENCY_MISSING
   */
  static async open(address: string, options: PostgresOptions = {}): Promise<PostgresDatabase> {
    const { passwordFile, logger = stderrLogger, random = Math.random, counts = new StoreCounts() } = options;
    const name = `claimwire-${randomBytes(6).toString('hex')}`;
    const parsed = parsePostgresAddress(address);
    const settings = { ...DEFAULTS, ...options, passwordFile, logger, random, counts, address: parsed };
    const library = await loadPostgres();
    const session = new Session(library, { ...settings, name });
    try {
      await session.connect();
      await session.write(migrate);
    } catch (error) {
      session.close();
      throw error;
    }
    // It connects when it is asked, under a name of its own.
    const look = new ServerLook(library, { ...settings, name: `${name}-look`, statementMs: LOOK_MS_MAX });
    return new PostgresDatabase(session, look, settings.mayBeUnreplicated);
  }

  async enter(node: string): Promise<Fence> {
    rules.expectNode(node);
    const { epoch, holding } = await this.#change(changes.enter(node));
    return { node, epoch: Number(epoch), holding: Number(holding) };
  }

  async append(fence: Fence, lane: number, group: number, records: Uint8Array): Promise<void> {
    rules.expectFence(fence);
    rules.expectGroup(lane, group, records);
    await this.#write(fence, ({ append }) => append, [lane, group, records]);
  }

  async replaceChannels(fence: Fence, rows: Uint8Array): Promise<void> {
    rules.expectFence(fence);
    rules.expectRows(rows);
    if (rows.length === 0) return await this.#write(fence, (writes) => writes.fence, []);
    await this.#write(fence, (writes) => writes.replaceChannels, channelParameters(rows));
  }

  async readChannels(shards: readonly number[], visit: (rows: Uint8Array) => void): Promise<number> {
    rules.expectShards(shards);
    let total = 0;
    const take = (row: Row) => {
      const rows = rowsOf(row);
      if (rows.length > 0) visit(rows);
      total += rows.length / ROW_BYTES;
    };
    for (const { shards: few, count } of batches(await this.#countsOf(shards))) {
      if (count <= BLOCK_ROWS) take(await this.#readOne(statements.CHANNELS_OF_SHARDS, [smalls(few)]));
      else
        for (let last: string | null = '-1'; ; ) {
          const row = await this.#readOne(statements.CHANNELS_AFTER, [few[0], last, BLOCK_ROWS]);
          take(row);
          last = row.last!;
          if (Number(row.count) < BLOCK_ROWS) break;
        }
    }
    return total;
  }

  async readRemoved({ node, epoch }: Fence, channelIds: readonly bigint[]): Promise<Uint8Array> {
    const blocks: Uint8Array[] = [];
    for (let start = 0; start < channelIds.length; start += BLOCK_ROWS) {
      const some = bigints(channelIds.slice(start, start + BLOCK_ROWS));
      blocks.push(rowsOf(await this.#readOne(statements.REMOVED_CHANNELS, [node, epoch, some])));
    }
    return new Uint8Array(Buffer.concat(blocks));
  }

  async countChannels(shards: readonly number[]): Promise<number> {
    rules.expectShards(shards);
    return (await this.#countsOf(shards)).reduce((sum, { count }) => sum + count, 0);
  }

  async readGroups(node: string, visit: (group: StoredGroup) => void): Promise<number> {
    rules.expectNode(node);
    let total = 0;
    for (let after = [0, 0, 0]; ; ) {
      const rows = await this.#read(statements.GROUPS_AFTER, [node, ...after, GROUPS]);
      for (const row of rows) {
        const [epoch, lane, group] = [Number(row.epoch), Number(row.lane), Number(row.seq)];
        visit({ node, epoch, lane, group, records: bytesOf(row.records) });
        after = [epoch, lane, group];
      }
      total += rows.length;
      if (rows.length < GROUPS) return total;
    }
  }

  async dropGroups(fence: Fence, below: readonly number[]): Promise<void> {
    rules.expectFence(fence);
    rules.expectBounds(below);
    await this.#write(fence, ({ dropGroups }) => dropGroups, [wholes(below)]);
  }

  async readSides(node: string, visit: (table: string, key: Uint8Array, value: Uint8Array) => void): Promise<number> {
    rules.expectNode(node);
    let total = 0;
    // How the database orders texts is its own affair.
    const tables = (await this.#read(statements.SIDE_TABLES, [node])).map(({ side_table }) => side_table!);
    for (const table of tables.sort())
      for (let after = Buffer.alloc(0), isWhole = false; !isWhole; ) {
        const rows = await this.#read(statements.SIDES_AFTER, [node, table, after, SIDES]);
        for (const row of rows) {
          after = bytesOf(row.key);
          visit(table, bytesOf(row.key), bytesOf(row.value));
        }
        total += rows.length;
        isWhole = rows.length < SIDES;
      }
    return total;
  }

  async readShardSides(shards: readonly number[], visit: (side: ShardSide) => void): Promise<number> {
    rules.expectShards(shards);
    const owners = texts([...new Set(shards)].map((shard) => sideOwner('', shard)));
    let total = 0;
    for (let after: readonly unknown[] = ['', '', Buffer.alloc(0)]; ; ) {
      const rows = await this.#read(statements.SHARD_SIDES_AFTER, [owners, ...after, SHARD_SIDES]);
      for (const { node, shard, side_table, key, value } of rows) {
        after = [node, side_table, bytesOf(key)];
        visit({ shard: Number(shard), table: side_table!, key: bytesOf(key), value: bytesOf(value) });
      }
      total += rows.length;
      if (rows.length < SHARD_SIDES) return total;
    }
  }

  async commitSides(fence: Fence, changesOfSides: readonly SideChange[]): Promise<void> {
    rules.expectFence(fence);
    rules.expectChanges(changesOfSides);
    const owner = ({ shard }: SideChange) => sideOwner(fence.node, shard);
    const last = new Map(
      changesOfSides.map((change) => [
        `${owner(change)} ${change.table} ${Buffer.from(change.key).toString('hex')}`,
        change,
      ]),
    );
    const shards = smalls([...new Set(changesOfSides.flatMap(({ shard }) => shard ?? []))]);
    const gone = [...last.values()].filter(({ value }) => value === undefined);
    const made = [...last.values()].filter(({ value }) => value !== undefined);
    const values = [
      shards,
      texts(gone.map(owner)),
      texts(gone.map(({ table }) => table)),
      byteArrays(gone.map(({ key }) => key)),
      texts(made.map(owner)),
      texts(made.map(({ table }) => table)),
      byteArrays(made.map(({ key }) => key)),
      byteArrays(made.map(({ value }) => value!)),
      smalls(made.map(({ shard = -1 }) => shard)),
    ];
    await this.#write(
      fence,
      (writes) => writes.commitSides,
      values,
      async (connection) => {
        const { rows } = await connection.run(statements.HELD, [fence.node, shards]);
        return rows[0]?.held === 't' ? undefined : rules.moved(fence.node);
      },
    );
  }

  async beat(fence: Fence, places: readonly string[], leaving: boolean): Promise<void> {
    rules.expectFence({ ...fence, holding: 0 });
    rules.expectPlaces(places);
    const text = JSON.stringify(places);
    const { node, epoch } = fence;
    const result = await this.#session.write((connection) =>
      connection.run(changes.BEAT, [node, epoch, text, leaving]),
    );
    if (result.rowCount === 1) return;
    const now = await this.#change(changes.beat(fence, text, leaving));
    if (now.done !== 't') throw refusalOf(fence, now);
  }

  async pulse(): Promise<ClusterPulse> {
    return pulseOf(await this.#readOne(changes.PULSE, []));
  }

  async state(): Promise<ClusterState> {
    const row = await this.#readOne(changes.STATE, []);
    const shards = JSON.parse(row.shards!) as [number, string | null, number, string | null][];
    return {
      ...pulseOf(row),
      shards: shards.map(
        ([shard, node, epoch, source]): Shard => ({
          shard,
          node: node ?? undefined,
          epoch,
          source: source ?? undefined,
        }),
      ),
    };
  }

  async takeOver(by: Fence, dead: { node: string; epoch: number }, to: ReadonlyMap<number, string>): Promise<boolean> {
    rules.expectFence(by);
    rules.expectFence({ ...dead, holding: 0 });
    rules.expectShards(to.keys());
    for (const name of to.values()) rules.expectNode(name);
    const now = await this.#change(changes.takeOver(by, dead, to, newKey()));
    if (now.done === 't') return true;
    const refusal = refusalOf(by, now);
    if (refusal !== undefined) throw refusal;
    return false;
  }

  async handOver(fence: Fence, shards: readonly number[], to: string): Promise<Fence> {
    rules.expectFence(fence);
    rules.expectShards(shards);
    rules.expectNode(to);
    const now = await this.#change(changes.handOver(fence, shards, to, newKey()));
    if (now.done === 't') return { ...fence, holding: Number(now.holding) };
    throw (
      refusalOf(fence, now) ??
      rules.invalid(
        `expected shards that ${fence.node} holds and has folded, and another member to hand them to, got ${shards.length} shards and ${to}`,
      )
    );
  }

  async folded(fence: Fence, shards: readonly number[]): Promise<void> {
    rules.expectFence(fence);
    rules.expectShards(shards);
    const now = await this.#change(changes.folded(fence, shards));
    if (now.done !== 't') throw refusalOf(fence, now);
  }

  async leave(fence: Fence): Promise<void> {
    rules.expectFence(fence);
    const now = await this.#change(changes.leave(fence));
    if (now.done === 't') return;
    throw (
      refusalOf(fence, now) ??
      rules.invalid(`expected a node without shards to leave, got ${fence.node}, which holds some`)
    );
  }

  replication(): Promise<ReplicationFigures | null> {
    return this.#look.look();
  }

  async close(): Promise<void> {
    this.#look.close();
    this.#session.close();
  }

  /** A write that only the fence allows: a row of it is changed or read. */
  #write(
    fence: Fence,
    choose: (writes: statements.Writes) => Statement,
    values: readonly unknown[],
    refusal: (connection: Connection) => Promise<ClaimwireError | undefined> = async () => undefined,
  ): Promise<void> {
    const { node, epoch, holding } = fence;
    return this.#session.write(async (connection) => {
      const isWatched = connection.isPostgres && !this.#mayBeUnreplicated;
      const statement = choose(isWatched ? statements.WATCHED : statements.UNWATCHED);
      const { rowCount } = await connection.run(statement, [node, epoch, holding, ...values]);
      if (rowCount !== 0) return;
      const { rows } = await connection.run(statements.FENCE_OF, [node]);
      throw refusalOf(fence, rows[0]) ?? (await refusal(connection)) ?? unreplicated();
    });
  }

  /** Changes the map. Its outcome says whether that was done. */
  async #change(change: changes.Change): Promise<Row> {
    return await this.#session.write(async (connection) => {
      const results = await connection.script(change).catch((error: unknown) => {
        // The transaction may be open still, and its locks with it.
        connection.end();
        throw error;
      });
      const [replicas, outcome] = results.slice(-3);
      if (replicas!.rows[0]!.replicas === '' && connection.isPostgres && !this.#mayBeUnreplicated) throw unreplicated();
      return outcome!.rows[0] ?? {};
    });
  }

  #read(statement: Statement, values: readonly unknown[]): Promise<Row[]> {
    return this.#session.read(
      (connection) => connection.run(statements.CONFIRM, []),
      async (connection: Connection) => (await connection.run(statement, values)).rows,
    );
  }

  async #readOne(statement: Statement, values: readonly unknown[]): Promise<Row> {
    return (await this.#read(statement, values))[0]!;
  }

  async #countsOf(shards: readonly number[]): Promise<{ shard: number; count: number }[]> {
    const counts: { shard: number; count: number }[] = [];
    const distinct = [...new Set(shards)];
    for (let start = 0; start < distinct.length; start += COUNTED_SHARDS) {
      const some = smalls(distinct.slice(start, start + COUNTED_SHARDS));
      for (const { shard, count } of await this.#read(statements.COUNT_CHANNELS, [some]))
        counts.push({ shard: Number(shard), count: Number(count) });
    }
    return counts;
  }
}

/** Shards that have so few channels together that one answer has them all, or one shard that has more. */
function* batches(counts: readonly { shard: number; count: number }[]): Iterable<{ shards: number[]; count: number }> {
  let batch = { shards: [] as number[], count: 0 };
  for (const { shard, count } of counts) {
    if (batch.shards.length > 0 && batch.count + count > BLOCK_ROWS) {
      yield batch;
      batch = { shards: [], count: 0 };
    }
    batch.shards.push(shard);
    batch.count += count;
  }
  if (batch.shards.length > 0) yield batch;
}

/** Why the database did not do it, where that is the fence. */
function refusalOf({ node, epoch, holding }: Fence, now: Row | undefined): ClaimwireError | undefined {
  if (now?.epoch !== String(epoch))
    return rules.fenced(node, `expected epoch ${epoch} in the database, got ${now?.epoch ?? 'none'}`);
  if (now.holding === String(holding)) return undefined;
  return rules.fenced(node, `expected ${holding} shards given away in the database, got ${now.holding}`);
}

function unreplicated(): ClaimwireError {
  return new ClaimwireError(
    'STORE_UNREPLICATED',
    'store: expected synchronous_standby_names to name a standby, got none; set it',
  );
}

function pulseOf({ version, members }: Row): ClusterPulse {
  const list = JSON.parse(members ?? '[]') as (Omit<Member, 'places'> & { places: string })[];
  return {
    version: Number(version),
    members: list
      .map((member) => ({ ...member, places: JSON.parse(member.places) as string[] }))
      .sort((left, right) => (left.node < right.node ? -1 : 1)),
  };
}

/** A byte string as the server prints it: \x and hexadecimal digits. */
function bytesOf(text: string | null | undefined): Buffer<ArrayBuffer> {
  return Buffer.from(text!.slice(2), 'hex');
}

function newKey(): string {
  return randomBytes(16).toString('hex');
}
