/**
 * The promises of one channel that wait for an ack, lowest amount first, so that an ack resolves a prefix of them. Amounts
 * nearly always rise, so that adding one is a push. Payer's thread.
 */
import { STATUS } from '../../protocol/layout.ts';

/** The sequence of a waiter whose claim is not sent yet. */
const UNSENT = -1;

export interface Waiter {
  /** Cumulative, drops. */
  readonly amount: bigint;
  /** When claim() was called, and when it times out: milliseconds of the clock. */
  readonly startedAt: number;
  readonly deadline: number;
  resolve: (ack: ClaimAck) => void;
  reject: (error: Error) => void;
  /** Sequence of the first claim sent with this amount or more. */
  sequence: number;
}

/** The ack that covers a claim. */
export interface ClaimAck {
  /**
   * ALREADY: so much was durable when the node received this copy of the claim. After pay() the cause was an earlier copy
   * (see committed.ts); after claim() it may have been another payer's.
   */
  status: 'COMMITTED' | 'ALREADY';
  channelId: bigint;
  /** The sequence of the newest claim that the ack covers. */
  sequence: number;
  /** Cumulative drops that are durable at the node: the claim's own amount or more. */
  amount: bigint;
  /** That claim's timestamp: milliseconds since 1970 by the payer's clock. */
  timestamp: number;
  /** Milliseconds from the call of claim() to this ack. */
  rttMs: number;
}

/** Whether sequence `a` is `b` or one before it, modulo 2^32. */
export function isUpTo(a: number, b: number): boolean {
  return ((b - a) | 0) >= 0;
}

export class WaiterQueue {
  /** No waiter's deadline is before this one. It may be that of a waiter already removed. */
  earliestDeadline = Number.POSITIVE_INFINITY;
  #waiters: Waiter[] = [];
  #unsent = 0;

  get length(): number {
    return this.#waiters.length;
  }

  /** 0 where nothing waits. */
  get highestAmount(): bigint {
    return this.#waiters.at(-1)?.amount ?? 0n;
  }

  /** @param sequence of the claim in flight that covers it, or undefined */
  add(waiter: Omit<Waiter, 'sequence'>, sequence: number | undefined): Waiter {
    const entry = { ...waiter, sequence: sequence ?? UNSENT };
    if (sequence === undefined) this.#unsent += 1;
    this.earliestDeadline = Math.min(this.earliestDeadline, waiter.deadline);
    let index = this.#waiters.length;
    while (index > 0 && this.#waiters[index - 1]!.amount > waiter.amount) index -= 1;
    if (index === this.#waiters.length) this.#waiters.push(entry);
    else this.#waiters.splice(index, 0, entry);
    return entry;
  }

  /** Returns false where it no longer waits. */
  remove(waiter: Waiter): boolean {
    return this.#take((other) => other === waiter).length > 0;
  }

  /** A claim that covers all of them was sent with this sequence. */
  markSent(sequence: number): void {
    for (let index = this.#waiters.length - 1; this.#unsent > 0; index -= 1) {
      const waiter = this.#waiters[index]!;
      if (waiter.sequence !== UNSENT) continue;
      waiter.sequence = sequence;
      this.#unsent -= 1;
    }
  }

  takeCovered(amount: bigint): Waiter[] {
    let count = 0;
    while (count < this.#waiters.length && this.#waiters[count]!.amount <= amount) count += 1;
    if (count === 0) return [];
    const covered = this.#waiters.splice(0, count);
    if (this.#waiters.length === 0) this.earliestDeadline = Number.POSITIVE_INFINITY;
    for (const waiter of covered) if (waiter.sequence === UNSENT) this.#unsent -= 1;
    return covered;
  }

  /**
   * Removes those that a refusal concerns: sent no later than `sequence`, and by status above the capacity
   * (OVER_CAPACITY), of exactly `amount` (BAD_AMOUNT), of at most that (CHANNEL_CLOSED, BAD_SIGNATURE), or all of them.
   * @param amount the ack's, see protocol/README.md
   */
  takeRefused(sequence: number, status: number, amount: bigint): Waiter[] {
    return this.#take((waiter) => {
      if (waiter.sequence === UNSENT || !isUpTo(waiter.sequence, sequence)) return false;
      if (status === STATUS.OVER_CAPACITY) return waiter.amount > amount;
      if (status === STATUS.BAD_AMOUNT) return waiter.amount === amount;
      if (status === STATUS.CHANNEL_CLOSED || status === STATUS.BAD_SIGNATURE) return waiter.amount <= amount;
      return true;
    });
  }

  /** @param lastSequence of the last claim signed */
  takeUnsigned(lastSequence: number): Waiter[] {
    return this.#take(({ sequence }) => sequence === UNSENT || !isUpTo(sequence, lastSequence));
  }

  takeExpired(now: number): Waiter[] {
    const expired = this.#take((waiter) => waiter.deadline <= now);
    this.earliestDeadline = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#waiters) this.earliestDeadline = Math.min(this.earliestDeadline, deadline);
    return expired;
  }

  takeAll(): Waiter[] {
    return this.#take(() => true);
  }

  #take(wanted: (waiter: Waiter) => boolean): Waiter[] {
    const taken: Waiter[] = [];
    const left: Waiter[] = [];
    for (const waiter of this.#waiters) {
      if (wanted(waiter)) {
        taken.push(waiter);
        if (waiter.sequence === UNSENT) this.#unsent -= 1;
      } else left.push(waiter);
    }
    this.#waiters = left;
    if (left.length === 0) this.earliestDeadline = Number.POSITIVE_INFINITY;
    return taken;
  }
}
