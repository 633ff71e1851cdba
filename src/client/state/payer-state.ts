/**
 * What a payer keeps over restarts, for each channel: the highest amount it may have signed, the highest that was
 * acknowledged, and a sequence that no claim has passed. In Node it is a file (state-file.ts), in a page IndexedDB
 * (browser/page-state.ts). Payer's thread.
 *
 * An amount is kept before it is signed, so that after any crash the node holds no more than the state says. All
 * amounts that come while one write is under way share the next, so one sync covers many claims. The state has the exact
 * amounts, none reserved ahead: otherwise a node that lies could be paid what nobody asked for.
 */
import { ClaimwireError } from '../../errors.ts';
import type { Flow } from '../flow.ts';
import { upperHex } from '../keys/key-pair.ts';

/** Sequences reserved ahead, so that most claims need no write for theirs. A crash loses them, a close does not. */
const SEQUENCES_AHEAD = 1_024;
/** Where channels share the sequences of a key's roots: each of them moves on with every root, written or not. */
const ROOTS_AHEAD = 65_536;
const SEQUENCE_MAX = 2 ** 32 - 1;

export interface StateRecord {
  /** Highest amount acknowledged as durable, drops. */
  committed: bigint;
  /** Highest amount that may have been signed, drops. */
  signed: bigint;
  /** No claim has a higher sequence. */
  sequence: number;
}

/** One channel's record, as it is kept or about to be. */
export interface StateEntry {
  /** 64 upper-case hex digits. */
  readonly ledgerChannelId: string;
  /** What was kept when the state was opened; undefined for a new channel. */
  readonly found: StateRecord | undefined;
  /** What is kept, and what the next write will keep. */
  readonly written: StateRecord;
  readonly next: StateRecord;
  flow: Flow | undefined;
}

/** A ledger channel id of 64 upper-case hex digits, and its record. */
export type KeptRecord = readonly [string, StateRecord];

/** Where the records are kept. */
export interface StateStore {
  /** For messages. */
  readonly name: string;
  /** Keeps the records: when it resolves, no crash loses them. */
  write(records: readonly KeptRecord[]): Promise<void>;
  /** Another payer may open it. */
  close(): Promise<void>;
}

export class PayerState {
  readonly #store: StateStore;
  readonly #entries = new Map<string, StateEntry>();
  readonly #found: ReadonlyMap<string, StateRecord>;
  #dirty = new Set<StateEntry>();
  /** The next write, which will include what is dirty now. */
  #group: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failure: ClaimwireError | undefined;

  /** @param found what the store has */
  constructor(store: StateStore, found: ReadonlyMap<string, StateRecord>) {
    this.#store = store;
    this.#found = found;
  }

  /** @param ledgerChannelId 32 bytes */
  entry(ledgerChannelId: Uint8Array): StateEntry {
    const id = upperHex(ledgerChannelId);
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const found = this.#found.get(id);
    const record = found ?? { committed: 0n, signed: 0n, sequence: 0 };
    const entry = {
      ledgerChannelId: id,
      found: found && { ...found },
      written: { ...record },
      next: { ...record },
      flow: undefined,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  /**
   * Records that a claim of `amount` may be signed. Returns undefined where all that this needs is kept, otherwise a
   * promise of the write, which rejects with ClaimwireError STATE_FAILED.
   */
  record(entry: StateEntry, amount: bigint, flow: Flow): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { written, next } = entry;
    // A promise causes at most two signatures: one when it is made, one after a refusal of the claim that it waited for.
    const last = Math.max(flow.lastSequence, flow.roots?.key.sequence ?? 0);
    const ahead = flow.roots === undefined ? SEQUENCES_AHEAD : ROOTS_AHEAD;
    // A claim may wait for its root for as long as somebody waits for it, and roots go on meanwhile: half of what is reserved is for that.
    const sequencesNeeded = 2 * (flow.waiters.length + 2) + (flow.roots === undefined ? 0 : ROOTS_AHEAD / 2);
    if (amount <= written.signed && written.sequence - last >= sequencesNeeded) return undefined;
    entry.flow = flow;
    if (amount > next.signed) next.signed = amount;
    next.sequence = Math.min(last + sequencesNeeded + ahead, SEQUENCE_MAX);
    this.#dirty.add(entry);
    this.#group ??= this.#nextGroup();
    return this.#group;
  }

  /** Writes what was acknowledged and which sequences were used, and closes the store. */
  async close(): Promise<void> {
    await this.#writing;
    try {
      if (this.#failure !== undefined) return;
      for (const entry of this.#entries.values()) {
        if (entry.flow === undefined) continue;
        entry.next.sequence = entry.flow.lastSequence;
        this.#dirty.add(entry);
      }
      await this.#write();
    } finally {
      this.#failure = failed('expected an open payer, got a closed one');
      await this.#store.close();
    }
  }

  /** Starts a write after the one under way, and after the turn's other claims have come. */
  #nextGroup(): Promise<void> {
    const group = this.#writing.then(() => {
      this.#group = undefined;
      return this.#write();
    });
    this.#writing = group.catch(() => {});
    return group;
  }

  /** After a failed write it is not known what is kept, so nothing more is signed. */
  async #write(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const entries = [...this.#dirty];
    this.#dirty.clear();
    if (entries.length === 0) return;
    const records = entries.map((entry) => [entry.ledgerChannelId, snapshot(entry)] as const);
    try {
      await this.#store.write(records);
    } catch (error) {
      this.#failure = writeFailed(this.#store.name, error);
      throw this.#failure;
    }
    for (const [index, { written }] of entries.entries()) Object.assign(written, records[index]![1]);
  }
}

/** What to write of a channel now, with the acknowledgements since the last write. */
function snapshot({ next, flow }: StateEntry): StateRecord {
  const acknowledged = flow?.committed ?? 0n;
  if (acknowledged > next.committed) next.committed = acknowledged;
  if (next.committed > next.signed) next.signed = next.committed;
  return { ...next };
}

/** The error of a write that failed. */
export function writeFailed(name: string, error: unknown): ClaimwireError {
  const { code, message } = error as Error & { code?: string };
  return failed(`expected to write ${name}, got ${code ?? message}, mend that and open the payer again`, error);
}

function failed(message: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('STATE_FAILED', `state: ${message}`, {}, { cause });
}

export function stateError(message: string, cause?: unknown): ClaimwireError {
  return new ClaimwireError('STATE_INVALID', `state: ${message}`, {}, { cause });
}
