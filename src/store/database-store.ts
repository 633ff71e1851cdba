/**
 * The store in a database that several nodes share. The data folder has the lock and the node's name, and no channels. Main
 * thread; each thread that commits has its own handle of the database (database-log.ts).
 *
 * A start enters under a new epoch, so that nothing an earlier run still writes is taken. It then loads the channels of its
 * shards, and the claims of the groups that they may lack: its own, and those of nodes that it took shards from.
 */
import { claimChannelHigh, claimChannelLow } from '../../protocol/claim.ts';
import { ROW_BYTES } from '../channel/row.ts';
import type { ChannelTable } from '../channel/table.ts';
import { ClaimwireError } from '../errors.ts';
import { type NodeFolder, openNodeFolder } from '../folder/node-folder.ts';
import { RECORD_BYTES } from '../journal/record.ts';
import type { Logger } from '../log.ts';
import type { ChannelStore, RowStore } from '../registry/channel-store.ts';
import type { System } from '../system/system.ts';
import { type ClaimDatabase, type ClusterState, SHARDS, type Shard } from './claim-database.ts';
import { SEGMENT_GROUPS } from './database-log.ts';
import { DatabaseRows } from './database-rows.ts';
import { DatabaseSides } from './database-sides.ts';
import { endsNode, Heartbeat } from './heartbeat.ts';
import { HeldFence } from './held-fence.ts';
import { type DatabaseAddress, openDatabase } from './open-database.ts';
import { ReplicationWatch } from './replication-watch.ts';
import type { ClaimLogs, OpenedStore, SharedStore } from './store.ts';
import { StoreCounts, type StoreFigures } from './store-figures.ts';
import { StoreWatch } from './store-watch.ts';

/** A checkpoint is due when a lane has stored so many segments: some 4,000 groups, 400 MB at most. */
const CHECKPOINT_SEGMENTS = 16;

export interface DatabaseStoreOptions {
  data: string;
  address: DatabaseAddress;
  /** The node's name; by default the one that the folder keeps. */
  nodeName: string | undefined;
  /** The node takes part in no cluster: it serves every shard, so that nobody else may hold any. */
  isAlone: boolean;
  system: System;
  logger: Logger;
  /** Called once, when the node cannot go on: it was taken over, or the database fails for good. */
  onFailure: (error: Error) => void;
  open?: typeof openDatabase;
  openFolder?: typeof openNodeFolder;
}

export class DatabaseStore implements OpenedStore {
  readonly kind = 'postgres';
  /** Number of channels in the database: the table must have room for those of any shard. */
  readonly count: number;
  /** For what the node itself writes; its calls come one at a time. */
  readonly database: ClaimDatabase;
  /** For what must not wait behind those: pulses and beats. */
  readonly watchDatabase: ClaimDatabase;
  readonly fence: HeldFence;
  /** Of a node in a cluster. */
  readonly heart: Heartbeat | undefined;
  readonly rows: RowStore;
  readonly sides: DatabaseSides;
  readonly watch: StoreWatch;
  readonly #replication: ReplicationWatch;
  /** Of the lanes' handles, and of the node's own. */
  readonly #appends = new StoreCounts();
  readonly #calls: StoreCounts;
  readonly #options: DatabaseStoreOptions;
  readonly #folder: NodeFolder;
  /** The node's shards at the start, and the version of the map that says so. */
  readonly #shards: readonly Shard[];
  readonly #version: number;

  private constructor(
    options: DatabaseStoreOptions,
    parts: Pick<DatabaseStore, 'count' | 'database' | 'watchDatabase' | 'fence' | 'heart' | 'sides'> & {
      calls: StoreCounts;
    },
    folder: NodeFolder,
    { shards, version }: Pick<ClusterState, 'shards' | 'version'>,
  ) {
    this.#options = options;
    this.#version = version;
    this.#folder = folder;
    this.#shards = shards;
    this.count = parts.count;
    this.database = parts.database;
    this.watchDatabase = parts.watchDatabase;
    this.fence = parts.fence;
    this.heart = parts.heart;
    this.sides = parts.sides;
    this.#calls = parts.calls;
    this.rows = new DatabaseRows(this.database, this.fence);
    this.watch = new StoreWatch({
      database: this.watchDatabase,
      fence: () => this.fence.fence,
      clock: options.system.clock,
      onFailure: options.onFailure,
    });
    this.#replication = new ReplicationWatch(this.watchDatabase, options.system.clock);
  }

  /** Throws CONFIG_INVALID, DATA_LOCKED, STORE_UNREACHABLE, STORE_UNREPLICATED, STORE_FAILED or DEPENDENCY_MISSING. */
  static async open({ onFailure, ...given }: DatabaseStoreOptions): Promise<DatabaseStore> {
    // The watch and the heartbeat may both find that the node was taken over.
    let hasFailed = false;
    const options: DatabaseStoreOptions = {
      ...given,
      onFailure: (error) => {
        if (!hasFailed) onFailure(error);
        hasFailed = true;
      },
    };
    const { data, address, nodeName, isAlone, system, open = openDatabase, openFolder = openNodeFolder } = options;
    const folder = await openFolder(data, nodeName, system);
    const handles: ClaimDatabase[] = [];
    const calls = new StoreCounts();
    let heart: Heartbeat | undefined;
    try {
      const database = await open(address, calls);
      handles.push(database);
      const watchDatabase = await open(address, calls);
      handles.push(watchDatabase);
      if (isAlone) expectAlone(await database.state(), folder.name);
      // Before the others wait for a beat, since it may take seconds. A survivor may come to hold all that there is.
      const count = await database.countChannels(Array.from({ length: SHARDS }, (_, shard) => shard));
      const fence = HeldFence.of(await database.enter(folder.name));
      // From here on the others wait for beats: what is read and made room for below may take longer than they wait.
      if (!isAlone) heart = beatOf(watchDatabase, fence, options);
      const state = await database.state();
      if (isAlone) expectAlone(state, folder.name);
      const shards = state.shards.filter(({ node }) => node === folder.name);
      const held = shards.map(({ shard }) => shard);
      const sides = await DatabaseSides.load(database, fence, held);
      const parts = { count, database, watchDatabase, fence, heart, sides, calls };
      return new DatabaseStore(options, parts, folder, { ...state, shards });
    } catch (error) {
      await Promise.all([heart?.stop(), ...handles.map((handle) => handle.close())]);
      folder.lock.release();
      throw error;
    }
  }

  get shared(): SharedStore | undefined {
    const { database, watchDatabase, fence, heart, sides } = this;
    if (heart === undefined) return undefined;
    return {
      database,
      watchDatabase,
      fence,
      heart,
      sides,
      held: this.#shards.map(({ shard }) => shard),
      version: this.#version,
    };
  }
  get name(): string {
    return this.#folder.name;
  }
  get isAnswering(): boolean {
    return this.watch.isAnswering;
  }
  get figures(): StoreFigures {
    return {
      silentMs: Math.round(this.watch.silentMs),
      reconnects: this.#appends.reconnects + this.#calls.reconnects,
      appends: this.#appends.retries,
      calls: this.#calls.retries,
      mayBeUnreplicated: this.#options.address.mayBeUnreplicated,
      replication: this.#replication.figures,
    };
  }

  async recover(channels: ChannelStore, table: ChannelTable, lanes: number): Promise<ClaimLogs> {
    const { logger, address } = this.#options;
    const numbers = this.#shards.map(({ shard }) => shard);
    const loaded = await loadRows(this.database, numbers, channels);
    const sources = this.#shards.flatMap(({ source }) => source ?? []);
    for (const node of new Set([this.name, ...sources])) {
      const { groups, claims, passedOver } = await replayGroups(this.database, node, table);
      if (groups > 0)
        logger.info(
          `store: replayed ${claims} claims of ${groups} groups of ${node}; passed over ${passedOver} of channels that are removed or held elsewhere`,
        );
    }
    logger.info(
      `store: ${this.name} has epoch ${this.fence.fence.epoch}, ${numbers.length} shards, ${loaded} channels`,
    );
    const taken = this.#shards.filter(({ source }) => source !== undefined).map(({ shard }) => shard);
    const start = { database: { address, fence: this.fence.start, counts: this.#appends.words } };
    return new DatabaseLogs(this.database, this.fence, taken, new Array(lanes).fill(start));
  }

  abandon(): void {
    this.watch.stop();
    this.#replication.stop();
    void this.heart?.stop();
    // What is under way rejects; the connections are gone either way.
    for (const handle of [this.database, this.watchDatabase]) handle.close().catch(() => {});
  }

  async close(): Promise<void> {
    this.watch.stop();
    this.#replication.stop();
    await Promise.allSettled([this.heart?.stop(), this.database.close(), this.watchDatabase.close()]);
    this.#folder.lock.release();
  }
}

/** The groups that the lanes have stored, as the main thread drops them. */
class DatabaseLogs implements ClaimLogs {
  readonly starts: ClaimLogs['starts'];
  readonly #database: ClaimDatabase;
  readonly #fence: HeldFence;
  /** Shards whose channels have the claims of the node that they were taken from, once the logs begin. */
  readonly #taken: readonly number[];
  /** By lane. */
  #released: number[];

  constructor(database: ClaimDatabase, fence: HeldFence, taken: readonly number[], starts: ClaimLogs['starts']) {
    this.#database = database;
    this.#fence = fence;
    this.#taken = taken;
    this.starts = starts;
    this.#released = starts.map(() => 0);
  }

  async begin(): Promise<void> {
    if (this.#taken.length > 0) await this.#fence.write((fence) => this.#database.folded(fence, this.#taken));
    await this.#drop([]);
  }

  async prepare(): Promise<void> {}

  hasGrown(segments: readonly number[]): boolean {
    return segments.some((segment, lane) => segment - this.#released[lane]! >= CHECKPOINT_SEGMENTS);
  }

  async release(segments: readonly number[]): Promise<void> {
    if (segments.every((segment, lane) => segment === this.#released[lane])) return;
    await this.#drop(segments.map((segment) => segment * SEGMENT_GROUPS));
    this.#released = [...segments];
  }

  async end(segments: readonly number[]): Promise<void> {
    await this.#drop(segments.map(() => Number.MAX_SAFE_INTEGER));
  }

  #drop(below: readonly number[]): Promise<void> {
    return this.#fence.write((fence) => this.#database.dropGroups(fence, below));
  }
}

function beatOf(
  database: ClaimDatabase,
  fence: HeldFence,
  { system, logger, onFailure }: DatabaseStoreOptions,
): Heartbeat {
  const onError = (error: unknown): void => {
    if (!(error instanceof ClaimwireError) || endsNode(error)) onFailure(error as Error);
    else logger.warn(`store, beat: ${error.message}; it is tried again`);
  };
  return new Heartbeat({ database, fence: () => fence.fence, clock: system.clock, onError });
}

/** Two nodes that serve every shard would both serve each channel. */
function expectAlone({ shards }: ClusterState, name: string): void {
  const elsewhere = shards.filter(({ node }) => node !== undefined && node !== name);
  const [first] = elsewhere;
  if (first === undefined) return;
  throw new ClaimwireError(
    'CONFIG_INVALID',
    `store: expected no other node in the database, got ${first.node}, which holds ${elsewhere.length} of ${shards.length} shards with whoever else is there; give --cluster, or --node-name ${first.node} where this is that node's new folder`,
  );
}

async function loadRows(database: ClaimDatabase, shards: readonly number[], channels: ChannelStore): Promise<number> {
  const count = await database.readChannels(shards, (rows) => {
    const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
    for (let offset = 0; offset < rows.length; offset += ROW_BYTES) channels.load(rows, view, offset);
  });
  channels.indexRemoved();
  return count;
}

/** Commits a node's claims to the table. A claim of a channel that is not in it was removed, or its shard is held elsewhere. */
async function replayGroups(
  database: ClaimDatabase,
  node: string,
  table: Pick<ChannelTable, 'find' | 'commit'>,
): Promise<{ groups: number; claims: number; passedOver: number }> {
  let claims = 0;
  let passedOver = 0;
  const groups = await database.readGroups(node, ({ epoch, lane, group, records }) => {
    if (records.length % RECORD_BYTES !== 0)
      throw new ClaimwireError(
        'STORE_FAILED',
        `store: expected records of ${RECORD_BYTES} bytes in group ${group} of lane ${lane}, epoch ${epoch} of ${node}, got ${records.length} bytes; restore the table claim_groups`,
      );
    const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
    for (let offset = 0; offset < records.length; offset += RECORD_BYTES) {
      const row = table.find(claimChannelHigh(view, offset), claimChannelLow(view, offset));
      if (row < 0) passedOver++;
      else table.commit(row, view, offset);
      claims++;
    }
  });
  return { groups, claims, passedOver };
}
