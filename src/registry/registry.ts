/**
 * The registry: what is known of every channel at the last checkpoint, in LMDB.
 *
 * Main thread only (LMDB commits in a thread of its own). Rows (channel/row.ts) are packed bytes; nothing is kept in memory
 * per row. The keys are binary: two named records, and 5 bytes for a row, "r" and its position in the order of opening, so
 * that a bulk import appends pages instead of rewriting random ones (a million rows: 1.8 s in place of 20 s, and half the
 * file).
 */
import { dirname } from 'node:path';
import { ROW_BYTES } from '../channel/row.ts';
import { assert, ClaimwireError } from '../errors.ts';
import { nodeSystem, type System } from '../system/system.ts';
import {
  decodeRecord,
  encodeRecord,
  META_KEY,
  OWNER_KEY,
  registryFile,
  rowKey,
  type VisitLeaf,
  walkRegistry,
} from './check.ts';
import { createEnvironment, type Database, openEnvironment } from './environment.ts';
import { registryFault, writeFault } from './fault.ts';
import { isOwnerAlive, type Owner, ownerOf } from './owner.ts';
import type { RegistryMeta, RegistryStore } from './registry-store.ts';

const REGISTRY_FORMAT = 1;
/** Address space, not memory: 10 million rows and their free list take 4 GB after random inserts. */
const MAP_BYTES = 16 * 2 ** 30;

export class Registry implements RegistryStore {
  readonly directory: string;
  private readonly database: Database;
  private readonly readOnly: boolean;
  private rows: number;
  private underWay: Promise<void> = Promise.resolve();

  private constructor(directory: string, readOnly: boolean) {
    this.directory = directory;
    this.readOnly = readOnly;
    this.database = openEnvironment(directory, MAP_BYTES, readOnly);
    this.rows = this.countRows();
  }

  /**
   * Opens the registry in `directory`; makes an empty one where there is none (not when `readOnly`). LMDB trusts its file,
   * so call `checkRegistry` first.
   * @throws ClaimwireError CONFIG_INVALID (cannot be opened), REGISTRY_CORRUPT (no format record, or another format)
   */
  static open(directory: string, options: { readOnly?: boolean; system?: System } = {}): Registry {
    const { readOnly = false, system = nodeSystem } = options;
    const { files } = system;
    if (!files.existsSync(directory) && !readOnly) create(directory, system);
    if (!files.existsSync(registryFile(directory)))
      throw new ClaimwireError('CONFIG_INVALID', `registry ${directory}: expected a registry, got none`, { directory });
    const registry = new Registry(directory, readOnly);
    const { format } = registry.meta;
    if (format === REGISTRY_FORMAT) return registry;
    void registry.close();
    throw new ClaimwireError(
      'REGISTRY_CORRUPT',
      `registry ${directory}: expected format ${REGISTRY_FORMAT}, got ${format}; open it with the version that wrote it`,
      { directory, format },
    );
  }

  get count(): number {
    return this.rows;
  }

  get meta(): RegistryMeta {
    const meta = this.record(META_KEY);
    if (meta === undefined)
      throw new ClaimwireError('REGISTRY_CORRUPT', `registry ${this.directory}: expected a format record, got none`);
    return meta as unknown as RegistryMeta;
  }

  setMeta(change: Partial<Omit<RegistryMeta, 'format' | 'createdAt'>>): void {
    this.writeRecords(() => {
      this.database.putSync(Buffer.from(META_KEY), encodeRecord({ ...this.meta, ...change }));
    });
  }

  /** Reads the file itself, page by page, so that a million rows do not become resident through the map. */
  forEachRow(visit: (row: Uint8Array) => void, visitLeaf?: VisitLeaf): number {
    const count = walkRegistry(this.directory, visit, visitLeaf);
    if (count === this.rows) return count;
    throw new ClaimwireError(
      'REGISTRY_CORRUPT',
      `registry ${this.directory}: expected ${this.rows} channels, got ${count}; restore the folder from a backup`,
    );
  }

  replace(positions: readonly number[], rows: Uint8Array): Promise<void> {
    assert(positions.length <= rows.length / ROW_BYTES, 'a row for each position');
    for (const position of positions) assert(position < this.rows, `rows replaced are there, got ${position}`);
    const behind = this.rows - positions.length;
    const written = this.write(rows, (index) => positions[index] ?? behind + index);
    this.underWay = written.catch(() => {});
    return written;
  }

  /**
   * Records this process (or `owner`) as the owner of the data folder. The recorded owner is checked and replaced in one
   * write transaction, and only one process at a time has one.
   * @throws ClaimwireError DATA_LOCKED while the recorded owner lives
   */
  acquireLock(owner: Owner = ownerOf(process.pid)): void {
    this.writeRecords(() => {
      const recorded = this.record(OWNER_KEY) as unknown as Owner | undefined;
      if (recorded !== undefined && recorded.pid !== process.pid && isOwnerAlive(recorded))
        throw new ClaimwireError(
          'DATA_LOCKED',
          `${dirname(this.directory)}: expected a data folder of our own, got one used by process ${recorded.pid}; stop it or give --data another folder`,
          { pid: recorded.pid },
        );
      this.database.putSync(Buffer.from(OWNER_KEY), encodeRecord(owner));
    });
  }

  /** Removes the record of the owner, if that is this process. */
  releaseLock(): void {
    this.writeRecords(() => {
      if (this.record(OWNER_KEY)?.pid === process.pid) this.database.removeSync(Buffer.from(OWNER_KEY));
    });
  }

  /** Waits for the commit under way, if there is one. */
  async close(): Promise<void> {
    await this.underWay;
    await this.database.close();
  }

  private async write(rows: Uint8Array, positionOf: (index: number) => number): Promise<void> {
    assert(!this.readOnly, 'a read-only registry is not written');
    assert(rows.length % ROW_BYTES === 0, `rows are ${ROW_BYTES} bytes each, got ${rows.length}`);
    if (rows.length === 0) return;
    const copy = Buffer.from(rows);
    try {
      await this.database.batch(() => {
        for (let offset = 0; offset < copy.length; offset += ROW_BYTES)
          this.database.put(rowKey(positionOf(offset / ROW_BYTES)), copy.subarray(offset, offset + ROW_BYTES));
      });
    } catch (error) {
      throw await registryFault(this.directory, error, copy.length);
    }
    this.rows = this.countRows();
  }

  private writeRecords(change: () => void): void {
    try {
      this.database.transactionSync(change);
    } catch (error) {
      throw writeFault(this.directory, error, 0);
    }
  }

  private record(key: string): Record<string, unknown> | undefined {
    const bytes = this.database.getBinary(Buffer.from(key));
    return bytes === undefined ? undefined : decodeRecord(bytes);
  }

  /** From LMDB's own count of entries, which `checkRegistry` has compared with the file. */
  private countRows(): number {
    const { entryCount } = this.database.getStats() as { entryCount: number };
    return entryCount - [META_KEY, OWNER_KEY].filter((key) => this.database.doesExist(Buffer.from(key))).length;
  }
}

/** Makes an empty registry. */
function create(directory: string, system: System): void {
  const { clock, random } = system;
  const meta: RegistryMeta = {
    format: REGISTRY_FORMAT,
    createdAt: new Date(clock.wall()).toISOString(),
    journalId: random(16).toString('hex'),
    replayFrom: [],
  };
  createEnvironment(directory, MAP_BYTES, [Buffer.from(META_KEY), encodeRecord(meta)], system);
}
