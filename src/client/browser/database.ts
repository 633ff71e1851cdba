/** IndexedDB with promises, as much of it as a payer needs. */
import { stateError } from '../state/payer-state.ts';
import type { DatabaseLike, WebGlobals } from '../web-globals.ts';

interface Request<Result> {
  readonly result: Result;
  readonly error: Error | null;
  onsuccess: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}

interface Transaction {
  readonly error: Error | null;
  oncomplete: ((event: never) => void) | null;
  onabort: ((event: never) => void) | null;
}

/** Opens the database with one store in it, or makes it. Rejects with STATE_INVALID where there is no IndexedDB. */
export async function openDatabase(
  name: string,
  store: string,
  { indexedDB }: Pick<WebGlobals, 'indexedDB'>,
): Promise<DatabaseLike> {
  if (indexedDB === undefined) throw stateError('expected IndexedDB, got none; a private window may have none');
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(store);
  const database = await result(request);
  // Another tab deletes the database: it may, since what is written afterwards fails, and nothing is signed then.
  database.onversionchange = () => database.close();
  return database;
}

export function result<Result>(request: Request<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Resolves when all that was written is kept. */
export function done(transaction: Transaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'));
  });
}
