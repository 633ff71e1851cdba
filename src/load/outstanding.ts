/**
 * Claims that were sent and not answered yet, and what an ack says about them.
 *
 * Generator thread. Claims are numbered as they are sent; a number is also the claim's sequence on the wire, so an ack
 * leads back to its claim without a search. What is known of a claim lies in a ring at its number, and the claims of a
 * channel form a queue through that ring, oldest first. Acks are cumulative, so one ends the first claims of a queue.
 *
 * The ring is bounded: a new claim that needs the place of one still waiting counts that one as unanswered. All older
 * numbers have left their queues by then, so the one that has to go is the first of its queue.
 *
 * Rules for claims made to be refused (`isDoomed`, with a broken signature): they are never acknowledged. An ack of a
 * newer claim covers them, since the node may hold a refusal back (it limits their rate) or not look at the signature
 * at all (the amount is committed already). A refusal that comes after that still counts as the answer.
 */

import { Departures } from './departures.ts';

/** Hears how each claim ended. Times in milliseconds. */
export interface ClaimEnds {
  /**
   * @param isByNewer the ack was for a newer claim of the channel, and this one may never have arrived
   * @param wireMs from the system call that sent the claim until the system had the ack; NaN where that is not known
   */
  committed(dueAt: number, sentAt: number, now: number, isByNewer: boolean, wireMs: number): void;
  already(dueAt: number): void;
  refused(dueAt: number, status: number, isExpected: boolean): void;
  /** The claim was made to be refused, and a newer claim of its channel is durable. */
  covered(dueAt: number): void;
  /** The claim was covered and is refused now: it counts as refused instead. */
  uncovered(dueAt: number): void;
  unanswered(dueAt: number): void;
}

const NONE = -1;
/** Words from the queue of one channel to the next one's. */
export const QUEUE_STRIDE = 8;

/** A claim in WAITING or DOOMED waits for an answer; LINGERING had one but is still in its queue; others are in no queue. */
const ENDED = 0;
const WAITING = 1;
const DOOMED = 2;
const LINGERING = 3;
const COVERED = 4;

export class Outstanding {
  /** When the claims' datagrams left. */
  readonly departures = new Departures();
  /** When the system had the ack that is being read; NaN where it does not say. */
  arrivedAt = Number.NaN;
  /** Claims waiting for an answer. */
  count = 0;
  /** Number of the next claim; its low 32 bits are its sequence. */
  next = 0;
  /** Claims covered by COMMITTED acks so far, and those of them that a newer claim's ack covered. */
  acknowledged = 0;
  acknowledgedByNewer = 0;
  /** Every claim below it has had its answer. */
  #oldest = 0;
  readonly #capacity: number;
  readonly #mask: number;
  /** Changes with each step. */
  ends: ClaimEnds;
  readonly #states: Uint8Array;
  readonly #channels: Int32Array;
  readonly #successors: Int32Array;
  readonly #amounts: Float64Array;
  readonly #dueAt: Float64Array;
  readonly #sentAt: Float64Array;
  /** The departure that took each claim, + 1; or 0. */
  readonly #departures: Float64Array;
  /** Of each channel's queue: the first entry at QUEUE_STRIDE * i, the last one right behind it. */
  readonly #queues: Int32Array;

  /**
   * @param capacity a power of two, at most 2^30
   * @param queues room for a queue a channel, which lies with what else a claim touches of its channel (channels.ts)
   */
  constructor(capacity: number, queues: Int32Array, ends: ClaimEnds) {
    this.#capacity = capacity;
    this.#mask = capacity - 1;
    this.ends = ends;
    this.#states = new Uint8Array(capacity);
    this.#channels = new Int32Array(capacity).fill(NONE);
    this.#successors = new Int32Array(capacity);
    this.#amounts = new Float64Array(capacity);
    this.#dueAt = new Float64Array(capacity);
    this.#sentAt = new Float64Array(capacity);
    this.#departures = new Float64Array(capacity);
    this.#queues = queues;
    for (let queue = 0; queue < queues.length; queue += QUEUE_STRIDE) {
      queues[queue] = NONE;
      queues[queue + 1] = NONE;
    }
  }

  /** A claim leaves. */
  add(channel: number, amount: number, dueAt: number, sentAt: number, isDoomed: boolean): void {
    if (this.next - this.#oldest >= this.#capacity) this.#expireOldest();
    const entry = this.next & this.#mask;
    this.next += 1;
    this.count += 1;
    this.#states[entry] = isDoomed ? DOOMED : WAITING;
    this.#channels[entry] = channel;
    this.#amounts[entry] = amount;
    this.#dueAt[entry] = dueAt;
    this.#sentAt[entry] = sentAt;
    this.#departures[entry] = 0;
    this.#successors[entry] = NONE;
    const last = this.#queues[QUEUE_STRIDE * channel + 1]!;
    if (last === NONE) this.#queues[QUEUE_STRIDE * channel] = entry;
    else this.#successors[last] = entry;
    this.#queues[QUEUE_STRIDE * channel + 1] = entry;
  }

  /** The claim of that number, one of the last `capacity`, is in a datagram of that departure. */
  leavesWith(number: number, departure: number): void {
    this.#departures[number & this.#mask] = departure + 1;
  }

  /** Channel of the claim with that sequence, or -1 where it is not one of the last `capacity`. */
  channelOf(sequence: number): number {
    const age = (this.next - 1 - sequence) >>> 0;
    return age < Math.min(this.#capacity, this.next) ? this.#channels[sequence & this.#mask]! : NONE;
  }

  /** The first word of the queue that an ack of that sequence leads to, or any other number: only so that it is in the cache afterwards. */
  touch(sequence: number): number {
    const channel = this.#channels[sequence & this.#mask]!;
    return channel === NONE ? NONE : this.#queues[QUEUE_STRIDE * channel]!;
  }

  /**
   * Where claims of the channel wait for an answer: the number of the last one that it sent, or of one that has had its answer
   * out of turn. -1 where none waits.
   */
  waiting(channel: number): number {
    let entry = this.#queues[QUEUE_STRIDE * channel]!;
    while (entry !== NONE && this.#states[entry] === LINGERING) entry = this.#successors[entry]!;
    if (entry === NONE) return NONE;
    const newest = this.next - 1;
    return newest - ((newest - this.#queues[QUEUE_STRIDE * channel + 1]!) & this.#mask);
  }

  /** At least `amount` of a channel is durable. Returns how many claims that ends. */
  cover(channel: number, amount: number, isCommitted: boolean, now: number): number {
    let ended = 0;
    let entry = this.#queues[QUEUE_STRIDE * channel]!;
    while (entry !== NONE) {
      const state = this.#states[entry]!;
      if (state !== LINGERING) {
        if (this.#amounts[entry]! > amount) break;
        this.#end(entry, amount, isCommitted, now);
        ended += 1;
      }
      this.#states[entry] = state === DOOMED ? COVERED : ENDED;
      entry = this.#successors[entry]!;
    }
    this.#queues[QUEUE_STRIDE * channel] = entry;
    if (entry === NONE) this.#queues[QUEUE_STRIDE * channel + 1] = NONE;
    return ended;
  }

  /**
   * The claim of that sequence was itself answered with `amount`, so it ends, even if an older claim of its queue still
   * waits: a repeated amount is answered at once, while the signature of an older claim is still being verified. Returns
   * how many claims that ends.
   */
  answer(channel: number, sequence: number, amount: number, isCommitted: boolean, now: number): number {
    const entry = sequence & this.#mask;
    const state = this.#states[entry]!;
    if (this.channelOf(sequence) !== channel || (state !== WAITING && state !== DOOMED)) return 0;
    if (this.#amounts[entry]! > amount) return 0;
    this.#end(entry, amount, isCommitted, now);
    this.#states[entry] = LINGERING;
    return 1;
  }

  /** An ack for `amount` ends a claim that waits for an answer. The caller sets its new state. */
  #end(entry: number, amount: number, isCommitted: boolean, now: number): void {
    this.count -= 1;
    const dueAt = this.#dueAt[entry]!;
    const isByNewer = this.#amounts[entry]! < amount;
    if (this.#states[entry] === DOOMED) this.ends.covered(dueAt);
    else if (!isCommitted) this.ends.already(dueAt);
    else {
      this.acknowledged += 1;
      if (isByNewer) this.acknowledgedByNewer += 1;
      const wireMs = this.arrivedAt - this.departures.at(this.#departures[entry]! - 1);
      this.ends.committed(dueAt, this.#sentAt[entry]!, now, isByNewer, wireMs);
    }
  }

  /** The claim of that sequence and channel was refused. False where it does not wait, since a copy was answered. */
  refuse(channel: number, sequence: number, status: number): boolean {
    return this.channelOf(sequence) === channel && this.#refuse(sequence & this.#mask, status);
  }

  /** The same for a replay, whose sequences are not ours: it means the oldest claim of the channel. */
  refuseOldest(channel: number, status: number): boolean {
    let entry = this.#queues[QUEUE_STRIDE * channel]!;
    while (entry !== NONE && this.#states[entry] === LINGERING) entry = this.#successors[entry]!;
    return entry !== NONE && this.#refuse(entry, status);
  }

  #refuse(entry: number, status: number): boolean {
    const state = this.#states[entry]!;
    const dueAt = this.#dueAt[entry]!;
    if (state === COVERED) {
      this.#states[entry] = ENDED;
      this.ends.uncovered(dueAt);
    } else if (state === WAITING || state === DOOMED) {
      this.#states[entry] = LINGERING;
      this.count -= 1;
    } else return false;
    this.ends.refused(dueAt, status, state !== WAITING);
    return true;
  }

  /** Gives up claims sent before `time`, oldest first. */
  expire(time: number): void {
    while (this.#oldest < this.next) {
      const entry = this.#oldest & this.#mask;
      const state = this.#states[entry]!;
      if ((state === WAITING || state === DOOMED) && this.#sentAt[entry]! >= time) return;
      this.#expireOldest();
    }
  }

  #expireOldest(): void {
    const entry = this.#oldest & this.#mask;
    const state = this.#states[entry]!;
    this.#oldest += 1;
    if (state === ENDED || state === COVERED) return;
    this.#states[entry] = ENDED;
    const channel = this.#channels[entry]!;
    const successor = this.#successors[entry]!;
    this.#queues[QUEUE_STRIDE * channel] = successor;
    if (successor === NONE) this.#queues[QUEUE_STRIDE * channel + 1] = NONE;
    if (state === LINGERING) return;
    this.count -= 1;
    this.ends.unanswered(this.#dueAt[entry]!);
  }
}
