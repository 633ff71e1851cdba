/**
 * Acceptance, rules 2 to 6 of protocol/README.md: cheap before dear, the first rule broken names the refusal.
 *
 * The receiver asks before a claim costs a verification, the committer asks again right before it is staged, since
 * the channel may have moved, filled or closed in between. No allocation, u64 as u32 halves.
 */
import { STATUS } from '../../protocol/layout.ts';
import {
  type ChannelTable,
  FLAG_LINK,
  FLAG_OPEN,
  HOT_CAPACITY_HIGH,
  HOT_CAPACITY_LOW,
  HOT_CHANGE,
  HOT_EXPIRES_AT,
  HOT_FLAGS,
  isAbove,
} from '../channel/table.ts';

/** Not a wire status: the claim may go on. */
export const ADMITTED = -1;

/** 10^17 drops, the ledger's maximum, as halves. */
export const DROPS_MAX_HIGH = 0x0163_4578;
export const DROPS_MAX_LOW = 0x5d8a_0000;

/** Rules 2 and 3 where the channel is unknown: an amount of 0 is named first. */
export function unknownChannelStatus(amountHigh: number, amountLow: number): number {
  return (amountHigh | amountLow) === 0 ? STATUS.BAD_AMOUNT : STATUS.UNKNOWN_CHANNEL;
}

/**
 * Rules 2 and 4 to 6 for a known channel, on one state of what the operator may change.
 * @param hot word index of the row's hot line
 * @param nowSeconds unix time, whole seconds
 * @returns a refusal status, STATUS.ALREADY, or ADMITTED
 */
export function admit(
  table: ChannelTable,
  hot: number,
  amountHigh: number,
  amountLow: number,
  nowSeconds: number,
): number {
  const { words } = table;
  for (;;) {
    const change = Atomics.load(words, hot + HOT_CHANGE);
    const status = judge(table, hot, amountHigh, amountLow, nowSeconds);
    // Odd or moved on: the main thread was at it, for as long as a few stores take.
    if ((change & 1) === 0 && Atomics.load(words, hot + HOT_CHANGE) === change) return status;
  }
}

/** Loads atomically throughout: plain loads could come after the second look at the change word (see table.ts). */
function judge(table: ChannelTable, hot: number, amountHigh: number, amountLow: number, nowSeconds: number): number {
  const { words } = table;
  const flags = Atomics.load(words, hot + HOT_FLAGS);
  if ((amountHigh | amountLow) === 0) return STATUS.BAD_AMOUNT;
  if ((flags & FLAG_LINK) === 0 && isAbove(amountHigh, amountLow, DROPS_MAX_HIGH, DROPS_MAX_LOW))
    return STATUS.BAD_AMOUNT;
  if ((flags & FLAG_OPEN) === 0) return STATUS.CHANNEL_CLOSED;
  const expiresAt = Atomics.load(words, hot + HOT_EXPIRES_AT);
  if (expiresAt !== 0 && nowSeconds >= expiresAt) return STATUS.CHANNEL_CLOSED;
  const capacityHigh = Atomics.load(words, hot + HOT_CAPACITY_HIGH);
  if (isAbove(amountHigh, amountLow, capacityHigh, Atomics.load(words, hot + HOT_CAPACITY_LOW)))
    return STATUS.OVER_CAPACITY;
  const committedHigh = table.committedHigh(hot);
  if (!isAbove(amountHigh, amountLow, committedHigh, table.committedLow(hot))) return STATUS.ALREADY;
  return ADMITTED;
}
