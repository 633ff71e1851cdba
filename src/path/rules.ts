/**
 * Rules 2 to 6 of acceptance (protocol/README.md). The first rule that a claim breaks names its refusal.
 *
 * They are applied on receipt, before a claim costs a verification, and again right before it is staged, since the channel
 * may have changed in between. Nothing is allocated; a u64 is two u32 halves.
 */
import { STATUS, STATUS_FIRST_REFUSAL } from '../../protocol/layout.ts';
import type { RootedRows } from '../channel/rooted.ts';
import {
  type ChannelTable,
  FLAG_LINK,
  FLAG_OPEN,
  FLAG_ROOTED,
  HOT_CAPACITY_HIGH,
  HOT_CAPACITY_LOW,
  HOT_CHANGE,
  HOT_EXPIRES_AT,
  HOT_FLAGS,
  isAbove,
} from '../channel/table.ts';

/** The claim breaks none of the rules. Not a status of the wire. */
export const ADMITTED = -1;

/** 10^17 drops, the ledger's maximum, in halves. */
export const DROPS_MAX_HIGH = 0x0163_4578;
export const DROPS_MAX_LOW = 0x5d8a_0000;

/** Whether a status says for good that a claim is not taken: a node that may have been deposed does not know that. */
export function isFinal(status: number): boolean {
  return status >= STATUS_FIRST_REFUSAL && status !== STATUS.OVERLOADED && status !== STATUS.MOVED;
}

/** Rules 2 and 3 for an unknown channel: an amount of 0 is refused first. */
export function unknownChannelStatus(amountHigh: number, amountLow: number): number {
  return (amountHigh | amountLow) === 0 ? STATUS.BAD_AMOUNT : STATUS.UNKNOWN_CHANNEL;
}

/**
 * Rules 2 and 4 to 6 for a known channel, on one consistent state of what the operator may change.
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
    // An odd or a new value says that the main thread was changing the row, which takes a few stores: try again.
    if ((change & 1) === 0 && Atomics.load(words, hot + HOT_CHANGE) === change) return status;
  }
}

/**
 * Rule 6 for a claim on its own of a channel that is paid by leaves as well, which `admit` found to be ALREADY: it says something new
 * if it is for more than the highest claim on its own, since a leaf is not redeemed. It then covers what leaves have paid.
 */
export function covers(
  rooted: RootedRows | undefined,
  table: ChannelTable,
  row: number,
  hot: number,
  amountHigh: number,
  amountLow: number,
): boolean {
  if (rooted === undefined || (Atomics.load(table.words, hot + HOT_FLAGS) & FLAG_ROOTED) === 0) return false;
  return rooted.isNews(row, hot, amountHigh, amountLow);
}

/** Every load is atomic: plain ones could be moved behind the second load of the change word (see table.ts). */
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
