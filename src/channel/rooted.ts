/**
 * What is kept of channels that are paid by leaves of signed roots (frame 0x03): beside the table, so that other channels cost nothing.
 *
 * Any thread; the memory is one SharedArrayBuffer, whose pages are not resident before a channel's first leaf. A row's fields
 * are written under the row's lock (table.ts). The table's `committed` is what claims and leaves have paid; the table's
 * signature stays that of the highest claim on its own, whose amount is kept here: a root never overwrites what can be redeemed.
 *
 * Of the newest leaf it is kept where the journal has its frame (lane, segment, offset, index). A frame proves all of its
 * leaves, is durable before a leaf counts, and its segment stays until a checkpoint has the proof. So a leaf costs
 * four words here, and no frame is held in memory.
 *
 * Exposure is what leaves have paid, and could not be redeemed if the payer left: for each `xrpl` channel, and for all of a
 * key's. It is reserved when a leaf is staged: a staged leaf is committed, or the process ends, so nothing is ever given back but
 * by a claim on its own. A key's sum has a lock; a row's lock is taken first.
 */
import { CLAIM_AMOUNT, CLAIM_SEQUENCE, CLAIM_TIMESTAMP } from '../../protocol/layout.ts';
import { assert } from '../errors.ts';
import { KEY_SUM_BYTES, KeySums } from './key-sums.ts';
import type { Channel, LeafPlace } from './row.ts';
import {
  type ChannelTable,
  FLAG_LINK,
  FLAG_ROOTED,
  HOT_COMMITTED_HIGH,
  HOT_COMMITTED_LOW,
  HOT_DIRTY,
  HOT_FLAGS,
  HOT_KEY,
  HOT_SEQUENCE,
  HOT_TIMESTAMP_HIGH,
  HOT_TIMESTAMP_LOW,
  HOT_VERSION,
  isAbove,
  joined,
  type RowExtension,
} from './table.ts';

/** Words of a row. */
const HAS = 0; // 1 once the fields of the claim on its own are valid
const OWN_HIGH = 1;
const OWN_LOW = 2;
const OWN_SEQUENCE = 3;
const OWN_TIMESTAMP = 4; // two
const LEAF_HIGH = 6;
const LEAF_LOW = 7;
const LEAF_SEQUENCE = 8;
const LEAF_TIMESTAMP = 9; // two
const PLACE_SEGMENT = 11;
const PLACE_OFFSET = 12;
const PLACE_LANE = 13; // lane << 8 | leaf
const RESERVED_HIGH = 14; // what staged leaves may commit
const RESERVED_LOW = 15;
const ROW_WORDS = 16;
/** The same for C (native/leaf_path.c). */
export const ROOTED_LAYOUT: Readonly<Record<string, number>> = {
  HAS,
  OWN_HIGH,
  OWN_LOW,
  OWN_SEQUENCE,
  OWN_TIMESTAMP,
  LEAF_HIGH,
  LEAF_LOW,
  LEAF_SEQUENCE,
  LEAF_TIMESTAMP,
  PLACE_SEGMENT,
  PLACE_OFFSET,
  PLACE_LANE,
  ROW_WORDS,
  LEAF_BITS: 8,
};
const LEAF_BITS = 8;

/** Most drops of `--root-exposure`: sums of so many are exact in a double. */
const ROOT_EXPOSURE_MAX = Number.MAX_SAFE_INTEGER;

const TWO_32 = 0x1_0000_0000;

export class RootedRows implements RowExtension {
  readonly memory: SharedArrayBuffer;
  /** All rows, ROW_WORDS each. C writes here too. */
  readonly words: Uint32Array;
  /** Drops that `xrpl` channels, and all of one key together, may owe by leaves alone. */
  readonly exposureMax: number;
  /** The halves of the amount that `loadRoom` computed. */
  roomHigh = 0;
  roomLow = 0;
  readonly #table: ChannelTable;
  readonly #keys: KeySums;

  /** Joins the table; by default with new memory. Every thread that commits or reads rows has one over the same memory. */
  constructor(table: ChannelTable, exposureMax = 0, memory = RootedRows.memoryFor(table)) {
    assert(exposureMax >= 0 && exposureMax <= ROOT_EXPOSURE_MAX, 'an exposure is exact');
    this.memory = memory;
    this.exposureMax = exposureMax;
    this.#table = table;
    this.words = new Uint32Array(memory);
    this.#keys = new KeySums(memory, table.capacity * 4 * ROW_WORDS);
    table.extension = this;
  }

  static memoryFor({ capacity }: Pick<ChannelTable, 'capacity'>): SharedArrayBuffer {
    return new SharedArrayBuffer(capacity * (4 * ROW_WORDS + KEY_SUM_BYTES));
  }

  /** Marks a row as one with leaves, so that no claim of its is taken for a plain one; before its first leaf is staged. */
  mark(row: number): void {
    this.#table.markRooted(row);
  }

  /**
   * Whether a row's claim on its own for this amount says more than the highest one kept: rule 6 for such claims.
   * @param hot word index of the row's hot line
   */
  isNews(row: number, hot: number, amountHigh: number, amountLow: number): boolean {
    const { words } = this.#table;
    const base = row * ROW_WORDS;
    if (Atomics.load(this.words, base + HAS) === 0)
      return isAbove(amountHigh, amountLow, this.#table.committedHigh(hot), this.#table.committedLow(hot));
    for (;;) {
      const version = Atomics.load(words, hot + HOT_VERSION);
      const high = Atomics.load(this.words, base + OWN_HIGH);
      const low = Atomics.load(this.words, base + OWN_LOW);
      if ((version & 1) === 0 && Atomics.load(words, hot + HOT_VERSION) === version)
        return isAbove(amountHigh, amountLow, high, low);
    }
  }

  /** Whether a sequence is above that of the row's highest claim on its own: rule 8 for such claims of `link` channels. */
  risesAboveOwn(row: number, hot: number, sequence: number): boolean {
    const { words } = this.#table;
    const base = row * ROW_WORDS;
    for (;;) {
      const version = Atomics.load(words, hot + HOT_VERSION);
      const isKept = Atomics.load(this.words, base + HAS) !== 0;
      const own = isKept ? Atomics.load(this.words, base + OWN_SEQUENCE) : Atomics.load(words, hot + HOT_SEQUENCE);
      const high = isKept ? Atomics.load(this.words, base + OWN_HIGH) : Atomics.load(words, hot + HOT_COMMITTED_HIGH);
      const low = isKept ? Atomics.load(this.words, base + OWN_LOW) : Atomics.load(words, hot + HOT_COMMITTED_LOW);
      if ((version & 1) === 0 && Atomics.load(words, hot + HOT_VERSION) === version)
        return (high | low) === 0 || sequence > own;
    }
  }

  /** Whether C stages and commits the row's leaves: its channel has no limit, and is marked. */
  isPlain(row: number): boolean {
    const flags = Atomics.load(this.#table.words, this.#table.hot(row) + HOT_FLAGS);
    return (flags & (FLAG_LINK | FLAG_ROOTED)) === (FLAG_LINK | FLAG_ROOTED);
  }

  // --- exposure ---

  /**
   * Whether a leaf for this amount may be taken now; the answer at the door, which `reserve` gives again for good. `link` channels
   * have no limit.
   */
  mayTake(row: number, amountHigh: number, amountLow: number): boolean {
    const hot = this.#table.hot(row);
    if (this.#isLink(hot)) return true;
    if (this.exposureMax === 0) return false;
    const version = this.#table.lock(hot);
    const isWithin = !this.#exceeds(row, hot, amountHigh, amountLow);
    this.#table.unlock(hot, version);
    return isWithin;
  }

  /**
   * Reserves what a leaf for this amount would expose; false, with nothing reserved, where it would be too much for its
   * channel or its key. Called once the leaf is verified, right before it is staged. The row is marked before.
   */
  reserve(row: number, amountHigh: number, amountLow: number): boolean {
    const hot = this.#table.hot(row);
    if (this.#isLink(hot)) return true;
    const key = this.#table.words[hot + HOT_KEY]!;
    const version = this.#table.lock(hot);
    this.#begin(row, hot);
    this.#keys.lock(key);
    const base = row * ROW_WORDS;
    const isWithin = !this.#exceeds(row, hot, amountHigh, amountLow);
    if (
      isWithin &&
      isAbove(amountHigh, amountLow, this.words[base + RESERVED_HIGH]!, this.words[base + RESERVED_LOW]!)
    ) {
      const before = this.#exposure(row, hot);
      this.#store(base + RESERVED_HIGH, amountHigh);
      this.#store(base + RESERVED_LOW, amountLow);
      this.#keys.add(key, this.#exposure(row, hot) - before);
    }
    this.#keys.unlock(key);
    this.#table.unlock(hot, version);
    return isWithin;
  }

  /**
   * Loads `roomHigh` and `roomLow`: what a leaf of the row may state now, the amount of the refusal ROOT_EXPOSURE. It is at
   * least what the claim on its own states.
   */
  loadRoom(row: number): void {
    const hot = this.#table.hot(row);
    const key = this.#table.words[hot + HOT_KEY]!;
    const version = this.#table.lock(hot);
    const base = row * ROW_WORDS;
    const others = this.#keys.of(key) - this.#exposure(row, hot);
    const left = Math.max(0, this.exposureMax - others);
    const isKept = this.words[base + HAS] !== 0;
    const { words } = this.#table;
    const low = (isKept ? this.words[base + OWN_LOW]! : words[hot + HOT_COMMITTED_LOW]!) + (left % TWO_32);
    const high = isKept ? this.words[base + OWN_HIGH]! : words[hot + HOT_COMMITTED_HIGH]!;
    this.roomLow = low % TWO_32;
    this.roomHigh = high + Math.floor(left / TWO_32) + Math.floor(low / TWO_32);
    this.#table.unlock(hot, version);
  }

  /** Drops that all channels of a row's key owe by leaves alone: for tests and statistics. */
  exposureOfKey(row: number): number {
    return this.#keys.of(this.#table.words[this.#table.hot(row) + HOT_KEY]!);
  }

  // --- committers ---

  /**
   * Makes the leaf that the record at `offset` of `view` states (amount, sequence and timestamp at their places in a claim) the row's
   * newest, if it is for more than the one before. Its frame is durable. The committed amount rises to it; the claim on its own stays.
   * @param offsetInSegment where the journal has the leaf's frame
   */
  commitLeaf(
    row: number,
    view: DataView,
    offset: number,
    lane: number,
    segment: number,
    offsetInSegment: number,
    leaf: number,
  ): void {
    const table = this.#table;
    const hot = table.hot(row);
    const base = row * ROW_WORDS;
    const version = table.lock(hot);
    this.#begin(row, hot);
    const high = view.getUint32(offset + CLAIM_AMOUNT);
    const low = view.getUint32(offset + CLAIM_AMOUNT + 4);
    const [leafHigh, leafLow] = [this.words[base + LEAF_HIGH]!, this.words[base + LEAF_LOW]!];
    if (isAbove(high, low, leafHigh, leafLow)) {
      this.#store(base + LEAF_HIGH, high);
      this.#store(base + LEAF_LOW, low);
      this.#store(base + LEAF_SEQUENCE, view.getUint32(offset + CLAIM_SEQUENCE));
      this.#store(base + LEAF_TIMESTAMP, view.getUint32(offset + CLAIM_TIMESTAMP));
      this.#store(base + LEAF_TIMESTAMP + 1, view.getUint32(offset + CLAIM_TIMESTAMP + 4));
      this.#store(base + PLACE_SEGMENT, segment);
      this.#store(base + PLACE_OFFSET, offsetInSegment);
      this.#store(base + PLACE_LANE, (lane << LEAF_BITS) | leaf);
      const before = this.#exposure(row, hot);
      table.storeBest(hot, view, offset);
      this.#settle(hot, this.#exposure(row, hot) - before);
      // The registry's row says that there are leaves, and nothing of them: the side table does.
      if ((leafHigh | leafLow) === 0) Atomics.store(table.words, hot + HOT_DIRTY, 1);
    }
    table.unlock(hot, version);
  }

  /** Makes a claim on its own (93 bytes, durable) the one to redeem, if it is for more; it may be for less than is committed. */
  cover(row: number, view: DataView, offset: number): void {
    this.#table.commit(row, view, offset);
  }

  commitLocked(row: number, hot: number, view: DataView, offset: number): boolean {
    const base = row * ROW_WORDS;
    if (this.words[base + HAS] === 0) return false;
    const high = view.getUint32(offset + CLAIM_AMOUNT);
    const low = view.getUint32(offset + CLAIM_AMOUNT + 4);
    if (!isAbove(high, low, this.words[base + OWN_HIGH]!, this.words[base + OWN_LOW]!)) return true;
    const before = this.#exposure(row, hot);
    this.#store(base + OWN_HIGH, high);
    this.#store(base + OWN_LOW, low);
    this.#store(base + OWN_SEQUENCE, view.getUint32(offset + CLAIM_SEQUENCE));
    this.#store(base + OWN_TIMESTAMP, view.getUint32(offset + CLAIM_TIMESTAMP));
    this.#store(base + OWN_TIMESTAMP + 1, view.getUint32(offset + CLAIM_TIMESTAMP + 4));
    this.#table.storeSignature(row, view, offset);
    this.#table.storeBest(hot, view, offset);
    Atomics.store(this.#table.words, hot + HOT_DIRTY, 1);
    this.#settle(hot, this.#exposure(row, hot) - before);
    return true;
  }

  raiseLocked(row: number, hot: number, high: number, low: number): void {
    const base = row * ROW_WORDS;
    if (this.words[base + HAS] === 0) return;
    const before = this.#exposure(row, hot);
    this.#store(base + OWN_HIGH, high);
    this.#store(base + OWN_LOW, low);
    this.#settle(hot, this.#exposure(row, hot) - before);
  }

  // --- main thread ---

  copyInto(row: number, channel: Channel): void {
    const base = row * ROW_WORDS;
    if (this.#load(base + HAS) === 0) return;
    const amount = this.#pair(base + LEAF_HIGH);
    channel.rooted = {
      committed: this.#pair(base + OWN_HIGH),
      sequence: this.#load(base + OWN_SEQUENCE),
      timestampBits: this.#pair(base + OWN_TIMESTAMP),
    };
    if (amount === 0n) return;
    channel.rooted.leaf = {
      amount,
      sequence: this.#load(base + LEAF_SEQUENCE),
      timestampBits: this.#pair(base + LEAF_TIMESTAMP),
      place: this.#place(base),
    };
  }

  /** Where a journal has the row's newest leaf; undefined where it has none, or a checkpoint has kept the leaf's proof. */
  unkept(row: number): LeafPlace | undefined {
    const base = row * ROW_WORDS;
    if (this.#load(base + PLACE_SEGMENT) === 0) return undefined;
    const hot = this.#table.hot(row);
    const version = this.#table.lock(hot);
    const place = this.#place(base);
    this.#table.unlock(hot, version);
    return place;
  }

  /** A checkpoint has kept the proof of the row's leaf at this place: if that is still the newest one, no journal needs to have it. */
  kept(row: number, { lane, segment, offset, leaf }: LeafPlace): void {
    const base = row * ROW_WORDS;
    const hot = this.#table.hot(row);
    const version = this.#table.lock(hot);
    const isSame =
      this.words[base + PLACE_SEGMENT] === segment &&
      this.words[base + PLACE_OFFSET] === offset &&
      this.words[base + PLACE_LANE] === ((lane << LEAF_BITS) | leaf) >>> 0;
    if (isSame) this.#store(base + PLACE_SEGMENT, 0);
    this.#table.unlock(hot, version);
  }

  #place(base: number): LeafPlace {
    const place = this.#load(base + PLACE_LANE);
    return {
      lane: place >>> LEAF_BITS,
      segment: this.#load(base + PLACE_SEGMENT),
      offset: this.#load(base + PLACE_OFFSET),
      leaf: place & ((1 << LEAF_BITS) - 1),
    };
  }

  /** Forgets the leaves of a row that another channel will reuse. Before other threads run. */
  clear(row: number): void {
    this.words.fill(0, row * ROW_WORDS, (row + 1) * ROW_WORDS);
  }

  /**
   * Sums the exposures anew: after a replay, which meets a key's leaves before the claims that cover them. Before other
   * threads run.
   */
  recount(): void {
    const table = this.#table;
    this.#keys.clear();
    for (let row = 0; row < table.rows; row++) {
      const hot = table.hot(row);
      if ((table.words[hot + HOT_FLAGS]! & FLAG_ROOTED) !== 0) this.#settle(hot, this.#exposure(row, hot));
    }
  }

  /** From here on the row's fields are kept. Under its lock. */
  #begin(row: number, hot: number): void {
    const base = row * ROW_WORDS;
    if (this.words[base + HAS] !== 0) return;
    const { words } = this.#table;
    this.#store(base + OWN_HIGH, words[hot + HOT_COMMITTED_HIGH]!);
    this.#store(base + OWN_LOW, words[hot + HOT_COMMITTED_LOW]!);
    this.#store(base + OWN_SEQUENCE, words[hot + HOT_SEQUENCE]!);
    this.#store(base + OWN_TIMESTAMP, words[hot + HOT_TIMESTAMP_HIGH]!);
    this.#store(base + OWN_TIMESTAMP + 1, words[hot + HOT_TIMESTAMP_LOW]!);
    this.#store(base + HAS, 1);
  }

  /** Drops that a row's leaves, committed or staged, state beyond its claim on its own; 0 for `link`. Under its lock. */
  #exposure(row: number, hot: number): number {
    const base = row * ROW_WORDS;
    if (this.words[base + HAS] === 0 || this.#isLink(hot)) return 0;
    const { words } = this.#table;
    const committed = this.#beyondOwn(base, hot, words[hot + HOT_COMMITTED_HIGH]!, words[hot + HOT_COMMITTED_LOW]!);
    const reserved = this.#beyondOwn(base, hot, this.words[base + RESERVED_HIGH]!, this.words[base + RESERVED_LOW]!);
    return Math.max(0, committed, reserved);
  }

  /** Whether a leaf for this amount exposes too much. Under the row's lock; for good also under its key's. */
  #exceeds(row: number, hot: number, amountHigh: number, amountLow: number): boolean {
    const now = this.#exposure(row, hot);
    const then = this.#beyondOwn(row * ROW_WORDS, hot, amountHigh, amountLow);
    if (then <= now) return false;
    const sum = this.#keys.of(this.#table.words[hot + HOT_KEY]!);
    // The sum has the row's own part, so what a key may expose bounds what a channel may.
    return sum - now + then > this.exposureMax;
  }

  /** An amount less that of the claim on its own. Exact up to 2^53; a double beyond it is beyond any limit too. */
  #beyondOwn(base: number, hot: number, high: number, low: number): number {
    const isKept = this.words[base + HAS] !== 0;
    const { words } = this.#table;
    const ownHigh = isKept ? this.words[base + OWN_HIGH]! : words[hot + HOT_COMMITTED_HIGH]!;
    const ownLow = isKept ? this.words[base + OWN_LOW]! : words[hot + HOT_COMMITTED_LOW]!;
    return (high - ownHigh) * TWO_32 + (low - ownLow);
  }

  /** Adds to the sum of a row's key. Under the row's lock. */
  #settle(hot: number, difference: number): void {
    if (difference === 0) return;
    const key = this.#table.words[hot + HOT_KEY]!;
    this.#keys.lock(key);
    this.#keys.add(key, difference);
    this.#keys.unlock(key);
  }

  #isLink(hot: number): boolean {
    return (Atomics.load(this.#table.words, hot + HOT_FLAGS) & FLAG_LINK) !== 0;
  }
  #load(word: number): number {
    return Atomics.load(this.words, word);
  }
  #store(word: number, value: number): void {
    Atomics.store(this.words, word, value);
  }
  #pair(word: number): bigint {
    return joined(this.#load(word), this.#load(word + 1));
  }
}
