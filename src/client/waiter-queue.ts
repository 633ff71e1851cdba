/**
 * The promises of one channel that wait for an ack, lowest amount first, so that an ack resolves the first of them. They are
 * links of a list, since a channel adds and takes one for every claim. Amounts nearly always rise, so that adding one is at
 * the end. Payer's thread.
 */
import { STATUS } from '../../protocol/layout.ts';

/** The sequence of a waiter whose claim is not sent yet. */
const UNSENT = -1;

/** What a waiter begins with. */
interface Wait {
  /** Cumulative, drops. */
  readonly amount: bigint;
  /** When claim() was called, and when it times out: milliseconds of the clock. */
  readonly startedAt: number;
  readonly deadline: number;
  readonly isOrdinary?: boolean;
}

export class Waiter implements Wait {
  readonly amount: bigint;
  readonly startedAt: number;
  readonly deadline: number;
  resolve: (ack: ClaimAck) => void;
  reject: (error: Error) => void;
  /** Whether only an ordinary claim will do, not the leaf of a Merkle batch. */
  readonly isOrdinary: boolean;
  /** Sequence of the first claim sent with this amount or more; of an ordinary one, where only that will do. */
  sequence = UNSENT;
  /** Its neighbours in the queue, which alone writes them. */
  before: Waiter | undefined;
  after: Waiter | undefined;

  constructor(
    { amount, startedAt, deadline, isOrdinary = false }: Wait,
    resolve: (ack: ClaimAck) => void,
    reject: (error: Error) => void,
  ) {
    this.amount = amount;
    this.startedAt = startedAt;
    this.deadline = deadline;
    this.isOrdinary = isOrdinary;
    this.resolve = resolve;
    this.reject = reject;
  }
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
  length = 0;
  /** No waiter's deadline is before this one. It may be that of a waiter already removed. */
  earliestDeadline = Number.POSITIVE_INFINITY;
  #first: Waiter | undefined;
  #last: Waiter | undefined;
  #unsent = 0;

  /** 0 where nothing waits. */
  get highestAmount(): bigint {
    return this.#last === undefined ? 0n : this.#last.amount;
  }

  /** @param sequence of the claim in flight that covers it, or undefined */
  add(waiter: Waiter, sequence: number | undefined): void {
    if (sequence === undefined) this.#unsent += 1;
    else waiter.sequence = sequence;
    if (waiter.deadline < this.earliestDeadline) this.earliestDeadline = waiter.deadline;
    let before = this.#last;
    while (before !== undefined && before.amount > waiter.amount) before = before.before;
    this.#link(waiter, before);
  }

  /** Returns false where it no longer waits. */
  remove(waiter: Waiter): boolean {
    if (this.#first !== waiter && waiter.before === undefined) return false;
    this.#unlink(waiter);
    return true;
  }

  /** A claim that covers all of them was sent with this sequence, or a leaf: that is not what those wait for that want an ordinary claim. */
  markSent(sequence: number, isLeaf = false): void {
    for (let waiter = this.#last; this.#unsent > 0 && waiter !== undefined; waiter = waiter.before) {
      if (waiter.sequence !== UNSENT || (isLeaf && waiter.isOrdinary)) continue;
      waiter.sequence = sequence;
      this.#unsent -= 1;
    }
  }

  /**
   * Removes the first waiter that an ack of so much resolves, and returns it. Where only an ordinary claim will do, that is an ack with the
   * `sequence` of one, or a later one.
   */
  takeCovered(amount: bigint, sequence: number): Waiter | undefined {
    for (let waiter = this.#first; waiter !== undefined && waiter.amount <= amount; waiter = waiter.after) {
      if (waiter.isOrdinary && (waiter.sequence === UNSENT || !isUpTo(waiter.sequence, sequence))) continue;
      this.#unlink(waiter);
      return waiter;
    }
    return undefined;
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
    for (let waiter = this.#first; waiter !== undefined; waiter = waiter.after)
      if (waiter.deadline < this.earliestDeadline) this.earliestDeadline = waiter.deadline;
    return expired;
  }

  takeAll(): Waiter[] {
    return this.#take(() => true);
  }

  #take(wanted: (waiter: Waiter) => boolean): Waiter[] {
    const taken: Waiter[] = [];
    let next: Waiter | undefined;
    for (let waiter = this.#first; waiter !== undefined; waiter = next) {
      next = waiter.after;
      if (!wanted(waiter)) continue;
      this.#unlink(waiter);
      taken.push(waiter);
    }
    return taken;
  }

  #link(waiter: Waiter, before: Waiter | undefined): void {
    const after = before === undefined ? this.#first : before.after;
    waiter.before = before;
    waiter.after = after;
    if (before === undefined) this.#first = waiter;
    else before.after = waiter;
    if (after === undefined) this.#last = waiter;
    else after.before = waiter;
    this.length += 1;
  }

  #unlink(waiter: Waiter): void {
    const { before, after } = waiter;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    waiter.before = undefined;
    waiter.after = undefined;
    if (waiter.sequence === UNSENT) this.#unsent -= 1;
    this.length -= 1;
    if (this.length === 0) this.earliestDeadline = Number.POSITIVE_INFINITY;
  }
}
