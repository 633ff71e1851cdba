/** What a transaction needs beside its own fields before it can be signed. Pure, any thread. */
import type { ValidatedLedger } from './ledger-port.ts';
import type { LedgerTransaction } from './signing.ts';

/** A ledger closes every 3 to 5 s: a transaction has a minute or more to get in. */
const LEDGERS_TO_LIVE = 20;
/** For a server that is behind, more; never more than this, or a lost one would be waited for too long. */
const LEDGERS_TO_LIVE_MAX = 100;
const LEDGER_SECONDS_MIN = 3;
/** Networks with a higher id want it in each transaction; the others refuse it. */
const NETWORK_ID_UNNAMED_MAX = 1_024;

export interface FillIn {
  feeDrops: bigint;
  sequence: number;
  networkId: number;
  /** The newest validated ledger that is known. */
  ledger: ValidatedLedger;
  /** Unix seconds by the machine's clock. */
  now: number;
}

export type Unfilled = Pick<LedgerTransaction, 'TransactionType' | 'Account' | 'Flags'> &
  Record<string, string | number | undefined>;

/** What a transaction on this network has as its NetworkID. */
export function networkField(networkId: number): number | undefined {
  return networkId > NETWORK_ID_UNNAMED_MAX ? networkId : undefined;
}

/** The transaction with Fee, Sequence, LastLedgerSequence and, where the network wants it, NetworkID. */
export function fillIn(transaction: Unfilled, facts: FillIn): LedgerTransaction {
  const { feeDrops, sequence, networkId, ledger, now } = facts;
  // A server that is behind counts from a ledger that others left long ago.
  const behind = Math.max(0, Math.ceil((now - ledger.closedAt) / LEDGER_SECONDS_MIN));
  return {
    ...transaction,
    ...(networkField(networkId) !== undefined && { NetworkID: networkId }),
    Fee: feeDrops.toString(),
    Sequence: sequence,
    LastLedgerSequence: ledger.index + Math.min(LEDGERS_TO_LIVE + behind, LEDGERS_TO_LIVE_MAX),
  };
}
