/**
 * How much the connections of a listener hand in between two turns of its owner, and in which order.
 *
 * Room in the ring is no limit, since claims refused on receipt use none, and the event loop reads every readable connection
 * before UDP and the owner's next turn. So each turn has a budget, in claims, and connections wait when it is spent. They
 * are served in rounds, a quantum each: first those that pay, as those of a flood do not, but with at most half of a turn
 * while others wait.
 */
import { UnderWay } from '../ring/under-way.ts';
import type { StreamSink } from './transport.ts';

/** A millisecond of claims that are refused on receipt, or half a millisecond in C. UDP receives 1,024 in a turn. */
export const CLAIMS_PER_TURN_MAX = 2_048;
/** With it a round of 500 connections takes some 10 ms, in which a payer of 2,000/s makes 20 claims. */
const QUANTUM_CLAIMS = 32;
/**
 * The share of the ring that connections leave to UDP, whose claims cannot wait: of 32,768 slots, what UDP receives in
 * four turns. It is measured by their claims in flight, not by the room, or a flood of either kind would shut out the other.
 */
const SHARE_LEFT_TO_UDP = 1 / 8;

/** A connection with something to hand in. */
export interface TurnTaker {
  /** Whether a claim of it was committed not long ago. */
  readonly isPaying: boolean;
}

export class Turns<T extends TurnTaker> {
  readonly #paying = new Set<T>();
  readonly #others = new Set<T>();
  #left = CLAIMS_PER_TURN_MAX;
  /** What those that pay may still hand in while others wait. */
  #payingLeft = 0;
  /** Claims of connections in flight. */
  readonly #underWay = new UnderWay();

  /** Claims that may be handed in before the next turn. */
  get left(): number {
    return this.#left;
  }
  get waiting(): number {
    return this.#paying.size + this.#others.size;
  }
  /** Whether a connection that comes now need not wait. */
  get isFree(): boolean {
    return this.#left > 0 && this.waiting === 0;
  }

  begin({ room, slots, next, committed }: Omit<StreamSink, 'payload'>): void {
    this.#underWay.endTurn(next);
    const share = slots - Math.floor(slots * SHARE_LEFT_TO_UDP) - this.#underWay.count(committed);
    this.#left = Math.max(0, Math.min(CLAIMS_PER_TURN_MAX, room, share));
    this.#payingLeft = this.#left / 2;
  }

  /** Counts slots of the ring that were filled. */
  enter(slots: number): void {
    this.#underWay.enter(slots);
  }

  /** Counts work that was done, in claims. */
  spend(claims: number): void {
    this.#left -= claims;
  }

  /** Puts `taker` behind those that wait. */
  wait(taker: T): void {
    (taker.isPaying ? this.#paying : this.#others).add(taker);
  }

  leave(taker: T): void {
    this.#paying.delete(taker);
    this.#others.delete(taker);
  }

  clear(): void {
    this.#paying.clear();
    this.#others.clear();
  }

  /** Calls `serve` with each that waits, and with what it may hand in, until the budget is spent or none waits. */
  serve(serve: (taker: T, claimsMax: number) => void): void {
    while (this.#left > 0) {
      const isPaying = this.#paying.size > 0 && (this.#others.size === 0 || this.#payingLeft > 0);
      const [taker] = isPaying ? this.#paying : this.#others;
      if (taker === undefined) return;
      this.leave(taker);
      const before = this.#left;
      // A few that wait share the turn in larger parts, since each call has its cost.
      serve(taker, Math.min(before, Math.max(QUANTUM_CLAIMS, Math.ceil(before / (this.waiting + 1)))));
      // A call that handed in nothing still costs something.
      if (this.#left === before) this.spend(1);
      if (isPaying) this.#payingLeft -= before - this.#left;
    }
  }
}
