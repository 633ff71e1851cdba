/**
 * Opens a handle of the database. Main thread, and each thread that commits, which has its own: handles cannot be sent to a
 * thread, and one that waits for its answer must not wait for another's.
 */
import type { ClaimDatabase } from './claim-database.ts';
import type { FenceStart } from './held-fence.ts';
import type { StoreCounts } from './store-figures.ts';

/** Where the database is: plain data. */
export interface DatabaseAddress {
  /** `postgres://USER@HOST:PORT,HOST:PORT/NAME`. */
  readonly url: string;
  /** Has the password in its first line. */
  readonly passwordFile: string | undefined;
  /** A server without synchronous standbys will do. */
  readonly mayBeUnreplicated: boolean;
  /** How long the first connection is tried for. */
  readonly waitMs: number;
}

/** What a thread that commits needs for its groups. */
export interface DatabaseStart {
  readonly address: DatabaseAddress;
  readonly fence: FenceStart;
  /** Words of its StoreCounts. */
  readonly counts: SharedArrayBuffer;
}

/** @param counts counts what is made again
 * @throws ClaimwireError STORE_UNREACHABLE, STORE_UNREPLICATED, STORE_FAILED, DEPENDENCY_MISSING */
export async function openDatabase({ url, ...options }: DatabaseAddress, counts?: StoreCounts): Promise<ClaimDatabase> {
  // Only a node with such a store needs it, and the library.
  const { PostgresDatabase } = await import('./postgres/database.ts');
  return PostgresDatabase.open(url, { ...options, counts });
}
