/**
 * A payer's state in IndexedDB, with a Web Lock while the payer lives: of two tabs with the same state only one can pay.
 *
 * IndexedDB is what a page has that survives a reload, and is the only store with a `strict` durability: a write is on the
 * disk when its transaction completes, as with a file. The user may delete it, and a browser may under pressure of space;
 * then the payer asks the node for what it can prove (`resume`), as a payer without state does.
 */
import { U64_MAX } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import { type KeptRecord, PayerState, type StateRecord, type StateStore, stateError } from '../state/payer-state.ts';
import { type DatabaseLike, type WebGlobals, web } from '../web-globals.ts';
import { done, openDatabase, result } from './database.ts';

const STORE = 'states';
const SEQUENCE_MAX = 2 ** 32 - 1;

/**
 * Opens the state of that name, or makes it. Rejects with ClaimwireError STATE_LOCKED (another tab or payer has it),
 * STATE_INVALID (damaged, or there is no IndexedDB or no Web Locks: a page needs https or localhost for these).
 */
export async function openPageState(
  name: string,
  globals: Pick<WebGlobals, 'indexedDB' | 'navigator'> = web,
): Promise<PayerState> {
  const release = await lock(`claimwire:${name}`, globals);
  try {
    const database = await openDatabase(`claimwire:${name}`, STORE, globals);
    return new PayerState(new DatabaseStore(name, database, release), await read(name, database));
  } catch (error) {
    release();
    throw error instanceof ClaimwireError ? error : stateError(`expected to open ${name}, got ${String(error)}`, error);
  }
}

class DatabaseStore implements StateStore {
  readonly name: string;
  readonly #database: DatabaseLike;
  readonly #release: () => void;

  constructor(name: string, database: DatabaseLike, release: () => void) {
    this.name = name;
    this.#database = database;
    this.#release = release;
  }

  async write(records: readonly KeptRecord[]): Promise<void> {
    const transaction = this.#database.transaction(STORE, 'readwrite', { durability: 'strict' });
    const store = transaction.objectStore(STORE);
    for (const [id, { committed, signed, sequence }] of records)
      store.put({ committed: String(committed), signed: String(signed), sequence }, id);
    await done(transaction);
  }

  async close(): Promise<void> {
    this.#database.close();
    this.#release();
  }
}

async function read(name: string, database: DatabaseLike): Promise<Map<string, StateRecord>> {
  const store = database.transaction(STORE, 'readonly').objectStore(STORE);
  const [ids, values] = await Promise.all([result(store.getAllKeys()), result(store.getAll())]);
  return new Map(ids.map((id, index) => [String(id), checked(name, values[index])]));
}

function checked(name: string, value: unknown): StateRecord {
  const { committed, signed, sequence } = (value ?? {}) as Record<string, unknown>;
  const amounts = [committed, signed].map((text) => (/^\d{1,20}$/.test(String(text)) ? BigInt(String(text)) : -1n));
  const [least, most] = amounts as [bigint, bigint];
  const isSound = least >= 0n && least <= most && most <= U64_MAX && Number.isInteger(sequence);
  if (isSound && Number(sequence) >= 0 && Number(sequence) <= SEQUENCE_MAX)
    return { committed: least, signed: most, sequence: Number(sequence) };
  throw stateError(
    `expected sound records in ${name}, got a damaged one; ` +
      'delete the site data only where resume() can ask the node, which has the newest claim',
  );
}

/** Resolves with what releases the lock; the browser does so when the page goes away. Rejects with STATE_LOCKED. */
async function lock(name: string, { navigator }: Pick<WebGlobals, 'navigator'>): Promise<() => void> {
  const { locks } = navigator;
  if (locks === undefined) throw stateError('expected Web Locks, got none; serve the page by https, or on localhost');
  return await new Promise((resolve, reject) => {
    const held = locks.request(name, { ifAvailable: true }, (granted) => {
      if (granted === null) {
        const message = `state: expected no other tab or payer with ${name}, got one; close it`;
        reject(new ClaimwireError('STATE_LOCKED', message));
        return Promise.resolve();
      }
      return new Promise<void>((release) => resolve(release));
    });
    held.catch(reject);
  });
}
