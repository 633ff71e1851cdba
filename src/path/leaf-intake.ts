/**
 * The receive step's part for Merkle batches: a frame is copied once into the pool, and each of its leaves into a slot of the ring,
 * where it goes on like a claim. Net thread or lane; only with `--roots`.
 *
 * The rules are applied to each leaf as on receipt of a claim. The leaves that are refused here are not verified, so nobody
 * knows whether their frame came from where it says: no more bytes are answered than the frame has. A frame with a channel that is
 * unknown leads to no root, since its leaf cannot be hashed; its other leaves are not answered, and come again in the payer's next root.
 */
import { claimAmountHigh, claimAmountLow } from '../../protocol/claim.ts';
import {
  ACK_BYTES,
  CLAIM_AMOUNT,
  CLAIM_BYTES,
  CLAIM_CHANNEL_ID,
  CLAIM_SEQUENCE,
  CLAIM_TIMESTAMP,
  FRAME_MERKLE,
  MERKLE_BLOCK_LEAVES,
  MERKLE_LEAF_AMOUNT,
  MERKLE_LEAF_BYTES,
  STATUS,
} from '../../protocol/layout.ts';
import { emptyFrameHead, frameLeafAt, readFrameHead } from '../../protocol/merkle-frame.ts';
import type { RootedRows } from '../channel/rooted.ts';
import type { ChannelTable } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import {
  ENTRY_ANSWERS,
  ENTRY_COUNT,
  ENTRY_FRAME,
  ENTRY_NOTED,
  ENTRY_ROWS,
  ENTRY_SIZE,
  ENTRY_VERDICT,
  FRAME_PENDING,
  FramePool,
} from '../ring/frame-pool.ts';
import { SLOT_FRAME, SLOT_LEAF, SLOT_ROW, SLOT_SOURCE, SOURCE_WORDS } from '../ring/slot.ts';
import type { System } from '../system/system.ts';
import { FrameFilter } from './frame-filter.ts';
import type { PlainFrame } from './native-path.ts';
import { ADMITTED, admit, unknownChannelStatus } from './rules.ts';
import { STATUS_COUNTER } from './status-counters.ts';

const RECEIVED = counterIndex('received');
const FRAMES = counterIndex('roots.frames');
const REPEATED = counterIndex('roots.repeated');
const UNJUDGED = counterIndex('roots.unjudged');
const POOL_FULL = counterIndex('roots.poolFull');
const UNANSWERED = counterIndex('roots.unanswered');

/** Whole words of a slot that are a claim's alone. */
const CLAIM_WORDS = CLAIM_BYTES >>> 2;
const ROW_NONE = 0xffff_ffff;

/** What the receive step does for leaves as for claims. */
export interface LeafDoor {
  /** Answers the claim at `offset` of `view` to who sent the payload. */
  answer(status: number, view: DataView, offset: number, high: number, low: number): void;
  /** Whether a claim of the row may enter now. */
  mayEnter(row: number): boolean;
  /** Enters all leaves of a frame at once, where each is plain; else nothing is done. */
  enterPlain(frame: PlainFrame): boolean;
  /** What came is worth nothing. */
  useless(): void;
}

export interface LeafIntakeOptions {
  arena: Arena;
  /** The ring's number, and the thread's handle on it. */
  number: number;
  ring: ClaimRing;
  table: ChannelTable;
  rooted: RootedRows;
  counters: Counters;
  random: System['random'];
}

export class LeafIntake {
  readonly #arena: Arena;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  readonly #rooted: RootedRows;
  readonly #counters: Counters;
  readonly #pool: FramePool;
  readonly #filter: FrameFilter;
  readonly #door: LeafDoor;
  readonly #head = emptyFrameHead();
  /** A leaf as a claim, whole words of it. */
  readonly #claimBytes = new Uint8Array(4 * (CLAIM_WORDS + 1));
  readonly #claim = new DataView(this.#claimBytes.buffer);
  readonly #claimWords = new Uint32Array(this.#claimBytes.buffer);
  /** The payload of the frame at hand. */
  #frame: DataView = new DataView(new ArrayBuffer(0));
  /** Of the frame at hand: the rows of its leaves, those that enter, and how many more may be answered. */
  readonly #rows = new Uint32Array(MERKLE_BLOCK_LEAVES);
  readonly #entering = new Uint8Array(MERKLE_BLOCK_LEAVES);
  #answers = 0;
  /** The frame at hand, for C. */
  readonly #plain: PlainFrame = { bytes: new Uint8Array(0), offset: 0, size: 0, count: 0, entry: 0 };

  constructor({ arena, number, ring, table, rooted, counters, random }: LeafIntakeOptions, door: LeafDoor) {
    this.#arena = arena;
    this.#ring = ring;
    this.#table = table;
    this.#rooted = rooted;
    this.#counters = counters;
    this.#pool = new FramePool(arena, number, ring);
    this.#filter = new FrameFilter(arena, this.#pool, random);
    this.#door = door;
    this.#claimBytes[0] = FRAME_MERKLE;
  }

  /** Takes the whole frame of `size` bytes at `offset` of `bytes` and of its view; its source is five words at `source[at]`. */
  frame(
    view: DataView,
    bytes: Uint8Array,
    offset: number,
    size: number,
    source: Uint32Array,
    at: number,
    nowSeconds: number,
  ): void {
    this.#frame = view;
    const head = this.#head;
    this.#counters.add(FRAMES, 1);
    readFrameHead(bytes, offset, offset + size, head);
    if (this.#filter.isRepeated(bytes, offset, size)) {
      this.#counters.add(REPEATED, 1);
      return;
    }
    this.#answers = Math.floor(size / ACK_BYTES);
    if (this.#enterPlain(bytes, offset, size)) return;
    const claim = this.#claim;
    claim.setUint32(CLAIM_SEQUENCE, head.sequence);
    claim.setUint32(CLAIM_TIMESTAMP, head.timestampHigh);
    claim.setUint32(CLAIM_TIMESTAMP + 4, head.timestampLow);
    const unknown = this.#findRows(offset, head.count);
    if (unknown > 0) this.#refuseUnknown(offset, head.count, unknown);
    else if (this.#considerLeaves(offset, head.count, nowSeconds) > 0)
      this.#enterLeaves(bytes, offset, size, source, at);
  }

  /** Whether C has entered the frame, since all of its leaves are plain. */
  #enterPlain(bytes: Uint8Array, offset: number, size: number): boolean {
    const plain = this.#plain;
    plain.entry = this.#pool.tryEntry(size);
    if (plain.entry < 0) return false;
    plain.bytes = bytes;
    plain.offset = offset;
    plain.size = size;
    plain.count = this.#head.count;
    if (!this.#door.enterPlain(plain)) return false;
    this.#counters.add(RECEIVED, plain.count);
    this.#pushEntry(plain.entry, size, plain.count);
    return true;
  }

  /** Finds the rows of all leaves; returns how many have none. */
  #findRows(offset: number, count: number): number {
    let unknown = 0;
    for (let index = 0, leaf = frameLeafAt(offset, 0); index < count; index++, leaf += MERKLE_LEAF_BYTES) {
      const row = this.#table.find(this.#frame.getUint32(leaf), this.#frame.getUint32(leaf + 4));
      this.#rows[index] = row;
      if (row < 0) unknown++;
    }
    return unknown;
  }

  #refuseUnknown(offset: number, count: number, unknown: number): void {
    this.#counters.add(RECEIVED, unknown);
    this.#counters.add(UNJUDGED, count - unknown);
    this.#door.useless();
    for (let index = 0; index < count; index++) {
      if (this.#rows[index] !== ROW_NONE) continue;
      this.#read(offset, index);
      const status = unknownChannelStatus(claimAmountHigh(this.#claim, 0), claimAmountLow(this.#claim, 0));
      this.#refuse(status, 0, 0);
    }
  }

  /** Applies the rules to each leaf, and answers those that are refused; returns how many may enter. */
  #considerLeaves(offset: number, count: number, nowSeconds: number): number {
    this.#counters.add(RECEIVED, count);
    let entering = 0;
    for (let index = 0; index < count; index++) {
      const isEntering = this.#mayTake(offset, index, nowSeconds);
      this.#entering[index] = isEntering ? 1 : 0;
      if (isEntering) entering++;
    }
    return entering;
  }

  /** Whether a leaf breaks no rule; if it does, it is refused. */
  #mayTake(offset: number, index: number, nowSeconds: number): boolean {
    const row = this.#rows[index]!;
    const amount = frameLeafAt(offset, index) + MERKLE_LEAF_AMOUNT;
    const high = this.#frame.getUint32(amount);
    const low = this.#frame.getUint32(amount + 4);
    const table = this.#table;
    const hot = table.hot(row);
    const status = admit(table, hot, high, low, nowSeconds);
    if (status === ADMITTED && this.#rooted.mayTake(row, high, low)) return true;
    this.#read(offset, index);
    if (status === STATUS.OVER_CAPACITY) {
      table.loadCapacity(hot);
      this.#refuse(status, table.capacityHigh, table.capacityLow);
    } else if (status !== ADMITTED) {
      this.#refuse(status, high, low);
    } else {
      this.#rooted.loadRoom(row);
      this.#refuse(STATUS.ROOT_EXPOSURE, this.#rooted.roomHigh, this.#rooted.roomLow);
    }
    return false;
  }

  /** Copies the frame into the pool, and the leaves that may enter into slots. */
  #enterLeaves(bytes: Uint8Array, offset: number, size: number, source: Uint32Array, at: number): void {
    const entry = this.#pool.tryEntry(size);
    const { count } = this.#head;
    if (entry < 0) this.#counters.add(POOL_FULL, 1);
    let entered = 0;
    for (let index = 0; index < count; index++) {
      if (this.#entering[index] === 0) continue;
      this.#read(offset, index);
      const slot = entry < 0 ? -1 : this.#ring.tryNext();
      if (slot < 0 || !this.#door.mayEnter(this.#rows[index]!)) {
        this.#refuse(STATUS.OVERLOADED, 0, 0);
        continue;
      }
      this.#fillSlot(slot, entry, index, source, at);
      this.#ring.push();
      entered++;
    }
    if (entered === 0) return;
    const { bytes: memory, words } = this.#arena;
    const rows = (entry >>> 2) + ENTRY_ROWS;
    for (let index = 0; index < count; index++) words[rows + index] = this.#rows[index]!;
    memory.set(bytes.subarray(offset, offset + size), entry + ENTRY_FRAME);
    this.#pushEntry(entry, size, count);
  }

  /** The frame and its rows are in the entry, and its last leaf was entered. */
  #pushEntry(entry: number, size: number, count: number): void {
    const { words, ints } = this.#arena;
    const word = entry >>> 2;
    ints[word + ENTRY_VERDICT] = FRAME_PENDING;
    words[word + ENTRY_SIZE] = size;
    words[word + ENTRY_COUNT] = count;
    words[word + ENTRY_ANSWERS] = this.#answers;
    words[word + ENTRY_NOTED] = 0;
    this.#pool.push(this.#ring.next);
  }

  #fillSlot(slot: number, entry: number, index: number, source: Uint32Array, at: number): void {
    const claim = this.#claim;
    claim.setUint32(SLOT_FRAME, entry);
    claim.setUint32(SLOT_LEAF, index);
    const { words } = this.#arena;
    const word = slot >>> 2;
    for (let place = 0; place < CLAIM_WORDS; place++) words[word + place] = this.#claimWords[place]!;
    // The first byte of a source is the claim's last one.
    const first = word + (SLOT_SOURCE >>> 2);
    words[first] = (source[at]! & ~0xff) | this.#claimBytes[CLAIM_BYTES - 1]!;
    for (let place = 1; place < SOURCE_WORDS; place++) words[first + place] = source[at + place]!;
    words[(slot + SLOT_ROW) >>> 2] = this.#rows[index]!;
  }

  /** Makes leaf `index` the one at hand. */
  #read(offset: number, index: number): void {
    const from = frameLeafAt(offset, index);
    const claim = this.#claim;
    claim.setUint32(CLAIM_CHANNEL_ID, this.#frame.getUint32(from));
    claim.setUint32(CLAIM_CHANNEL_ID + 4, this.#frame.getUint32(from + 4));
    claim.setUint32(CLAIM_AMOUNT, this.#frame.getUint32(from + MERKLE_LEAF_AMOUNT));
    claim.setUint32(CLAIM_AMOUNT + 4, this.#frame.getUint32(from + MERKLE_LEAF_AMOUNT + 4));
  }

  /** Answers the leaf at hand, as long as not more bytes are answered than its frame has. */
  #refuse(status: number, high: number, low: number): void {
    if (this.#answers > 0) {
      this.#answers--;
      this.#door.answer(status, this.#claim, 0, high, low);
      return;
    }
    this.#counters.add(STATUS_COUNTER[status]!, 1);
    this.#counters.add(UNANSWERED, 1);
  }
}
