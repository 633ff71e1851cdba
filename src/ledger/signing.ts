/**
 * The types of transactions before and after signing, and of what signs them. Apart from what uses xrpl.js: a program that
 * has no such library compiles with these.
 */

/** A complete unsigned transaction as JSON, without SigningPubKey. Amounts are decimal strings of drops. */
export interface LedgerTransaction {
  TransactionType: string;
  /** A classic address. */
  Account: string;
  Fee: string;
  Sequence: number;
  LastLedgerSequence: number;
  Flags: number;
  NetworkID?: number;
  readonly [field: string]: string | number | undefined;
}

export interface SignedTransaction {
  /** Upper-case hex, as a server takes it. */
  blob: string;
  /** 64 upper-case hex digits: known before submission, so that it can be looked up after. */
  hash: string;
}

/** What signs for an account: wallet.ts with a key in a file, wallet-command.ts by a command. */
export interface Wallet {
  /** The classic address of the account that it signs for. */
  readonly address: string;
  /**
   * Signs exactly this transaction; what comes back has been compared with it.
   * @throws ClaimwireError WALLET_INVALID
   */
  sign(transaction: LedgerTransaction, signal?: AbortSignal): Promise<SignedTransaction>;
}
