/**
 * Who goes first while datagrams fill a ring: pairs of a source and a channel of which a claim was verified lately. All others
 * are strangers. They have a part of the ring (stranger-room.ts), in which a network and a channel may fail only so often a second.
 * Connections are held up instead, in turns (transport/tcp-turns.ts).
 *
 * A claim that took the kernel's slow path counts as several failures, and a channel with too many of them is held back (slow-paths.ts).
 *
 * The commit step (or lane) notes what was verified and what failed, the receive step looks. Only a verified claim makes a
 * pair known, so names alone take no room here. A word a pair, at a place that its hash picks: nobody outside knows the
 * seed, and two pairs that share a place make each other a stranger at worst. C looks up pairs as well (native/claim_path.c).
 */
import { HOT_PAYER } from '../channel/table.ts';
import { type Arena, STANDING_BUDGETS, STANDING_CELLS, STANDING_ROOM_WORDS, standingBytes } from '../ring/arena.ts';
import { plainVerdict, SOURCE_ADDRESS, SOURCE_WORDS, VERDICT_TABLELESS, VERDICT_VALID } from '../ring/slot.ts';
import type { System } from '../system/system.ts';
import { sourceTransport } from '../transport/source.ts';
import { HASH_WORD, mixed, networkHash, sourceHash } from '../transport/source-hash.ts';
import { TRANSPORT_UDP } from '../transport/transport.ts';
import { countSlowPath, isCounting, isHeldBack } from './slow-paths.ts';
import { StandingSources } from './standing-sources.ts';
import { StrangerRoom } from './stranger-room.ts';

/** A pair is known for so long after its last verified claim, seconds; a claim within 2^NOTED_BITS of a noted one is not noted. */
export const KNOWN_SECONDS = 60;
/** A known pair is a stranger while so many more of its claims have failed than were verified. */
export const FAILURES_MAX = 32;
/** Claims of strangers that may fail in a second, of one network (IPv4 /24, IPv6 /48) or of one channel, while a ring fills. */
export const BUDGET_FAILURES = 256;
/** As so many failures a claim counts, valid or not, that took the kernel's slow path: 20 to 50 µs beside 2 to 15. */
export const SLOW_FAILURES = 4;

const NOTED_BITS = 4;

/** A word: 16 bits of the pair's hash, 6 of failures, 10 of the second in which it was last verified. */
export const SECOND_BITS = 10;
export const FAILURE_BITS = 6;
const SECOND_MASK = (1 << SECOND_BITS) - 1;
const FAILURE_MASK = (1 << FAILURE_BITS) - 1;
const TAG_SHIFT = SECOND_BITS + FAILURE_BITS;
/** Of the hash of a pair. */
export const HASH_TAG = 0x85eb_ca6b;
export const CELL_SHIFT = 32 - Math.log2(STANDING_CELLS);
const BUDGET_SHIFT = 32 - Math.log2(STANDING_BUDGETS);
const SOURCE_BUDGETS = 2 * STANDING_BUDGETS;

export class Standing {
  /** Of pairs. C reads them. */
  readonly cells: Uint32Array;
  readonly seed: number;
  /** How much of the ring strangers may fill. */
  readonly room: StrangerRoom;
  /** Failures of this second, by network, then by channel, then by source: 16 bits of the second, 16 of the count. */
  readonly #budgets: Uint32Array;
  readonly #words: Uint32Array;
  readonly #ring: number;
  /** Those of the pairs, for a socket's filter. */
  readonly sources: StandingSources;

  /**
   * @param part of the ring that strangers may fill while signatures fail, 0 to 1; with 1 nobody is looked at
   * @param seed the same in all threads of a ring, and nobody else's
   */
  constructor(arena: Arena, ring: number, { part, seed }: { part: number; seed: number }) {
    const start = (arena.plan.standing.offset + ring * standingBytes()) >>> 2;
    this.cells = arena.words.subarray(start, start + STANDING_CELLS);
    this.#budgets = arena.words.subarray(start + STANDING_CELLS, start + STANDING_CELLS + 3 * STANDING_BUDGETS);
    this.seed = seed;
    this.#words = arena.words;
    this.#ring = ring;
    this.sources = new StandingSources(arena, ring, seed);
    const roomAt = start + STANDING_CELLS + 3 * STANDING_BUDGETS;
    const roomWords = arena.words.subarray(roomAt, roomAt + STANDING_ROOM_WORDS);
    this.room = new StrangerRoom(roomWords, arena.plan.shape.ringSlots, part);
  }

  /** What the threads of a node agree on. */
  static newSeed(random: System['random']): number {
    return random(4).readUInt32LE();
  }

  /** A claim of this pair was verified. Most are told of again and again: `hot`, the row's line, says that it is known. */
  verified(words: Uint32Array, at: number, row: number, hot: number, nowSeconds: number): void {
    const payer = Math.imul(words[at + SOURCE_WORDS - 1]! ^ (words[at]! >>> 8), HASH_WORD) + this.#ring;
    const note = ((payer & 0x7fff_0000) | ((nowSeconds >>> NOTED_BITS) & 0xffff)) >>> 0;
    if (this.#words[hot + HOT_PAYER] === note) return;
    const hash = this.#pair(words, at, row);
    const place = hash >>> CELL_SHIFT;
    const word = this.cells[place]!;
    const tag = tagOf(hash);
    const failures = word >>> TAG_SHIFT === tag ? (word >>> SECOND_BITS) & FAILURE_MASK : 0;
    this.cells[place] = wordOf(tag, Math.max(0, failures - 1), nowSeconds);
    this.sources.verified(words, at, nowSeconds);
    // While failures are to be made good, each claim counts.
    if (!isCounting(this.#words[hot + HOT_PAYER]!, nowSeconds)) this.#words[hot + HOT_PAYER] = failures > 1 ? 0 : note;
  }

  /** The signature of a claim of this pair was wrong. */
  failed(words: Uint32Array, at: number, row: number, hot: number, nowSeconds: number): void {
    this.#charge(words, at, row, hot, nowSeconds, 1);
    this.useless(words, at, nowSeconds);
  }

  /**
   * A claim of this pair took the kernel's slow path. `verdict` says whose doing that was: the signature of a key without a table
   * can be anybody's, unless it is valid; all others only whoever has the key can make.
   */
  slow(words: Uint32Array, at: number, row: number, hot: number, verdict: number, nowSeconds: number): void {
    this.#charge(words, at, row, hot, nowSeconds, SLOW_FAILURES);
    const isOwn = plainVerdict(verdict) === VERDICT_VALID || (verdict & VERDICT_TABLELESS) === 0;
    if (isOwn) countSlowPath(this.#words, hot, nowSeconds);
  }

  /** Whether the channel has taken too many slow paths of late: then nobody's claim of it is verified. */
  isHeldBack(hot: number, nowSeconds: number): boolean {
    return isHeldBack(this.#words, hot, nowSeconds);
  }

  /** So many failures more: of the pair, in the budgets of its network and channel, and of the ring. */
  #charge(words: Uint32Array, at: number, row: number, hot: number, nowSeconds: number, failures: number): void {
    const hash = this.#pair(words, at, row);
    const place = hash >>> CELL_SHIFT;
    const word = this.cells[place]!;
    if (word >>> TAG_SHIFT === tagOf(hash)) {
      const room = FAILURE_MASK - ((word >>> SECOND_BITS) & FAILURE_MASK);
      this.cells[place] = word + (Math.min(failures, room) << SECOND_BITS);
      if (!isCounting(this.#words[hot + HOT_PAYER]!, nowSeconds)) this.#words[hot + HOT_PAYER] = 0;
    }
    this.#spend(this.#network(words, at), nowSeconds, failures);
    this.#spend(this.#channel(row), nowSeconds, failures);
    this.room.failed(failures, nowSeconds);
  }

  /** What came from this source was worth nothing. Only the socket's filter goes by it. */
  useless(words: Uint32Array, at: number, nowSeconds: number): void {
    if (sourceTransport(words[at]!) !== TRANSPORT_UDP) return;
    this.sources.failed(words, at, nowSeconds);
    this.#spend(SOURCE_BUDGETS + (sourceHash(this.seed, words, at) >>> BUDGET_SHIFT), nowSeconds);
  }

  /** Calls `found` with the place of each network over its budget in this second: the highest bits of its hash. */
  eachSpentNetwork(nowSeconds: number, found: (place: number) => void): void {
    for (let place = 0; place < STANDING_BUDGETS; place++) if (this.#isSpent(place, nowSeconds)) found(place);
  }
  /** The same of sources, of which a budget has as many failures. */
  eachSpentSource(nowSeconds: number, found: (place: number) => void): void {
    for (let place = 0; place < STANDING_BUDGETS; place++)
      if (this.#isSpent(SOURCE_BUDGETS + place, nowSeconds)) found(place);
  }

  /** Whether a claim of this pair was verified lately, and not too many others have failed. */
  isKnown(words: Uint32Array, at: number, row: number, nowSeconds: number): boolean {
    const hash = this.#pair(words, at, row);
    const word = this.cells[hash >>> CELL_SHIFT]!;
    return (
      word >>> TAG_SHIFT === tagOf(hash) &&
      ((word >>> SECOND_BITS) & FAILURE_MASK) < FAILURES_MAX &&
      ((nowSeconds - word) & SECOND_MASK) < KNOWN_SECONDS
    );
  }

  /** Whether this network, or somebody on this channel, has failed as often in this second as strangers may. */
  isOverBudget(words: Uint32Array, at: number, row: number, nowSeconds: number): boolean {
    return this.#isSpent(this.#network(words, at), nowSeconds) || this.#isSpent(this.#channel(row), nowSeconds);
  }

  #pair(words: Uint32Array, at: number, row: number): number {
    // The first byte of a source belongs to the claim.
    let hash = mixed(this.seed, words[at]! >>> 8);
    for (let index = SOURCE_ADDRESS >>> 2; index < SOURCE_WORDS; index++) hash = mixed(hash, words[at + index]!);
    return mixed(hash, row);
  }

  /** The place of a network's budget. Sources of TCP are connections, each a network of its own. */
  #network(words: Uint32Array, at: number): number {
    return networkHash(this.seed, words, at) >>> BUDGET_SHIFT;
  }

  #channel(row: number): number {
    return STANDING_BUDGETS + (mixed(~this.seed, row) >>> BUDGET_SHIFT);
  }

  #spend(place: number, nowSeconds: number, failures = 1): void {
    const second = nowSeconds & 0xffff;
    const word = this.#budgets[place]!;
    const count = word >>> 16 === second ? word & 0xffff : 0;
    this.#budgets[place] = ((second << 16) | Math.min(count + failures, 0xffff)) >>> 0;
  }

  #isSpent(place: number, nowSeconds: number): boolean {
    const word = this.#budgets[place]!;
    return word >>> 16 === (nowSeconds & 0xffff) && (word & 0xffff) >= BUDGET_FAILURES;
  }
}

function tagOf(hash: number): number {
  return Math.imul(hash, HASH_TAG) >>> 16;
}
function wordOf(tag: number, failures: number, nowSeconds: number): number {
  return ((tag << TAG_SHIFT) | (failures << SECOND_BITS) | (nowSeconds & SECOND_MASK)) >>> 0;
}
