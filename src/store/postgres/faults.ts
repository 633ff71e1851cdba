/** What an error of the database means: whether the call is made again, and where. */
import { ClaimwireError } from '../../errors.ts';

/**
 * - `again`: on the same connection; the server gave up this time (a deadlock, a cancelled statement)
 * - `elsewhere`: on another connection, perhaps to another host; nobody knows whether the call took effect
 * - `never`: the next time would be the same
 */
export type Remedy = 'again' | 'elsewhere' | 'never';

/** The server did it, but says that its standby was not awaited. */
export class NotReplicated extends Error {}

/** Classes and codes of SQLSTATE (PostgreSQL's appendix A). */
const AGAIN = ['40', '55P03', '57014'];
const ELSEWHERE = [
  '08', // the connection
  '25006', // the server is a standby
  '25P03', // idle in a transaction: this thread was held up
  '26000', // the connection's prepared statements are gone
  '53', // no room: of memory, of the disk, of connections
  '57P', // the server stops or starts
];
const SQLSTATE = /^[0-9A-Z]{5}$/;

export function remedyFor(error: unknown): Remedy {
  if (error instanceof ClaimwireError) return 'never';
  if (error instanceof NotReplicated) return 'again';
  const { code } = error as { code?: unknown };
  // Without a code of the server's it was the connection.
  if (typeof code !== 'string' || !SQLSTATE.test(code)) return 'elsewhere';
  if (AGAIN.some((start) => code.startsWith(start))) return 'again';
  return ELSEWHERE.some((start) => code.startsWith(start)) ? 'elsewhere' : 'never';
}

/** For an error that another try does not mend. */
export function storeFailed(error: unknown): Error {
  if (error instanceof ClaimwireError) return error;
  const { code, message } = error as { code?: string; message: string };
  const text = `store: expected the database to do it, got ${message}${code === undefined ? '' : ` (${code})`}`;
  return new ClaimwireError('STORE_FAILED', text, code === undefined ? {} : { sqlstate: code }, { cause: error });
}
