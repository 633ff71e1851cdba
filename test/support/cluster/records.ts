/**
 * What payers were told, kept by the payers themselves, and what must hold of it whatever happens to nodes and database. Each
 * thing that does not hold is a line of `violations`.
 */
import { STATUS } from '../../../protocol/layout.ts';

/** An ack that says an amount is durable. */
export interface Told {
  channelId: bigint;
  amount: bigint;
  /** When the claim was first sent, and when the ack came; performance.now(). */
  askedAt: number;
  at: number;
}

export const CAPACITY = 1_000_000_000n;

export class Records {
  readonly violations: string[] = [];
  /** Highest amount that was ever acknowledged, and that was ever signed, by channel. */
  readonly acknowledged = new Map<bigint, bigint>();
  readonly signed = new Map<bigint, bigint>();
  /** Acks since the round began. */
  told: Told[] = [];
  acks = 0;
  /** Who said COMMITTED to an amount, by channel and amount, since the round began. */
  #committed = new Map<string, string>();

  add(channelId: bigint): void {
    this.acknowledged.set(channelId, 0n);
    this.signed.set(channelId, 0n);
  }

  beginRound(): void {
    this.told = [];
    this.#committed.clear();
  }

  signs(channelId: bigint, amount: bigint): void {
    if (amount > this.signed.get(channelId)!) this.signed.set(channelId, amount);
  }

  /** A payer was told that so much is durable. */
  tells(told: Told): void {
    const { channelId, amount } = told;
    this.acks++;
    if (amount > this.signed.get(channelId)!)
      this.violations.push(`channel ${channelId}: ${amount} acknowledged, and nobody has signed it`);
    if (amount > this.acknowledged.get(channelId)!) this.acknowledged.set(channelId, amount);
    this.told.push(told);
  }

  /**
   * A node said COMMITTED, which it says to what it has not committed yet. So it says that of no amount that was acknowledged
   * before the claim was sent, and no two nodes (or runs of a node) say it of one amount.
   * @param before what had been acknowledged of the channel when the claim was sent
   */
  saysCommitted(channelId: bigint, amount: bigint, before: bigint, run: string): void {
    if (amount <= before)
      this.violations.push(`channel ${channelId}: ${run} commits ${amount}, and ${before} had been acknowledged`);
    const key = `${channelId} ${amount}`;
    const other = this.#committed.get(key);
    if (other !== undefined && other !== run)
      this.violations.push(`channel ${channelId}: ${amount} was committed by ${other}, and by ${run}`);
    this.#committed.set(key, run);
  }

  /** What payers have been told up to now. */
  copy(): ReadonlyMap<bigint, bigint> {
    return new Map(this.acknowledged);
  }

  /** @param told a copy from before `committed` was read @param where what it was read from */
  check(told: ReadonlyMap<bigint, bigint>, committed: ReadonlyMap<bigint, bigint>, where: string): void {
    for (const [channelId, amount] of told) {
      const held = committed.get(channelId);
      if (held === undefined) this.violations.push(`channel ${channelId}: ${where} has none`);
      else if (held < amount)
        this.violations.push(`channel ${channelId}: ${amount} acknowledged, ${where} has ${held} committed`);
      else if (held > CAPACITY) this.violations.push(`channel ${channelId}: ${where} has ${held} of ${CAPACITY}`);
      else if (held > this.signed.get(channelId)!)
        this.violations.push(`channel ${channelId}: ${where} has ${held}, and nobody has signed it`);
    }
  }

  /** For each of these channels, milliseconds from `since` until a claim first sent after it was acknowledged. */
  waitsSince(since: number, channels: ReadonlySet<bigint>): number[] {
    const first = new Map<bigint, number>();
    for (const { channelId, askedAt, at } of this.told)
      if (askedAt >= since && channels.has(channelId))
        first.set(channelId, Math.min(first.get(channelId) ?? Number.POSITIVE_INFINITY, at - since));
    return [...first.values()];
  }
}

export const isDurable = (status: number): boolean => status === STATUS.COMMITTED || status === STATUS.ALREADY;

/** The value that so large a part of the values, 0 to 1, does not pass; undefined of none. */
export function quantile(values: readonly number[], part: number): number | undefined {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)];
}
