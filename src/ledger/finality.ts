/**
 * Brings a signed transaction to its final result: looks it up, submits it, and submits the same bytes again, until it is
 * validated or never can be. Main thread.
 *
 * Whatever a server says on submission is a guess. A transaction that was not found is final only once a ledger after its
 * LastLedgerSequence is validated, or one in which its account has used its sequence number, and the server that did not find
 * it knows every ledger that could have it.
 */
import type { Clock } from '../system/system.ts';
import type { FinalTransaction, LedgerConnection } from './ledger-port.ts';

export interface Submitted {
  hash: string;
  blob: string;
  firstLedger: number;
  lastLedger: number;
  /** Who signed it, and its sequence number: once another transaction has used that, this one never can be validated. */
  account?: string | undefined;
  sequence?: number | undefined;
}

export interface FinalityOptions {
  connection: LedgerConnection;
  clock: Clock;
  /** Rejects with its reason; the transaction may still be validated. */
  signal: AbortSignal;
  /** Told of what went wrong; it is tried again all the same. */
  onTrouble?: (error: Error) => void;
  /** Told of each submission, with the server's guess. */
  onSubmitted?: (preliminary: string) => void;
  /**
   * Asked where the transaction can no longer be validated, but no server knows all its ledgers: what the state of the
   * ledger tells. Undefined: not known yet.
   */
  withoutHistory?: () => Promise<FinalTransaction | 'never' | undefined>;
}

/** Also looked at so often without news, since a connection that is down tells of no ledger. */
const POLL_MS = 4_000;
/** A server forwards what it was given; what got lost all the same is submitted again after so many ledgers. */
const RESUBMIT_LEDGERS = 4;
/** After this many ledgers without its history a server is not waited for any more. */
const HISTORY_LEDGERS = 16;

export interface Finality {
  final: FinalTransaction | 'never';
  /** The last guess. */
  preliminary: string;
  /** It never can be validated, since another transaction of its account has used its sequence number. */
  isOutrun: boolean;
}

/** The transaction once it is validated, or `never` where it never can be. */
export async function untilFinal(submitted: Submitted, options: FinalityOptions): Promise<Finality> {
  const { connection, signal } = options;
  let preliminary = 'not submitted';
  let submitAt = 0;
  for (;;) {
    signal.throwIfAborted();
    const news = nextLedger(options);
    try {
      const final = await lookUp(submitted, options);
      const isOutrun = final === undefined && submitAt > 0 && (await hasBeenOutrun(submitted, options));
      if (final !== undefined || isOutrun) {
        news.forget();
        return { final: final ?? 'never', preliminary, isOutrun };
      }
      const index = connection.validated?.index ?? 0;
      if (index >= submitAt && index <= submitted.lastLedger) {
        signal.throwIfAborted();
        ({ preliminary } = await connection.submit(submitted.blob, signal));
        submitAt = index + RESUBMIT_LEDGERS;
        options.onSubmitted?.(preliminary);
      }
    } catch (error) {
      signal.throwIfAborted();
      options.onTrouble?.(error as Error);
    }
    await news.arrived;
  }
}

async function lookUp({ hash, firstLedger, lastLedger }: Submitted, options: FinalityOptions) {
  const { connection, signal, withoutHistory } = options;
  const { url, validated } = connection;
  const isPast = validated !== undefined && validated.index > lastLedger;
  const knew = isPast && (await connection.knowsLedgers(firstLedger, lastLedger, signal));
  const found = await connection.transaction(hash, signal);
  if (found !== undefined) return found;
  if (!isPast) return undefined;
  // The connection may have moved to another server between the questions, one that is behind.
  if (knew && (await connection.knowsLedgers(firstLedger, lastLedger, signal)) && connection.url === url)
    return 'never';
  return validated.index > lastLedger + HISTORY_LEDGERS ? await withoutHistory?.() : undefined;
}

/**
 * Whether its sequence number is used, and not by it. Asked of one server: the account first, so that whatever ledger used
 * the number is among those in which the transaction is looked for after.
 */
async function hasBeenOutrun(
  { hash, firstLedger, account: address, sequence }: Submitted,
  { connection, signal }: FinalityOptions,
): Promise<boolean> {
  if (address === undefined || sequence === undefined) return false;
  const { url } = connection;
  const account = await connection.account(address, signal);
  if (account === undefined || account.sequence <= sequence) return false;
  const knows = () => connection.knowsLedgers(firstLedger, account.ledgerIndex, signal);
  if (!(await knows()) || (await connection.transaction(hash, signal)) !== undefined) return false;
  return (await knows()) && connection.url === url;
}

/** Resolves at the next validated ledger, after POLL_MS, or at the signal. Made before asking, so that none is missed. */
function nextLedger({ connection, clock, signal }: FinalityOptions): { arrived: Promise<void>; forget: () => void } {
  let forget = () => {};
  const arrived = new Promise<void>((resolve) => {
    forget = () => {
      stopTimer();
      stopLedgers();
      signal.removeEventListener('abort', forget);
      resolve();
    };
    const stopLedgers = connection.onLedger(forget);
    const stopTimer = clock.every(POLL_MS, forget);
    signal.addEventListener('abort', forget, { once: true });
  });
  return { arrived, forget };
}
