/** Makes inputs of inputs: bytes changed, moved, doubled and left out, words of the program, and what it compared the input with. */
import type { Random } from '../support/random.ts';

/** Two operands of a comparison that were not the same. */
export type Compared = readonly [unknown, unknown];
const INTERESTING = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const STACKED_MAX = 6;

export class Mutator {
  readonly #random: Random;
  readonly #words: Uint8Array[];
  readonly #bytesMax: number;

  constructor(random: Random, literals: readonly (number | string)[], bytesMax: number) {
    this.#random = random;
    this.#words = literals.flatMap(encodings);
    this.#bytesMax = bytesMax;
  }

  /** A new input from `base`; `other` lends parts of itself, and `compared` says what the program looked for in `base`. */
  mutate(base: Uint8Array, other: Uint8Array, compared: readonly Compared[]): Uint8Array {
    const from = this.#random;
    let bytes = new Uint8Array(base);
    for (let count = 1 + from.below(STACKED_MAX); count > 0; count--) {
      const pick = from.below(12);
      if (pick < 3 && compared.length > 0) bytes = this.#likeCompared(bytes, compared);
      else if (pick < 5) this.#changeByte(bytes);
      else if (pick < 6) this.#changeWord(bytes);
      else if (pick < 8) bytes = this.#overwriteOrInsert(bytes, this.#word(other));
      else if (pick < 9) bytes = without(bytes, from.below(bytes.length + 1), 1 + from.below(16));
      else if (pick < 10) bytes.copyWithin(from.below(bytes.length + 1), from.below(bytes.length + 1));
      else if (pick < 11) bytes = spliced(bytes, other, from.below(bytes.length + 1), from.below(other.length + 1));
      else bytes = this.#overwriteOrInsert(bytes, part(from, bytes));
    }
    return bytes.length > this.#bytesMax ? bytes.slice(0, this.#bytesMax) : bytes;
  }

  #changeByte(bytes: Uint8Array): void {
    const from = this.#random;
    if (bytes.length === 0) return;
    const at = from.below(bytes.length);
    bytes[at] = from.below(2) === 0 ? bytes[at]! ^ (1 << from.below(8)) : from.below(256);
  }

  #changeWord(bytes: Uint8Array): void {
    const from = this.#random;
    const size = [1, 2, 4][from.below(3)]!;
    if (bytes.length < size) return;
    const at = from.below(bytes.length - size + 1);
    const isLittle = from.below(2) === 0;
    const view = new DataView(bytes.buffer);
    const method = size === 1 ? 'Uint8' : size === 2 ? 'Uint16' : 'Uint32';
    const old = view[`get${method}`](at, isLittle);
    const value = from.below(3) === 0 ? INTERESTING[from.below(INTERESTING.length)]! : old + from.below(33) - 16;
    view[`set${method}`](at, value, isLittle);
  }

  #word(other: Uint8Array): Uint8Array {
    const from = this.#random;
    return this.#words.length > 0 && from.below(2) === 0
      ? this.#words[from.below(this.#words.length)]!
      : part(from, other);
  }

  #overwriteOrInsert(bytes: Uint8Array, word: Uint8Array): Uint8Array<ArrayBuffer> {
    const from = this.#random;
    const at = from.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), word, bytes.subarray(from.below(2) === 0 ? at : at + word.length));
  }

  /** Where the input has what was compared, puts the other operand in its place. */
  #likeCompared(bytes: Uint8Array<ArrayBuffer>, compared: readonly Compared[]): Uint8Array<ArrayBuffer> {
    const from = this.#random;
    const pair = compared[from.below(compared.length)]!;
    const [have, want] = from.below(2) === 0 ? pair : [pair[1], pair[0]];
    const found = encodings(have);
    const wanted = encodings(want);
    if (found.length === 0 || found.length !== wanted.length) return bytes;
    const first = from.below(found.length);
    for (let index = 0; index < found.length; index++) {
      const which = (first + index) % found.length;
      const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(found[which]!);
      if (at >= 0) return joined(bytes.subarray(0, at), wanted[which]!, bytes.subarray(at + found[which]!.length));
    }
    return bytes;
  }
}

/** How a value may lie in an input: numbers in 1, 2, 4 and 8 bytes of both orders and as digits, texts as they are. */
function encodings(value: unknown): Uint8Array[] {
  if (typeof value === 'string') return value === '' ? [] : [Buffer.from(value, 'latin1')];
  if (typeof value !== 'number' && typeof value !== 'bigint') return [];
  if (typeof value === 'number' && !Number.isInteger(value)) return [];
  const bits = BigInt.asUintN(64, BigInt(value));
  const found: Uint8Array[] = [];
  for (const size of [4, 8, 2, 1]) {
    const big = new Uint8Array(size);
    for (let index = 0; index < size; index++) big[size - 1 - index] = Number((bits >> BigInt(8 * index)) & 0xffn);
    found.push(big, big.toReversed());
  }
  found.push(Buffer.from(String(value)));
  return found;
}

function part(from: Random, bytes: Uint8Array): Uint8Array {
  const at = from.below(bytes.length + 1);
  return bytes.subarray(at, at + 1 + from.below(64));
}

function without(bytes: Uint8Array, at: number, count: number): Uint8Array<ArrayBuffer> {
  return joined(bytes.subarray(0, at), bytes.subarray(at + count));
}

function spliced(left: Uint8Array, right: Uint8Array, at: number, from: number): Uint8Array<ArrayBuffer> {
  return joined(left.subarray(0, at), right.subarray(from));
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const each of parts) {
    bytes.set(each, at);
    at += each.length;
  }
  return bytes;
}
