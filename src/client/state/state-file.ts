/** A payer's state in a file, locked while the payer lives: records are appended, and rewritten when they are many. */
import { realpathSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FileFault, readSmallFile } from '../../system/regular-file.ts';
import {
  type KeptRecord,
  PayerState,
  type StateRecord,
  type StateStore,
  stateError,
  writeFailed,
} from './payer-state.ts';
import { lockState } from './state-lock.ts';
import { parseState, stateLine, stateText } from './state-text.ts';

/** Two million channels' worth. */
const STATE_BYTES_MAX = 256 << 20;
/** Bytes appended before the file is rewritten: at least so many, and at least as many as the last whole copy has. */
const APPENDED_BYTES_MIN = 1 << 20;

export class StateFile extends PayerState {
  /**
   * Opens the file, or makes it. Rejects with ClaimwireError STATE_LOCKED (another live payer has it), STATE_INVALID
   * (damaged, or no state file), or STATE_FAILED.
   */
  static async open(file: string): Promise<StateFile> {
    const path = realPath(file);
    const release = await lockState(path);
    try {
      const records = read(path);
      const store = new FileStore(path, release, records);
      await store.rewrite().catch((error: unknown) => {
        throw writeFailed(path, error);
      });
      return new StateFile(store, records);
    } catch (error) {
      await release();
      throw error;
    }
  }
}

class FileStore implements StateStore {
  readonly name: string;
  readonly #release: () => Promise<void>;
  /** What the file has. */
  readonly #records: Map<string, StateRecord>;
  #handle: FileHandle | undefined;
  #copyBytes = 0;
  #appendedBytes = 0;

  constructor(path: string, release: () => Promise<void>, records: Map<string, StateRecord>) {
    this.name = path;
    this.#release = release;
    this.#records = records;
  }

  async write(records: readonly KeptRecord[]): Promise<void> {
    const text = stateLine(records);
    await this.#handle!.appendFile(text);
    await this.#handle!.datasync();
    for (const [id, record] of records) this.#records.set(id, record);
    this.#appendedBytes += text.length;
    if (this.#appendedBytes > Math.max(APPENDED_BYTES_MIN, this.#copyBytes)) await this.rewrite();
  }

  /** Replaces the file by a new copy, synced before and after it gets the name. */
  async rewrite(): Promise<void> {
    const text = stateText(this.#records);
    const made = `${this.name}.new`;
    await rm(made, { force: true });
    const handle = await open(made, 'ax', 0o600);
    try {
      await handle.appendFile(text);
      await handle.sync();
      await rename(made, this.name);
      await syncFolder(dirname(this.name));
    } catch (error) {
      await handle.close();
      throw error;
    }
    await this.#handle?.close();
    this.#handle = handle;
    this.#copyBytes = text.length;
    this.#appendedBytes = 0;
  }

  async close(): Promise<void> {
    try {
      await this.#handle?.close();
    } finally {
      await this.#release();
    }
  }
}

/** The path without links, so that two names of one file have one lock. */
function realPath(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return resolve(file);
  }
}

function read(path: string): Map<string, StateRecord> {
  try {
    return parseState(readSmallFile(path, STATE_BYTES_MAX).bytes.toString('latin1'), path);
  } catch (error) {
    if (!(error instanceof FileFault)) throw error;
    if (error.reason === 'ENOENT') return new Map();
    throw stateError(`expected a readable file, got ${error.reason} for ${path}`, error);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}
