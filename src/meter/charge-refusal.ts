/** Why a charge is refused. Pure functions, any thread. */
import { DROPS_MAX } from '../../protocol/layout.ts';
import { ClaimwireError } from '../errors.ts';
import { KEY_CHARACTERS_MAX } from './charge-record.ts';

/** @throws ClaimwireError INPUT_INVALID */
export function checkCharge(drops: bigint, key: string | undefined): void {
  if (drops > DROPS_MAX || drops < -DROPS_MAX)
    throw new ClaimwireError('INPUT_INVALID', `drops: expected at most ${DROPS_MAX} either way, got ${drops}`);
  if (key !== undefined && (key.length === 0 || key.length > KEY_CHARACTERS_MAX))
    throw new ClaimwireError('INPUT_INVALID', `key: expected 1 to ${KEY_CHARACTERS_MAX} characters, got ${key.length}`);
}

export function overRefund(channelId: bigint, drops: bigint, spent: bigint): ClaimwireError {
  return new ClaimwireError(
    'INPUT_INVALID',
    `channel ${channelId}: expected a refund of at most the ${spent} drops charged, got ${-drops}`,
    { spent: String(spent) },
  );
}

export function conflict(channelId: bigint, drops: bigint, earlier: bigint): ClaimwireError {
  return new ClaimwireError(
    'CHARGE_CONFLICT',
    `channel ${channelId}: expected ${earlier} drops, as the charge with this key had, got ${drops}; use another key`,
    { drops: String(earlier) },
  );
}

/** @param amounts drops spent, of charges that wait before it, raised without a claim, and committed */
export function paymentRequired(
  channelId: bigint,
  drops: bigint,
  { spent, ahead, raised, committed }: { spent: bigint; ahead: bigint; raised: bigint; committed: bigint },
): ClaimwireError {
  const needed = spent + ahead + raised + drops;
  const missing = needed - committed;
  return new ClaimwireError(
    'PAYMENT_REQUIRED',
    `channel ${channelId}: expected ${needed} drops committed, got ${committed}; claim ${missing} more`,
    { missing: String(missing), spent: String(spent), committed: String(committed) },
  );
}

export function moved(channelId: bigint): ClaimwireError {
  return new ClaimwireError(
    'MOVED',
    `channel ${channelId}: expected one of this node's shards, got one that is given to another node; ask for the route`,
  );
}
