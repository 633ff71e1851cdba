/**
 * The arena: one shared WebAssembly.Memory carved into named regions, visible to every thread, to C and to wasm.
 *
 * A wasm memory begins at a page, which a SharedArrayBuffer misses by 16 bytes. Its pages are not resident before they are
 * touched, so a generous plan costs address space only.
 */
import { assert, ClaimwireError } from '../errors.ts';

/** What the arena has room for. */
export interface ArenaShape {
  /** Bytes that the wasm kernel owns at the arena's start, whole pages; 0 without it. */
  kernelBytes: number;
  /** One per lane (`lanes`), or one (`pipeline`). */
  rings: number;
  /** Slots of each claim ring, a power of two. */
  ringSlots: number;
  /** Entries of each ack ring, a power of two. */
  ackSlots: number;
  /** Threads with a counter block. */
  threads: number;
  channelsMax: number;
  /** Whether Merkle batches are taken: then each ring has room for their frames (frame-pool.ts). Left out, none has. */
  hasFrames?: boolean;
}

interface Region {
  /** Bytes from the arena's start, a multiple of LINE_BYTES. */
  readonly offset: number;
  readonly bytes: number;
}

/** Two cache lines, which adjacent-line prefetch treats as one: no two owners ever share them. */
export const LINE_BYTES = 128;
export const SLOT_BYTES = 128;
export const ACK_ENTRY_BYTES = 64;
export const COUNTER_BLOCK_BYTES = 640;
/** Control words shared by all threads (see control-words.ts), then a cursor block per ring. */
const CONTROL_BYTES = LINE_BYTES * 8;
/** Which shards are held elsewhere (held-shards.ts): a line with the map's version, and one with a bit for each shard. */
export const SHARD_BYTES = LINE_BYTES * 2;
export const CURSOR_BLOCK_BYTES = LINE_BYTES * 8;

/**
 * Bytes of the channel table per row: the hot line, the ledger id in two parts, the best claim's signature. The first part of a ledger
 * id is by default the handle, which the hot line has; only rows with another handle use it here.
 */
export const ROW_HOT_BYTES = 64;
export const ROW_LEDGER_HEAD_BYTES = 8;
export const ROW_LEDGER_TAIL_BYTES = 24;
export const ROW_SIGNATURE_BYTES = 64;
/** Keys, 33 bytes each, at a stride that keeps them on word boundaries. */
export const KEY_STRIDE_BYTES = 36;

/** The histograms of a ring (histogram.ts), whole lines each. */
export const HISTOGRAMS_PER_RING = 9;
export const HISTOGRAM_BYTES = LINE_BYTES * 201;
/** Marks of when claims arrived, a slot each (arrival-marks.ts), and of when they were durable (answer-marks.ts). */
export const ARRIVAL_MARK_BYTES = 16;
export const ANSWER_MARK_BYTES = 16;

/** Two cursors, then as many marks as the ring has slots. */
export function answerMarksBytes(ringSlots: number): number {
  return 2 * LINE_BYTES + ANSWER_MARK_BYTES * ringSlots;
}

/** Of a ring's pool of frames: a full frame has 27 a leaf with its entry, the smallest ones are fewer than slots. */
export const FRAME_BYTES_PER_SLOT = 64;
/** Behind the last pool, so that also an entry at its end can be read as if it were one of the longest. */
const FRAMES_MARGIN_BYTES = 2_048;

/** Words of a ring's pairs in good standing, and budgets of failures by network, channel and source (path/standing.ts). */
export const STANDING_CELLS = 1 << 17;
export const STANDING_BUDGETS = 1 << 12;
/** And of the failures by which strangers have more or less of the ring (path/stranger-room.ts), a line of their own. */
export const STANDING_ROOM_WORDS = LINE_BYTES / 4;

/** Sources of these pairs, of so many words each (path/standing-sources.ts). */
export const STANDING_SOURCES = 1 << 13;
export const STANDING_SOURCE_WORDS = 8;

export function standingBytes(): number {
  return 4 * (STANDING_CELLS + 3 * STANDING_BUDGETS + STANDING_ROOM_WORDS);
}

export interface ArenaPlan {
  readonly shape: ArenaShape;
  readonly bytes: number;
  readonly control: Region;
  readonly cursors: Region;
  readonly counters: Region;
  readonly slots: Region;
  readonly acks: Region;
  readonly channelIndex: Region;
  readonly keyIndex: Region;
  readonly rows: Region;
  readonly ledgerHeads: Region;
  readonly ledgerTails: Region;
  readonly signatures: Region;
  readonly keys: Region;
  /** Marks of rows that have grown, for each ring (grown-rows.ts). */
  readonly grown: Region;
  readonly histograms: Region;
  readonly arrivals: Region;
  readonly answers: Region;
  readonly shards: Region;
  readonly standing: Region;
  readonly sources: Region;
  readonly frames: Region;
}

/** Rows that have their marks in one word of a ring's bitmap. */
export const GROWN_WORD_ROWS = 32;

/** Words of a ring's bitmap of rows, whole blocks of 32; of its bitmap of blocks; and the bytes of both, whole lines. */
export function grownWords(channelsMax: number): { words: number; blockWords: number; bytes: number } {
  const blocks = Math.ceil(channelsMax / GROWN_WORD_ROWS / 32);
  const blockWords = Math.ceil(blocks / 32);
  const bytes = Math.ceil(((blocks * 32 + blockWords) * 4) / LINE_BYTES) * LINE_BYTES;
  return { words: blocks * 32, blockWords, bytes };
}

const WASM_PAGE_BYTES = 65_536;
const WASM_PAGES_MAX = 65_536;

/** The plan for a shape. Throws CONFIG_INVALID when it does not fit the 4 GiB that a wasm memory can have. */
export function planArena(shape: ArenaShape): ArenaPlan {
  assert(isPowerOfTwo(shape.ringSlots) && isPowerOfTwo(shape.ackSlots), 'ring sizes are powers of two');
  let end = shape.kernelBytes;
  const region = (bytes: number): Region => {
    const offset = end;
    end += Math.ceil(bytes / LINE_BYTES) * LINE_BYTES;
    return { offset, bytes };
  };
  // Open addressing, at most three quarters full: then a handle that is not there takes some 8 looks, in one or two lines.
  const indexBytes = powerOfTwoAtLeast(Math.ceil((shape.channelsMax * 4) / 3)) * 4;
  const plan = {
    shape,
    control: region(CONTROL_BYTES),
    cursors: region(CURSOR_BLOCK_BYTES * shape.rings),
    counters: region(COUNTER_BLOCK_BYTES * shape.threads),
    slots: region(SLOT_BYTES * shape.ringSlots * shape.rings),
    acks: region(ACK_ENTRY_BYTES * shape.ackSlots * shape.rings),
    channelIndex: region(indexBytes),
    keyIndex: region(indexBytes),
    rows: region(ROW_HOT_BYTES * shape.channelsMax),
    ledgerHeads: region(ROW_LEDGER_HEAD_BYTES * shape.channelsMax),
    ledgerTails: region(ROW_LEDGER_TAIL_BYTES * shape.channelsMax),
    signatures: region(ROW_SIGNATURE_BYTES * shape.channelsMax),
    keys: region(KEY_STRIDE_BYTES * shape.channelsMax),
    grown: region(grownWords(shape.channelsMax).bytes * shape.rings),
    histograms: region(HISTOGRAM_BYTES * HISTOGRAMS_PER_RING * shape.rings),
    arrivals: region(ARRIVAL_MARK_BYTES * shape.ringSlots * shape.rings),
    answers: region(answerMarksBytes(shape.ringSlots) * shape.rings),
    shards: region(SHARD_BYTES),
    standing: region(standingBytes() * shape.rings),
    sources: region(4 * STANDING_SOURCE_WORDS * STANDING_SOURCES * shape.rings),
    frames: region(shape.hasFrames ? FRAME_BYTES_PER_SLOT * shape.ringSlots * shape.rings + FRAMES_MARGIN_BYTES : 0),
  };
  const pages = Math.ceil(end / WASM_PAGE_BYTES);
  if (pages > WASM_PAGES_MAX)
    throw new ClaimwireError(
      'CONFIG_INVALID',
      `channel limit: expected what fits 4 GiB of shared memory, got ${shape.channelsMax} channels (${Math.ceil(end / 2 ** 20)} MiB); lower --channels-max`,
    );
  return { ...plan, bytes: pages * WASM_PAGE_BYTES };
}

/** One thread's views of the arena. `words`, `ints` and `doubles` are indexed in their own units. */
export class Arena {
  readonly memory: WebAssembly.Memory;
  readonly plan: ArenaPlan;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly words: Uint32Array;
  readonly ints: Int32Array;
  readonly doubles: Float64Array;

  constructor(memory: WebAssembly.Memory, shape: ArenaShape) {
    this.memory = memory;
    this.plan = planArena(shape);
    const buffer = memory.buffer;
    assert(buffer.byteLength === this.plan.bytes, 'the memory has the size its shape asks for');
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
    this.ints = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
  }

  /**
   * The parts that each claim touches at random, and that are filled densely: what huge pages are for. Signatures are only written,
   * and take no memory before a channel's first claim, as long as their pages are small.
   */
  get randomParts(): Uint8Array[] {
    const { channelIndex, rows, ledgerTails } = this.plan;
    return [channelIndex, rows, ledgerTails].map(({ offset, bytes }) => this.bytes.subarray(offset, offset + bytes));
  }

  static create(shape: ArenaShape): Arena {
    const pages = planArena(shape).bytes / WASM_PAGE_BYTES;
    return new Arena(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), shape);
  }
}

export function powerOfTwoAtLeast(value: number): number {
  let power = 1;
  while (power < value) power *= 2;
  return power;
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && powerOfTwoAtLeast(value) === value;
}
