/**
 * When a channel may be redeemed, and the transaction that does it. Pure functions, any thread.
 *
 * Each reason guards against a way in which money was lost: a late claim "succeeds" and pays nothing, a fee is above what
 * it brings, a claim over the deposit pays nothing.
 */

import { upperHex } from '../channel/parse.ts';
import type { Channel } from '../channel/row.ts';
import type { LedgerChannel, ValidatedLedger } from './ledger-port.ts';
import { endOf } from './view.ts';
import { notRedeemable, type PaymentChannelClaim, paymentChannelClaim } from './xrpl.ts';

/** Closes the channel after it has paid; the rest goes back to the payer. */
const TF_CLOSE = 0x20000;
/** The machine's clock may be wrong by this much before it is believed over the ledger's, which may be behind. */
const CLOCK_ERROR_SECONDS = 60;

export interface RedemptionFacts {
  row: Channel;
  /** What a validated ledger says, and which one. */
  ledger: ValidatedLedger;
  channel: LedgerChannel | undefined;
  /** The payee's address, which signs. */
  account: string;
  feeDrops: bigint;
  feeMaxDrops: bigint;
  /** Unix seconds by the machine's clock. */
  now: number;
  close: boolean;
}

/** Why nothing of this row will ever be redeemed, or undefined. Asks the ledger nothing. */
export function neverRedeemed(row: Channel): string | undefined {
  if (row.throwAway === true) return 'it is a throw-away channel, which the ledger does not know';
  return notRedeemable(row);
}

/** Why no transaction is made now, or undefined. */
export function whyNotNow(facts: RedemptionFacts): string | undefined {
  const { row, ledger, channel, account, feeDrops, feeMaxDrops, now, close } = facts;
  if (channel === undefined) return 'the channel is not on the ledger';
  if (channel.destination !== account) return `it pays ${channel.destination}, and the wallet is of ${account}`;
  if (upperHex(channel.publicKey) !== upperHex(row.publicKey)) return 'its key on the ledger is another one';
  const end = endOf(channel);
  if (end !== 0 && (ledger.closedAt >= end || now >= end + CLOCK_ERROR_SECONDS))
    return 'it has expired: a transaction would close it and pay nothing';
  if (feeDrops > feeMaxDrops) return `the fee is ${feeDrops} drops now, over the limit of ${feeMaxDrops}`;
  const gain = balanceAfter(row, channel) - channel.balance;
  if (gain <= 0n) return close ? undefined : 'nothing was committed since the ledger paid out last';
  if (feeDrops >= gain && !close) return `the fee of ${feeDrops} drops is not below the ${gain} drops it would bring`;
  return undefined;
}

/** The channel's Balance after redeeming: what the ledger pays out in all. A claim over the deposit would pay nothing. */
export function balanceAfter({ committed }: Pick<Channel, 'committed'>, { amount }: LedgerChannel): bigint {
  if (committed > amount) return amount;
  return committed;
}

type CloseAlone = { TransactionType: 'PaymentChannelClaim'; Account: string; Channel: string; Flags: number };
export type RedeemTransaction = (Omit<PaymentChannelClaim, 'Flags'> & { Flags: number }) | CloseAlone;

/**
 * The transaction that brings the best claim; with `close` it closes the channel as well, in the same step, so that no
 * close can be validated without the last claim.
 */
export function redeemTransaction(facts: {
  row: Channel;
  channel: LedgerChannel;
  account: string;
  close: boolean;
}): RedeemTransaction {
  const { row, channel, account, close } = facts;
  const Flags = close ? TF_CLOSE : 0;
  const balance = balanceAfter(row, channel);
  if (balance > channel.balance)
    return { ...paymentChannelClaim({ account, channel: row }), Balance: balance.toString(), Flags };
  const ledgerChannelId = upperHex(channel.ledgerChannelId);
  return { TransactionType: 'PaymentChannelClaim', Account: account, Channel: ledgerChannelId, Flags };
}
