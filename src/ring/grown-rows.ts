/**
 * Which rows of the channel table have grown since somebody looked last: a bit a row, in the arena.
 *
 * Each ring's committer marks rows in a bitmap of its own, so that lanes never write the same cache line; the main thread
 * takes the marks of all rings together. A mark that is there already costs a load, and marks cannot overflow, however
 * long nobody looks. A second bitmap has a bit for each 1,024 rows, so that looking costs little with millions of rows.
 *
 * No growth is lost: the committer stores the amount, then looks for the mark; the main thread takes the mark, then loads
 * the amount. Both are sequentially consistent, so either the committer finds its mark gone and sets it again, or the main
 * thread loads the new amount. The same holds between `isWanted` and an amount that a waiter looks at first.
 */
import { type Arena, GROWN_WORD_ROWS, grownWords } from './arena.ts';
import { controlWord, FEED_LINE } from './control-words.ts';
import { Doorbell } from './doorbell.ts';

/** Words of the line besides its doorbell's two. */
const WANTED_WORD = 2;
const ALL_BITS = 32;

/** Where the two bitmaps of a ring begin, as indices of words. */
function bitmapsOf({ plan }: Arena, ring: number): { rows: number; blocks: number } {
  const { words, bytes } = grownWords(plan.shape.channelsMax);
  const rows = (plan.grown.offset + ring * bytes) >>> 2;
  return { rows, blocks: rows + words };
}

/** A committer's handle on the marks of its ring. */
export class GrownRows {
  readonly #ints: Int32Array;
  readonly #wanted: number;
  readonly #rows: number;
  readonly #blocks: number;
  readonly #bell: Doorbell;

  constructor(arena: Arena, ring: number) {
    const { rows, blocks } = bitmapsOf(arena, ring);
    const line = controlWord(arena, FEED_LINE);
    this.#ints = arena.ints;
    this.#wanted = line + WANTED_WORD;
    this.#rows = rows;
    this.#blocks = blocks;
    this.#bell = new Doorbell(arena.ints, line);
  }

  /**
   * Marks the first `count` of `rows`, whose amounts have been stored, if anybody listens. A sequentially consistent store
   * must lie between those amounts and this call: a plain load may otherwise overtake them.
   */
  mark(rows: Uint32Array, count: number): void {
    const ints = this.#ints;
    if (Atomics.load(ints, this.#wanted) === 0) return;
    const [firstWord, firstBlock] = [this.#rows, this.#blocks];
    let hasMarked = false;
    for (let index = 0; index < count; index++) {
      const row = rows[index]!;
      const word = row >>> 5;
      const bit = 1 << (row & 31);
      if ((Atomics.load(ints, firstWord + word) & bit) !== 0) continue;
      Atomics.or(ints, firstWord + word, bit);
      hasMarked = true;
      const block = firstBlock + (word >>> 10);
      const blockBit = 1 << ((word >>> 5) & 31);
      if ((Atomics.load(ints, block) & blockBit) === 0) Atomics.or(ints, block, blockBit);
    }
    if (hasMarked) this.#bell.ring();
  }
}

/** The main thread's handle on the marks of all rings. */
export class GrownRowsReader {
  /** Rung by committers that have marked a row. */
  readonly bell: Doorbell;
  readonly #ints: Int32Array;
  readonly #wanted: number;
  readonly #bitmaps: readonly { rows: number; blocks: number }[];
  readonly #blockWords: number;
  readonly #taken: Uint32Array;

  /** @param takenMax the most rows handed over at a time, at least 32 */
  constructor(arena: Arena, takenMax = 16_384) {
    const { rings, channelsMax } = arena.plan.shape;
    const line = controlWord(arena, FEED_LINE);
    this.#ints = arena.ints;
    this.#wanted = line + WANTED_WORD;
    this.#bitmaps = Array.from({ length: rings }, (_, ring) => bitmapsOf(arena, ring));
    this.#blockWords = grownWords(channelsMax).blockWords;
    this.#taken = new Uint32Array(takenMax);
    this.bell = new Doorbell(arena.ints, line);
  }

  /** Whether committers mark at all: groups that are applied later do. */
  set isWanted(isWanted: boolean) {
    Atomics.store(this.#ints, this.#wanted, isWanted ? 1 : 0);
  }

  /** Whether any row is marked. */
  get hasMarks(): boolean {
    for (const { blocks } of this.#bitmaps)
      for (let block = 0; block < this.#blockWords; block++)
        if (Atomics.load(this.#ints, blocks + block) !== 0) return true;
    return false;
  }

  /** Takes all marks, and calls `visit` with the rows that had one: some at a time, each row once, in order. */
  take(visit: (rows: Uint32Array, count: number) => void): void {
    const taken = this.#taken;
    let count = 0;
    for (let block = 0; block < this.#blockWords; block++) {
      let blockBits = 0;
      for (const { blocks } of this.#bitmaps) blockBits |= this.#exchange(blocks + block);
      for (; blockBits !== 0; blockBits &= blockBits - 1) {
        const first = (block * ALL_BITS + lowestBit(blockBits)) * ALL_BITS;
        for (let word = first; word < first + ALL_BITS; word++) {
          if (count + GROWN_WORD_ROWS > taken.length) {
            visit(taken, count);
            count = 0;
          }
          let bits = 0;
          for (const { rows } of this.#bitmaps) bits |= this.#exchange(rows + word);
          for (; bits !== 0; bits &= bits - 1) taken[count++] = word * GROWN_WORD_ROWS + lowestBit(bits);
        }
      }
    }
    if (count > 0) visit(taken, count);
  }

  /** Takes a word; most are empty, which a load finds out. */
  #exchange(word: number): number {
    return Atomics.load(this.#ints, word) === 0 ? 0 : Atomics.exchange(this.#ints, word, 0);
  }
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
