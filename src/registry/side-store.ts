/**
 * The side tables of a data folder, in an LMDB environment of their own (`DIR/side`), so that their commits never wait for
 * a checkpoint of a million channels.
 *
 * Main thread only (LMDB commits in a thread of its own). The folder is made by the first commit: a node that needs no side
 * tables has none, and an old data folder gets one when it is needed. One transaction runs at a time; the calls that come
 * meanwhile share the next one and its sync.
 */
import { join } from 'node:path';
import { ClaimwireError } from '../errors.ts';
import { nodeSystem, type System } from '../system/system.ts';
import { encodeRecord } from './check.ts';
import { createEnvironment, type Database, openEnvironment } from './environment.ts';
import { registryFault } from './fault.ts';
import { entryKey, FORMAT_KEY, SIDE_FORMAT, sealed, tablePrefix, unsealed } from './side-check.ts';
import { SIDE_LIMITS, type SideChange, type SideTables } from './side-tables.ts';

/** Address space, not memory: some ten million small entries. */
const MAP_BYTES = 4 * 2 ** 30;
/** What an entry costs beyond its bytes, so that removals and small entries are bounded too. */
const ENTRY_BYTES = 64;

/** A call of `commit` that waits for its transaction. */
interface WaitingCall {
  entries: { key: Buffer; value: Buffer | undefined }[];
  bytes: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

export function sideFolder(data: string): string {
  return join(data, 'side');
}

export class SideStore implements SideTables {
  readonly directory: string;
  readonly #system: System;
  private database: Database | undefined;
  #waiting: WaitingCall[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  /** After REGISTRY_FAILED it is not known what the file holds: nothing is written any more. */
  #failure: ClaimwireError | undefined;

  private constructor(directory: string, system: System) {
    this.directory = directory;
    this.#system = system;
  }

  /**
   * Opens the tables in `directory` where there are any. LMDB trusts its file, so call `checkSideTables` first.
   * @throws ClaimwireError CONFIG_INVALID where the folder cannot be opened
   */
  static open(directory: string, system: System = nodeSystem): SideStore {
    const store = new SideStore(directory, system);
    if (system.files.existsSync(directory)) store.database = openEnvironment(directory, MAP_BYTES, false);
    return store;
  }

  get(table: string, key: Uint8Array): Uint8Array | undefined {
    const bytes = this.database?.getBinary(entryKey(table, key));
    return bytes === undefined ? undefined : new Uint8Array(unsealed(bytes));
  }

  *entries(table: string, from?: Uint8Array): Iterable<readonly [Uint8Array, Uint8Array]> {
    const prefix = tablePrefix(table);
    // No name has a byte above 'z', so this is behind all keys of the table, and before any other table.
    const end = Buffer.from(prefix);
    end[end.length - 1]! += 1;
    const start = from === undefined ? prefix : Buffer.concat([prefix, from]);
    for (const { key, value } of this.database?.getRange({ start, end }) ?? [])
      yield [new Uint8Array(key.subarray(prefix.length)), new Uint8Array(unsealed(value))];
  }

  async commit(changes: readonly SideChange[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const entries = changes.map(({ table, key, value }) => {
      const whole = entryKey(table, key);
      return { key: whole, value: value && sealed(whole, value) };
    });
    const bytes = entries.reduce((sum, { key, value }) => sum + ENTRY_BYTES + key.length + (value?.length ?? 0), 0);
    if (this.#waitingBytes + bytes > SIDE_LIMITS.waitingBytesMax)
      throw new ClaimwireError(
        'NODE_BUSY',
        `side tables: expected at most ${SIDE_LIMITS.waitingBytesMax} bytes of changes to wait, got ${this.#waitingBytes + bytes}; try again later`,
      );
    this.#waitingBytes += bytes;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ entries, bytes, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Waits for the commits under way, then closes the file. */
  async close(): Promise<void> {
    await this.#running;
    await this.database?.close();
    this.database = undefined;
  }

  async #run(): Promise<void> {
    // Calls of one event turn share the first transaction.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const calls = this.#waiting;
      this.#waiting = [];
      const error = await this.#write(calls);
      for (const { bytes, resolve, reject } of calls) {
        this.#waitingBytes -= bytes;
        if (error === undefined) resolve();
        else reject(error);
      }
    }
    this.#running = undefined;
  }

  /** Makes the changes of all calls in one transaction. Returns the reason where it failed. */
  async #write(calls: readonly WaitingCall[]): Promise<ClaimwireError | undefined> {
    if (this.#failure !== undefined) return this.#failure;
    try {
      const database = this.database ?? this.#create();
      await database.batch(() => {
        for (const { entries } of calls)
          for (const { key, value } of entries) {
            if (value === undefined) database.remove(key);
            else database.put(key, value);
          }
      });
      return undefined;
    } catch (error) {
      const bytes = calls.reduce((sum, call) => sum + call.bytes, 0);
      const fault = await registryFault(this.directory, error, bytes);
      if (fault.code === 'REGISTRY_FAILED') this.#failure = fault;
      return fault;
    }
  }

  #create(): Database {
    if (!this.#system.files.existsSync(this.directory)) {
      const format = [FORMAT_KEY, encodeRecord({ format: SIDE_FORMAT })] as const;
      createEnvironment(this.directory, MAP_BYTES, format, this.#system);
    }
    this.database = openEnvironment(this.directory, MAP_BYTES, false);
    return this.database;
  }
}
