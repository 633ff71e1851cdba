/**
 * When datagrams left, by the number of their departure: claims that one system call sends have one departure. Generator thread.
 *
 * The last ones are known. A claim that is answered after that many later departures has waited for seconds.
 */
const KEPT = 2 ** 18;

export class Departures {
  readonly #times = new Float64Array(KEPT);
  /** Modulo 2^32. */
  #next = 0;

  /** A departure is being prepared; returns its number. */
  prepare(): number {
    const number = this.#next;
    this.#times[number % KEPT] = Number.NaN;
    this.#next = (number + 1) >>> 0;
    return number;
  }

  /** It leaves now. Where the socket takes only a part, it leaves again later. */
  leave(number: number, now: number): void {
    this.#times[number % KEPT] = now;
  }

  /** When it left, in milliseconds; NaN where it has not, where that is not known any more, and for -1. */
  at(number: number): number {
    const age = (this.#next - number) >>> 0;
    return number >= 0 && age > 0 && age <= KEPT ? this.#times[number % KEPT]! : Number.NaN;
  }
}
