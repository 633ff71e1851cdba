/**
 * The accounts in memory, by ledger channel. Main thread.
 *
 * Two generations: an account that is used moves to the younger one; when that is full, it becomes the older one, and what was
 * not used since is forgotten, unless it has something to decide. Others are read again, which takes microseconds.
 */
import type { SideTables } from '../registry/side-tables.ts';
import { Account } from './account.ts';
import { decodeSpent, SPENT_TABLE } from './charge-record.ts';

export class Accounts {
  readonly #tables: SideTables;
  readonly #generationMax: number;
  #younger = new Map<string, Account>();
  #older = new Map<string, Account>();

  /** @param max accounts kept, besides those with something to decide */
  constructor(tables: SideTables, max: number) {
    this.#tables = tables;
    this.#generationMax = Math.max(1, max >> 1);
  }

  get(ledgerChannelId: Uint8Array): Account {
    const id = textOf(ledgerChannelId);
    const known = this.#younger.get(id);
    if (known !== undefined) return known;
    const account = this.#older.get(id) ?? this.#read(ledgerChannelId);
    if (this.#younger.size >= this.#generationMax) this.#age();
    this.#younger.set(id, account);
    return account;
  }

  *[Symbol.iterator](): Iterator<Account> {
    yield* this.#younger.values();
    // One that moved to the younger generation is in both.
    for (const [id, account] of this.#older) if (!this.#younger.has(id)) yield account;
  }

  #read(ledgerChannelId: Uint8Array): Account {
    return new Account(ledgerChannelId.slice(), decodeSpent(this.#tables.get(SPENT_TABLE, ledgerChannelId)));
  }

  #age(): void {
    const stays = new Map<string, Account>();
    for (const [id, account] of this.#older) if (!account.isIdle) stays.set(id, account);
    this.#older = this.#younger;
    this.#younger = stays;
  }
}

/** One character a byte. Of any Uint8Array, without the Buffer that a view of it would be. */
function textOf(bytes: Uint8Array): string {
  return Buffer.prototype.latin1Slice.call(bytes, 0, bytes.length);
}
