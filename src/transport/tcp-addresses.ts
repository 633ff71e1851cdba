/**
 * Connections per remote address, so that one peer leaves room for others. Owned by a listener.
 *
 * An IPv6 peer is counted by its /64: whoever has one address there has them all.
 */
import { SOURCE_WORDS } from '../ring/slot.ts';
import { SourceCodec } from './source.ts';

export class AddressCounts {
  readonly #max: number;
  readonly #codec = new SourceCodec();
  readonly #words = new Uint32Array(SOURCE_WORDS);
  /** As many entries as connections at the most. */
  readonly #counts = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** False when the address has its share already. */
  take(address: string): boolean {
    const key = this.#key(address);
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#max) return false;
    this.#counts.set(key, count + 1);
    return true;
  }

  release(address: string): void {
    const key = this.#key(address);
    const count = this.#counts.get(key)! - 1;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }

  #key(address: string): string {
    this.#codec.parse(address, this.#words);
    const [, a, b, c, d] = this.#words;
    return a === 0 && b === 0 ? `${c}:${d}` : `${a}:${b}`;
  }
}
