/**
 * What a running node that is connected to the XRP Ledger lets its operator do there. src/ledger implements it. Main thread.
 */
import type { Channel } from '../channel/row.ts';
import type { NodeControl } from './node-control.ts';

/** What the ledger's side may ask of a node, beside what an operator may. node.ts implements it. */
export interface LedgeredNode extends NodeControl {
  /**
   * Refuses a channel's claims from `until` on, Unix seconds by the clock of `ruleSeconds`, however late the channel's own
   * expiry is; 0 takes that back. In force when it returns, writes nothing to disk, and is gone after a restart.
   * Throws CHANNEL_UNKNOWN.
   */
  leaseChannel(channelId: bigint, until: number): void;
  /**
   * Raises a channel's committed amount to what the ledger paid out for a claim that this node never had: claims of no more
   * are worth nothing. The channel then has no signature until a higher claim comes. In force at once, durable when it
   * resolves; changes nothing where as much is committed. Rejects with CHANNEL_UNKNOWN.
   */
  raiseCommitted(channelId: bigint, drops: bigint): Promise<Channel>;
  /** Whether the channel's shard is served here: not before it is loaded, and not while it is given away. Left out where no other node could. */
  holds?(channelId: bigint): boolean;
}

/** The connection to the ledger, for an operator and for watching. Times in Unix seconds, by the ledger's clock. */
export interface LedgerHealth {
  /** The server in use. */
  url: string | null;
  networkId: number | null;
  /** The newest validated ledger that was seen, and how long ago it closed. */
  ledgerIndex: number | null;
  ageSeconds: number | null;
  /** Channels that are watched; of these, those whose claims are refused since the ledger was not seen for too long. */
  watched: number;
  stale: number;
  /** When all watched channels were last seen, each in one ledger or a newer one; null before the first time. */
  polledAt: string | null;
  /** Why the last attempt to ask the ledger failed; null where it did not. */
  failure: string | null;
}

/** What the ledger is known to say of a channel. Amounts in drops, times in Unix seconds (0 = never). */
export interface LedgerState {
  deposited: bigint;
  /** Paid out on the ledger. */
  redeemed: bigint;
  settleDelay: number;
  expiration: number;
  cancelAfter: number;
  /** When the newest validated ledger closed that this was seen in. */
  seenAt: number;
  /** False once the channel is no longer on the ledger. */
  exists: boolean;
}

/** What became of a redemption. */
export interface RedemptionResult {
  channelId: bigint;
  /** `paid`: validated, and paid out. `nothing`: not worth a fee, or nothing new. `failed`: final, and paid nothing. */
  outcome: 'paid' | 'nothing' | 'failed';
  /** For people: why. */
  reason: string;
  /** Drops that this redemption brought, by the validated metadata. */
  paid: bigint;
  feeDrops: bigint;
  hash: string | null;
}

/** One transaction that redeems a claim. Amounts in drops, times in Unix seconds. */
export interface RedemptionRecord {
  channelId: bigint;
  /** 64 hex digits, upper-case. */
  ledgerChannelId: string;
  /** `pending`: it may still be validated. `never`: it can no longer be, and cost nothing. */
  state: 'pending' | RedemptionResult['outcome'] | 'never';
  /** For people: why. */
  reason: string;
  /** Drops that it brought. */
  paid: bigint;
  feeDrops: bigint;
  close: boolean;
  hash: string;
  sequence: number;
  /** It cannot be in a later ledger. */
  lastLedger: number;
  startedAt: number;
  /** 0 while it is pending. */
  endedAt: number;
}

export interface CreateOptions {
  /** Smallest deposit that is of use, in drops. */
  amountMin?: bigint;
  /** Ends the waiting: the transaction may still be validated, and its channel opened. */
  signal?: AbortSignal | undefined;
}

export interface LedgerControl {
  /** The server in use and how old the newest validated ledger is. */
  health(): LedgerHealth;
  state(channelId: bigint): LedgerState | undefined;
  /** Opens the channel of a ledger id with what a validated ledger says of it; refuses it with the reason otherwise. */
  openFromLedger(ledgerChannelId: Uint8Array): Promise<Channel>;
  /**
   * Submits a payer's signed PaymentChannelCreate, in hex, waits until it is validated, and opens its channel. The same one
   * again is not submitted twice, and a payer that has a channel from here which nobody paid on gets that one. Throws
   * LEDGER_REFUSED with the field that is wrong, before anything is submitted.
   */
  createChannel(transaction: string, options?: CreateOptions): Promise<Channel>;
  /** Redeems the best claim of a channel and waits for the final result. With `close` the rest goes back to the payer. */
  redeem(channelId: bigint, options?: { close?: boolean; signal?: AbortSignal | undefined }): Promise<RedemptionResult>;
  /** The newest transactions that redeem claims, newest first. */
  redemptions(limit: number): RedemptionRecord[];
}
