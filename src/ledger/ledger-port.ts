/**
 * The interface of a connection to the XRP Ledger: xrpl-connection.ts implements it over xrpl.js, and reconnects over
 * several servers. Main thread, never on the claim path.
 *
 * Only validated ledgers are final, so that every answer here is from one unless its name says otherwise. Amounts are in
 * drops, times in Unix seconds.
 */

/** A payment channel as a validated ledger has it. */
export interface LedgerChannel {
  /** 32 bytes. */
  ledgerChannelId: Uint8Array;
  /** The payer, a classic address. */
  account: string;
  /** The payee, a classic address. */
  destination: string;
  /** 33 bytes. */
  publicKey: Uint8Array;
  /** Drops deposited in all: a claim of more is worth nothing. */
  amount: bigint;
  /** Drops paid out already. */
  balance: bigint;
  /** Seconds between a payer's request to close and the end. */
  settleDelay: number;
  /** Set once the payer asked to close; it may still become earlier. 0 = not asked. */
  expiration: number;
  /** Fixed at creation; 0 = never. */
  cancelAfter: number;
}

/** A validated ledger. */
export interface ValidatedLedger {
  index: number;
  /** The close time, which expiry is measured by. */
  closedAt: number;
}

/** A transaction that is final. */
export interface FinalTransaction {
  hash: string;
  ledgerIndex: number;
  /** The result code in the metadata, such as tesSUCCESS. */
  result: string;
  /**
   * For a PaymentChannelClaim or Fund: what the channel's metadata says was left of it. `deleted` says that the
   * transaction closed the channel. Undefined where the transaction touched no channel.
   */
  channel?: { ledgerChannelId: Uint8Array; amount: bigint; balance: bigint; deleted: boolean } | undefined;
}

/** What a server said of a transaction that it was given. It is a guess, never a result. */
export interface Submission {
  /** Such as tesSUCCESS, terQUEUED, tefPAST_SEQ. */
  preliminary: string;
}

/** What is needed to sign for an account: its next sequence number, and its balance in drops. */
export interface LedgerAccount {
  /** The validated ledger that says so. */
  ledgerIndex: number;
  sequence: number;
  balance: bigint;
}

export interface LedgerConnection {
  /** The server in use, or undefined while none is reached. */
  readonly url: string | undefined;
  /** The newest validated ledger that was seen, or undefined before the first. It never goes back. */
  readonly validated: ValidatedLedger | undefined;
  /** The network that the server says it is on. Rejects with LEDGER_UNREACHABLE while no server answers. */
  networkId(signal?: AbortSignal): Promise<number>;
  /** A channel with the validated ledger that the answer is from; `channel` is undefined where there is none. */
  channel(
    ledgerChannelId: Uint8Array,
    signal?: AbortSignal,
  ): Promise<{ ledger: ValidatedLedger; channel: LedgerChannel | undefined }>;
  /** Every channel whose destination is `account`, all from one validated ledger; and how many entries are not channels of XRP. */
  channelsTo(
    account: string,
    signal?: AbortSignal,
  ): Promise<{ ledger: ValidatedLedger; channels: LedgerChannel[]; skipped?: number }>;
  /** Undefined where the account does not exist. */
  account(address: string, signal?: AbortSignal): Promise<LedgerAccount | undefined>;
  /** What a plain transaction costs now, in drops. */
  fee(signal?: AbortSignal): Promise<bigint>;
  /** Gives a signed transaction, in hex, to the server. Giving it twice is harmless: it has one hash and one sequence. */
  submit(blob: string, signal?: AbortSignal): Promise<Submission>;
  /** The transaction where it is validated; otherwise undefined: not seen yet, or never. */
  transaction(hash: string, signal?: AbortSignal): Promise<FinalTransaction | undefined>;
  /**
   * Whether the server knows every ledger from `fromLedger` to `toLedger`. Where it does not, a transaction that was not found
   * may still have been validated in one of them.
   */
  knowsLedgers(fromLedger: number, toLedger: number, signal?: AbortSignal): Promise<boolean>;
  /** Calls `listener` for each validated ledger. Returns a function that ends it. */
  onLedger(listener: (ledger: ValidatedLedger) => void): () => void;
  /**
   * Calls `listener` with each channel that a validated transaction touched and whose payee or payer is `account`; misses
   * what happened while no server was reached, so the caller also polls. Returns a function that ends it.
   */
  onChannelTouched(account: string, listener: (ledgerChannelId: Uint8Array) => void): () => void;
  close(): Promise<void>;
}
