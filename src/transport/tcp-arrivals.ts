/**
 * Connections that were accepted, set up a few a turn: the event loop accepts all that wait at once, and a thousand of
 * them, at some 100 µs each, would keep a thread from everybody else for as long.
 */

/** Some 2 ms of work. Those accepted beyond it wait, at half the price each, for the turns that follow. */
const PER_TURN_MAX = 16;

export class Arrivals {
  readonly #waiting: (() => void)[] = [];
  #left = PER_TURN_MAX;
  #isScheduled = false;

  /** Calls `setUp`: now, or in its turn. */
  add(setUp: () => void): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      setImmediate(this.#turn);
    }
    if (this.#left === 0) {
      this.#waiting.push(setUp);
      return;
    }
    this.#left--;
    setUp();
  }

  readonly #turn = (): void => {
    const setUps = this.#waiting.splice(0, PER_TURN_MAX);
    this.#left = PER_TURN_MAX - setUps.length;
    this.#isScheduled = setUps.length > 0;
    if (this.#isScheduled) setImmediate(this.#turn);
    for (const setUp of setUps) setUp();
  };
}
