/**
 * What a payer keeps over restarts, for each channel: the highest amount it may have signed, the highest that was
 * acknowledged, and a sequence that no claim has passed. Payer's thread.
 *
 * An amount is on the disk before it is signed, so that after any crash the node holds no more than the file says. All
 * amounts that come while one write is under way share the next, so one sync covers many claims. The file has the exact
 * amounts, none reserved ahead: otherwise a node that lies could be paid what nobody asked for.
 */
import { realpathSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ClaimwireError } from '../../errors.ts';
import { FileFault, readSmallFile } from '../../system/regular-file.ts';
import type { Flow } from '../flow.ts';
import { lockState } from './state-lock.ts';
import { parseState, type StateRecord, stateError, stateLine, stateText } from './state-text.ts';

/** Two million channels' worth. */
const STATE_BYTES_MAX = 256 << 20;
/** Bytes appended before the file is rewritten: at least so many, and at least as many as the last whole copy has. */
const APPENDED_BYTES_MIN = 1 << 20;
/** Sequences reserved ahead, so that most claims need no write for theirs. A crash loses them, a close does not. */
const SEQUENCES_AHEAD = 1_024;
const SEQUENCE_MAX = 2 ** 32 - 1;

/** One channel's line, as it is on the disk or about to be. */
export interface StateEntry {
  readonly ledgerChannelId: string;
  /** What the file said when it was opened; undefined for a new channel. */
  readonly found: StateRecord | undefined;
  /** What is on the disk, and what the next write will put there. */
  readonly written: StateRecord;
  readonly next: StateRecord;
  flow: Flow | undefined;
}

export class StateFile {
  readonly #path: string;
  readonly #release: () => Promise<void>;
  readonly #entries = new Map<string, StateEntry>();
  readonly #found: Map<string, StateRecord>;
  #handle: FileHandle | undefined;
  #copyBytes = 0;
  #appendedBytes = 0;
  #dirty = new Set<StateEntry>();
  /** The next write, which will include what is dirty now. */
  #group: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failure: ClaimwireError | undefined;

  private constructor(path: string, release: () => Promise<void>, found: Map<string, StateRecord>) {
    this.#path = path;
    this.#release = release;
    this.#found = found;
  }

  /**
   * Opens the file, or makes it. Rejects with ClaimwireError STATE_LOCKED (another live payer has it), STATE_INVALID
   * (damaged, or no state file), or STATE_FAILED.
   */
  static async open(file: string): Promise<StateFile> {
    const path = realPath(file);
    const release = await lockState(path);
    try {
      const state = new StateFile(path, release, read(path));
      await state.#guard(() => state.#rewrite());
      return state;
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** @param ledgerChannelId 32 bytes */
  entry(ledgerChannelId: Uint8Array): StateEntry {
    const id = Buffer.from(ledgerChannelId).toString('hex').toUpperCase();
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const found = this.#found.get(id);
    const record = found ?? { committed: 0n, signed: 0n, sequence: 0 };
    const entry = { ledgerChannelId: id, found, written: { ...record }, next: { ...record }, flow: undefined };
    this.#entries.set(id, entry);
    return entry;
  }

  /**
   * Records that a claim of `amount` may be signed. Returns undefined where the disk has all that this needs, otherwise a
   * promise of the write, which rejects with ClaimwireError STATE_FAILED.
   */
  record(entry: StateEntry, amount: bigint, flow: Flow): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { written, next } = entry;
    // A promise causes at most two signatures: one when it is made, one after a refusal of the claim that it waited for.
    const sequencesNeeded = 2 * (flow.waiters.length + 2);
    if (amount <= written.signed && written.sequence - flow.lastSequence >= sequencesNeeded) return undefined;
    entry.flow = flow;
    if (amount > next.signed) next.signed = amount;
    next.sequence = Math.min(flow.lastSequence + sequencesNeeded + SEQUENCES_AHEAD, SEQUENCE_MAX);
    this.#dirty.add(entry);
    this.#group ??= this.#nextGroup();
    return this.#group;
  }

  /** Writes what was acknowledged and which sequences were used, and unlocks the file. */
  async close(): Promise<void> {
    await this.#writing;
    try {
      if (this.#failure === undefined) {
        for (const entry of this.#entries.values()) {
          if (entry.flow === undefined) continue;
          entry.next.sequence = entry.flow.lastSequence;
          this.#dirty.add(entry);
        }
        await this.#guard(() => this.#append());
      }
      await this.#handle?.close();
    } finally {
      this.#failure = failed('expected an open payer, got a closed one');
      await this.#release();
    }
  }

  /** Starts a write after the one under way, and after the turn's other claims have come. */
  #nextGroup(): Promise<void> {
    const group = this.#writing.then(() => {
      this.#group = undefined;
      return this.#guard(() => this.#append());
    });
    this.#writing = group.catch(() => {});
    return group;
  }

  async #append(): Promise<void> {
    const entries = [...this.#dirty];
    this.#dirty.clear();
    if (entries.length === 0) return;
    const records = entries.map((entry) => [entry, snapshot(entry)] as const);
    const text = stateLine(records.map(([{ ledgerChannelId }, record]) => [ledgerChannelId, record]));
    await this.#handle!.appendFile(text);
    await this.#handle!.datasync();
    for (const [{ written }, record] of records) Object.assign(written, record);
    this.#appendedBytes += text.length;
    if (this.#appendedBytes > Math.max(APPENDED_BYTES_MIN, this.#copyBytes)) await this.#rewrite();
  }

  /** Replaces the file by a new copy, synced before and after it gets the name. */
  async #rewrite(): Promise<void> {
    for (const { ledgerChannelId, written, flow } of this.#entries.values())
      if (flow !== undefined) this.#found.set(ledgerChannelId, written);
    const text = stateText(this.#found);
    const made = `${this.#path}.new`;
    await rm(made, { force: true });
    const handle = await open(made, 'ax', 0o600);
    try {
      await handle.appendFile(text);
      await handle.sync();
      await rename(made, this.#path);
      await syncFolder(dirname(this.#path));
    } catch (error) {
      await handle.close();
      throw error;
    }
    await this.#handle?.close();
    this.#handle = handle;
    this.#copyBytes = text.length;
    this.#appendedBytes = 0;
  }

  /** After a failed write it is not known what the disk holds, so nothing more is signed. */
  async #guard(work: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await work();
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
      const message = `expected to write ${this.#path}, got ${reason}, mend that and open the payer again`;
      this.#failure = failed(message, error);
      throw this.#failure;
    }
  }
}

/** What to write of a channel now, with the acknowledgements since the last write. */
function snapshot({ next, flow }: StateEntry): StateRecord {
  const acknowledged = flow?.committed ?? 0n;
  if (acknowledged > next.committed) next.committed = acknowledged;
  if (next.committed > next.signed) next.signed = next.committed;
  return { ...next };
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

function failed(message: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('STATE_FAILED', `state: ${message}`, {}, { cause });
}
