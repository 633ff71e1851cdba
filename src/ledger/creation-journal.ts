/**
 * Creations of channels that this node submitted for payers, on stable storage: written before the submission, so that one
 * whose answer is lost is found again, by this process or the next, and not made twice. A side table; where nodes share a store, an
 * entry belongs to the shard of its channel. Main thread.
 */
import { shardOfChannel } from '../../protocol/shard.ts';
import { defaultChannelId } from '../channel/parse.ts';
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

export const CREATIONS_TABLE = 'creations';
/** Of channels that are open and did not pay yet; the oldest are forgotten. */
const OPENED_MAX = 1_024;

export class CreationJournal {
  readonly #tables: SideTables;
  readonly #entries = new Map<string, CreationEntry>();
  /** Of shards that are being given away. */
  #parked: CreationEntry[] = [];

  /** Reads what is there. Throws REGISTRY_CORRUPT where a later version has written it. */
  constructor(tables: SideTables) {
    this.#tables = tables;
    this.load(tables.entries(CREATIONS_TABLE));
  }

  /** Takes in entries, also those of shards that the node gets. Throws REGISTRY_CORRUPT. */
  load(entries: Iterable<readonly [Uint8Array, Uint8Array]>): void {
    for (const [key, value] of entries) {
      const entry = unversioned(value, `creation ${Buffer.from(key).toString('hex')}`) as CreationEntry;
      this.#entries.set(entry.ledgerChannelId, entry);
    }
  }

  /** Leaves the entries of these shards alone, until `serve` or `drop`. */
  drain(shards: ReadonlySet<number>): void {
    for (const entry of this.#entries.values()) if (shards.has(shardOfCreation(entry))) this.#parked.push(entry);
    for (const { ledgerChannelId } of this.#parked) this.#entries.delete(ledgerChannelId);
  }
  serve(shards: ReadonlySet<number>): void {
    for (const entry of this.#parked)
      if (shards.has(shardOfCreation(entry))) this.#entries.set(entry.ledgerChannelId, entry);
    this.drop(shards);
  }
  drop(shards: ReadonlySet<number>): void {
    this.#parked = this.#parked.filter((entry) => !shards.has(shardOfCreation(entry)));
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
    const change = {
      table: CREATIONS_TABLE,
      key: keyOf(entry),
      value: versioned(entry),
      shard: shardOfCreation(entry),
    };
    await this.#tables.commit([change, ...forgotten.map(removalOf)]);
    this.#entries.delete(entry.ledgerChannelId);
    this.#entries.set(entry.ledgerChannelId, entry);
    for (const { ledgerChannelId } of forgotten) this.#entries.delete(ledgerChannelId);
  }
}

function keyOf({ ledgerChannelId }: Pick<CreationEntry, 'ledgerChannelId'>): Uint8Array {
  return new Uint8Array(Buffer.from(ledgerChannelId, 'hex'));
}

function removalOf(entry: CreationEntry): SideChange {
  return { table: CREATIONS_TABLE, key: keyOf(entry), shard: shardOfCreation(entry) };
}

/** Of the channel that it makes. */
export function shardOfCreation(entry: Pick<CreationEntry, 'ledgerChannelId'>): number {
  return shardOfChannel(defaultChannelId(keyOf(entry)));
}
