/**
 * Creations of channels that this node submitted for payers, on stable storage: written before the submission, so that one
 * whose answer is lost is found again, by this process or the next, and not made twice. A side table. Main thread.
 */
import type { SideChange, SideTables } from '../registry/side-tables.ts';
import { unversioned, versioned } from './view.ts';

/** A transaction from before its submission on, until its channel has paid. */
export interface CreationEntry {
  /** The channel's id, 64 upper-case hex digits: it follows from account, destination and sequence. */
  ledgerChannelId: string;
  account: string;
  /** The key that signs claims, in hex. */
  publicKey: string;
  hash: string;
  /** Signed, in hex; empty once the channel is open. */
  blob: string;
  firstLedger: number;
  lastLedger: number;
}

const TABLE = 'creations';
/** Of channels that are open and did not pay yet; the oldest are forgotten. */
const OPENED_MAX = 1_024;

export class CreationJournal {
  readonly #tables: SideTables;
  readonly #entries = new Map<string, CreationEntry>();

  /** Reads what is there. Throws REGISTRY_CORRUPT where a later version has written it. */
  constructor(tables: SideTables) {
    this.#tables = tables;
    for (const [key, value] of tables.entries(TABLE)) {
      const entry = unversioned(value, `creation ${Buffer.from(key).toString('hex')}`) as CreationEntry;
      this.#entries.set(entry.ledgerChannelId, entry);
    }
  }

  get(ledgerChannelId: string): CreationEntry | undefined {
    return this.#entries.get(ledgerChannelId);
  }

  /** Those whose channel is not open yet. */
  pending(): CreationEntry[] {
    return [...this.#entries.values()].filter(({ blob }) => blob !== '');
  }

  /** Of one payer and key, newest last. */
  of(account: string, publicKey: string): CreationEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.account === account && entry.publicKey === publicKey);
  }

  /** Only after it resolves may the transaction be submitted. */
  begin(entry: CreationEntry): Promise<void> {
    return this.#put(entry, []);
  }

  /** The channel is open. */
  async opened(entry: CreationEntry): Promise<void> {
    const opened = [...this.#entries.values()].filter(({ blob }) => blob === '');
    const old = opened.slice(0, Math.max(0, opened.length + 1 - OPENED_MAX));
    await this.#put({ ...entry, blob: '' }, old);
  }

  /** It made no channel, or its channel has paid. */
  async forget(entry: CreationEntry): Promise<void> {
    await this.#tables.commit([removalOf(entry)]);
    this.#entries.delete(entry.ledgerChannelId);
  }

  async #put(entry: CreationEntry, forgotten: readonly CreationEntry[]): Promise<void> {
    const key = keyOf(entry);
    await this.#tables.commit([{ table: TABLE, key, value: versioned(entry) }, ...forgotten.map(removalOf)]);
    this.#entries.delete(entry.ledgerChannelId);
    this.#entries.set(entry.ledgerChannelId, entry);
    for (const { ledgerChannelId } of forgotten) this.#entries.delete(ledgerChannelId);
  }
}

function keyOf({ ledgerChannelId }: CreationEntry): Uint8Array {
  return new Uint8Array(Buffer.from(ledgerChannelId, 'hex'));
}

function removalOf(entry: CreationEntry): SideChange {
  return { table: TABLE, key: keyOf(entry) };
}
