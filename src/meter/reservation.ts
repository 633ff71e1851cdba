/**
 * A reservation: what a charge is promised before its round. It will be made unless its commit fails, since the drops are
 * there, and no charge after it can have them, as an account's charges are decided in their order. Main thread.
 */
import type { Charge } from './account.ts';

/** Charges before it that are looked through; behind more there is none. */
const BEFORE_MAX = 64;

/**
 * Drops spent once the charge is made, or somewhat more than that; undefined where there is no such promise: for a refund,
 * behind one that waits for money, beside one with the same key, and where the drops are not there.
 * @param buyable drops that are committed, and paid by claims
 */
export function reservation({ account, drops, name }: Charge, buyable: bigint): bigint | undefined {
  const { fresh, waiting, booked } = account;
  if (drops < 0n || waiting.size > 0 || fresh.size > BEFORE_MAX) return undefined;
  let spent = booked + drops;
  for (const before of fresh) {
    if (name !== undefined && before.name === name) return undefined;
    // A refund may still be refused.
    if (before.drops > 0n) spent += before.drops;
  }
  return spent > buyable ? undefined : spent;
}
