/**
 * How much the connections of a listener hand in between two turns of its owner, and in which order.
 *
 * Room in the ring bounds nothing by itself: what is refused on receipt takes none, and the event loop brings every
 * connection that can be read before the owner, and UDP, have their turn again. So there is a budget for each turn, in
 * claims, and whoever comes when it is spent waits. Those that wait are served in rounds, a quantum each: first those
 * that pay, of which a flood's connections are none, but never with more than half of a turn while others wait.
 */

/** A millisecond of claims that are refused on receipt, half of one in C. UDP takes 1,024 in a turn. */
export const CLAIMS_PER_TURN_MAX = 2_048;
/** A round over 500 connections takes some 10 ms with it, in which a payer of 2,000/s has made 20 claims. */
const QUANTUM_CLAIMS = 32;
/**
 * Of the ring, what connections leave to UDP, whose claims cannot wait: all it may bring in a turn, of 8,192 slots. By
 * what they have under way and not by the room there is: else a flood of either kind would shut the other out.
 */
const SHARE_LEFT_TO_UDP = 1 / 8;

/** What is asked of the ring: see StreamSink. */
interface Ring {
  readonly room: number;
  readonly slots: number;
  readonly next: number;
  readonly committed: number;
}

/** Somebody with something to hand in. */
export interface TurnTaker {
  /** It was acknowledged a durable claim not long ago. */
  readonly isPaying: boolean;
}

export class Turns<T extends TurnTaker> {
  readonly #paying = new Set<T>();
  readonly #others = new Set<T>();
  #left = CLAIMS_PER_TURN_MAX;
  /** What those that pay may still take while others wait. */
  #payingLeft = 0;
  /** Claims of connections that are under way, in all and by the turn they came in, the oldest first. */
  #underWay = 0;
  readonly #entries: { count: number; end: number }[] = [];
  #entered = 0;

  /** Claims that may be handed in before the next turn. */
  get left(): number {
    return this.#left;
  }
  /** How many wait. */
  get waiting(): number {
    return this.#paying.size + this.#others.size;
  }
  /** Somebody who comes now need not wait. */
  get isFree(): boolean {
    return this.#left > 0 && this.waiting === 0;
  }

  /** A turn begins. */
  begin({ room, slots, next, committed }: Ring): void {
    if (this.#entered > 0) this.#entries.push({ count: this.#entered, end: next });
    this.#entered = 0;
    while (this.#entries.length > 0 && ((committed - this.#entries[0]!.end) | 0) >= 0)
      this.#underWay -= this.#entries.shift()!.count;
    const share = slots - Math.floor(slots * SHARE_LEFT_TO_UDP) - this.#underWay;
    this.#left = Math.max(0, Math.min(CLAIMS_PER_TURN_MAX, room, share));
    this.#payingLeft = this.#left / 2;
  }

  /** Slots of the ring were taken for somebody. */
  enter(slots: number): void {
    this.#entered += slots;
    this.#underWay += slots;
  }

  /** Work of so many claims was done for somebody. */
  spend(claims: number): void {
    this.#left -= claims;
  }

  /** Stands behind those that wait already. */
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

  /**
   * Calls `serve` with those that wait, each in its turn and with what it may hand in, until the budget is spent or
   * nobody waits. Who is not done then waits again.
   */
  serve(serve: (taker: T, claimsMax: number) => void): void {
    while (this.#left > 0) {
      const isPaying = this.#paying.size > 0 && (this.#others.size === 0 || this.#payingLeft > 0);
      const [taker] = isPaying ? this.#paying : this.#others;
      if (taker === undefined) return;
      this.leave(taker);
      const before = this.#left;
      // Few that wait share the turn in larger parts: each call has its price.
      serve(taker, Math.min(before, Math.max(QUANTUM_CLAIMS, Math.ceil(before / (this.waiting + 1)))));
      // A visit costs something, whatever it brought.
      if (this.#left === before) this.spend(1);
      if (isPaying) this.#payingLeft -= before - this.#left;
    }
  }
}
