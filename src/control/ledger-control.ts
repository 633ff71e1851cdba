/**
 * What a running node that is connected to the XRP Ledger lets its operator do there. src/ledger implements it. Main thread.
 */
import type { Channel } from '../channel/row.ts';

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

export interface LedgerControl {
  /** The server in use and how old the newest validated ledger is. */
  health(): { url: string | null; networkId: number | null; ledgerIndex: number | null; ageSeconds: number | null };
  state(channelId: bigint): LedgerState | undefined;
  /** Opens the channel of a ledger id with what a validated ledger says of it; refuses it with the reason otherwise. */
  openFromLedger(ledgerChannelId: Uint8Array): Promise<Channel>;
  /** Redeems the best claim of a channel and waits for the final result. With `close` the rest goes back to the payer. */
  redeem(channelId: bigint, options?: { close?: boolean; signal?: AbortSignal | undefined }): Promise<RedemptionResult>;
}
