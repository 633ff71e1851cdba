/** How many of the claims in a ring came one way, counted by the turn they came in. Net thread or lane. */
export class UnderWay {
  /** By turn, the oldest first: how many, and the ring sequence after the turn. */
  readonly #turns: { count: number; end: number }[] = [];
  #entered = 0;
  #count = 0;

  /** Counts slots that were filled in this turn. */
  enter(slots: number): void {
    this.#entered += slots;
    this.#count += slots;
  }

  /** The turn is over at this ring sequence. */
  endTurn(next: number): void {
    if (this.#entered > 0) this.#turns.push({ count: this.#entered, end: next });
    this.#entered = 0;
  }

  /** How many are not yet decided, up to the turn: `committed` is the ring's. */
  count(committed: number): number {
    while (this.#turns.length > 0 && ((committed - this.#turns[0]!.end) | 0) >= 0)
      this.#count -= this.#turns.shift()!.count;
    return this.#count;
  }
}
