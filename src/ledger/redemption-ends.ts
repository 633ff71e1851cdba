/** What became of a redemption, as it is written, answered and told. Pure functions, any thread. */
import type { RedemptionResult } from '../control/ledger-control.ts';
import type { FinalTransaction, LedgerChannel } from './ledger-port.ts';
import type { Redemption, RedemptionEnd } from './redemption-journal.ts';

export function preparedFacts({ hash, sequence, feeDrops, balance, balanceBefore }: Redemption) {
  const facts = { 'xrpl.hash': hash, 'xrpl.sequence': sequence, 'xrpl.fee_drops': String(feeDrops) };
  return { ...facts, 'claimwire.drops': String(balance - balanceBefore) };
}

export function finalFacts({ state, hash, paid, feeDrops }: Redemption) {
  const facts = { 'claimwire.state': state, 'xrpl.hash': hash };
  return { ...facts, 'claimwire.paid_drops': String(paid), 'xrpl.fee_drops': String(feeDrops) };
}

export function stateOf({ ledgerChannelId, amount, balance }: LedgerChannel): NonNullable<FinalTransaction['channel']> {
  return { ledgerChannelId, amount, balance, deleted: false };
}

type End = Omit<RedemptionEnd, 'endedAt'>;

export function neverValidated(preliminary: string, isOutrun: boolean): End {
  const why = isOutrun ? 'another transaction of the account had its number' : `the server said ${preliminary}`;
  return { state: 'never', paid: 0n, feeDrops: 0n, reason: `never validated, ${why}` };
}

/** Believes only what the metadata says was delivered: on an expired channel tesSUCCESS pays nothing. */
export function endOfFinal(pending: Redemption, { result, channel }: FinalTransaction): End {
  const { feeDrops, balanceBefore, balance, close } = pending;
  const paid = channel === undefined ? 0n : channel.balance - balanceBefore;
  if (paid > 0n) return { state: 'paid', paid, feeDrops, reason: close ? `${result}, closed` : result };
  if (result !== 'tesSUCCESS') return { state: 'failed', paid: 0n, feeDrops, reason: result };
  if (close && balance <= balanceBefore) return { state: 'nothing', paid: 0n, feeDrops, reason: 'closed' };
  const reason = `${result}, but it paid nothing: the channel had expired`;
  return { state: 'failed', paid: 0n, feeDrops, reason };
}

export function nothing(channelId: bigint, reason: string): RedemptionResult {
  return { channelId, outcome: 'nothing', reason, paid: 0n, feeDrops: 0n, hash: null };
}

export function resultOf({ channelId, state, reason, paid, feeDrops, hash }: Redemption): RedemptionResult {
  const outcome = state === 'paid' || state === 'nothing' ? state : 'failed';
  return { channelId, outcome, reason, paid, feeDrops, hash };
}
