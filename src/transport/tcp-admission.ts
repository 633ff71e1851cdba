/**
 * Which accepted connections are kept, and when they are set up. Owned by a listener.
 *
 * Connections are counted per remote address, so that one peer leaves room for others; by its /64 with IPv6, since whoever
 * has one address there has them all. A few are set up a turn: the event loop accepts all that wait at once, and setting up
 * a thousand, at some 100 µs each, would block the thread for as long.
 */
import { SOURCE_WORDS } from '../ring/slot.ts';
import { SourceCodec } from './source.ts';

/** Some 2 ms of work. Further connections wait for the next turns, at half the cost each. */
const PER_TURN_MAX = 16;

/** Names of addresses that share their limits: an IPv6 address is named as its /64. */
export class AddressNames {
  readonly #codec = new SourceCodec();
  readonly #words = new Uint32Array(SOURCE_WORDS);

  of(address: string): string {
    this.#codec.parse(address, this.#words);
    const [, a, b, c, d] = this.#words;
    return a === 0 && b === 0 ? `${c}:${d}` : `${a}:${b}`;
  }
}

export class AddressCounts {
  readonly #max: number;
  readonly #names = new AddressNames();
  /** It has at most as many entries as there are connections. */
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a connection; false when the address has its share already. */
  add(address: string): boolean {
    const key = this.#names.of(address);
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#max) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  release(address: string): void {
    const key = this.#names.of(address);
    const count = this.#counts.get(key)! - 1;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}

export class Arrivals {
  readonly #waiting: (() => void)[] = [];
  #left = PER_TURN_MAX;
  #isScheduled = false;

  /** Calls `setUp` now or in a later turn. */
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
