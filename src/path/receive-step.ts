/**
 * The receive step: datagrams in, admitted claims into the ring, everything else answered or counted on receipt.
 *
 * Runs where the socket is (net thread or lane). A claim is copied once, into the next free slot, and judged there by
 * rules 1 to 6; a claim that is turned away simply leaves the slot to the next one. A datagram costs one view, a claim
 * nothing.
 */
import { claimAmountHigh, claimAmountLow, claimChannelHigh, claimChannelLow, copyClaim } from '../../protocol/claim.ts';
import { type FrameSink, WALK_WHOLE, walkFrames } from '../../protocol/frames.ts';
import { CLAIM_BYTES, FRAME_CLAIM, STATUS } from '../../protocol/layout.ts';
import type { ChannelTable } from '../channel/table.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { SLOT_RECEIVED_AT, SLOT_ROW, SLOT_SOURCE, SOURCE_WORDS } from '../ring/slot.ts';
import type { System } from '../system/system.ts';
import type { StreamSink } from '../transport/transport.ts';
import type { AckSender } from './ack-sender.ts';
import { DeferredClaims } from './deferred-claims.ts';
import { DuplicateFilter } from './duplicate-filter.ts';
import { NativePath } from './native-path.ts';
import { ADMITTED, admit, unknownChannelStatus } from './rules.ts';
import { STATUS_COUNTER, WALK_COUNTER } from './status-counters.ts';

const DATAGRAMS = counterIndex('datagrams');
const RECEIVED = counterIndex('received');
const DEFERRED = counterIndex('deferred');
const DEFERRED_FULL = counterIndex('deferredFull');
const UNEXPECTED_ACK = counterIndex('dropped.unexpectedAck');

export class ReceiveStep implements StreamSink, FrameSink {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  readonly #acks: AckSender;
  readonly #counters: Counters;
  readonly #filter: DuplicateFilter;
  readonly #deferred = new DeferredClaims();
  /** Over the payload being walked. */
  #frames: DataView = new DataView(new ArrayBuffer(0));
  /** Source of the datagram (or deferred claim) being looked at. */
  #source: Uint32Array = new Uint32Array(SOURCE_WORDS);
  #sourceAt = 0;
  #now = 0;

  /** For plain claims, where it is wanted. */
  path: NativePath | undefined;

  constructor(
    arena: Arena,
    ring: ClaimRing,
    table: ChannelTable,
    acks: AckSender,
    counters: Counters,
    random: System['random'],
  ) {
    this.#bytes = arena.bytes;
    this.#view = arena.view;
    this.#words = arena.words;
    this.#doubles = arena.doubles;
    this.#ring = ring;
    this.#table = table;
    this.#acks = acks;
    this.#counters = counters;
    this.#filter = new DuplicateFilter(arena, ring, random);
  }

  /** From now on C takes the plain claims. Returns what does. */
  useNativePath(arena: Arena, ringNumber: number): NativePath {
    this.path = NativePath.open(arena, this.#ring, ringNumber, this.#filter);
    return this.path;
  }

  /** Whether a claim that was held back can be looked at now. */
  hasWork(): boolean {
    return this.#deferred.isDue(this.#ring.committed);
  }

  /** Claims the ring takes now: streams ask before they hand in. */
  get room(): number {
    return this.#ring.room;
  }

  get slots(): number {
    return this.#ring.mask + 1;
  }
  get next(): number {
    return this.#ring.next;
  }
  get committed(): number {
    return this.#ring.committed;
  }

  /** Whether any claim is held back, due or not. */
  get isHolding(): boolean {
    return this.#deferred.count > 0;
  }

  /** Milliseconds since 1970; set before the payloads of a turn are handed in. */
  set now(now: number) {
    this.#now = now;
    this.#acks.now = now;
  }

  payload(bytes: Uint8Array, view: DataView, offset: number, length: number, source: Uint32Array): void {
    this.#counters.add(DATAGRAMS, 1);
    this.#source = source;
    this.#sourceAt = 0;
    this.#frames = view;
    const end = offset + length;
    const start = this.path === undefined ? offset : this.#admitPlain(this.path, bytes, offset, end, source);
    if (start === end && length > 0) return;
    const fault = walkFrames(bytes, start, end, this);
    if (fault !== WALK_WHOLE) this.#counters.add(WALK_COUNTER[fault]!, 1);
  }

  /** Runs of plain claims by C, others between them by `#consider`; returns where the rest begins. */
  #admitPlain(path: NativePath, bytes: Uint8Array, offset: number, end: number, source: Uint32Array): number {
    let at = offset;
    let admitted = 0;
    do {
      admitted = path.admit(bytes, at, end, source, this.#ring.next, this.#now);
      this.#ring.pushed(admitted);
      this.#counters.add(RECEIVED, admitted);
      at += admitted * CLAIM_BYTES;
      if (bytes[at] !== FRAME_CLAIM || at + CLAIM_BYTES > end) return at;
      this.claim(bytes, at);
      at += CLAIM_BYTES;
      // Two others in a row: this payload is not worth a call for each claim.
    } while (admitted > 0 && at < end);
    return at;
  }

  claim(_bytes: Uint8Array, offset: number): void {
    this.#counters.add(RECEIVED, 1);
    this.#consider(this.#frames, offset);
  }

  ack(): void {
    this.#counters.add(UNEXPECTED_ACK, 1);
  }

  /** Publishes what came in, and looks again at claims whose twin is decided now. Returns the work done. */
  step(now: number): number {
    this.now = now;
    let work = 0;
    while (this.#deferred.isDue(this.#ring.committed)) {
      const { words, view } = this.#deferred;
      const at = this.#deferred.shift();
      this.#source = words;
      this.#sourceAt = (at + SLOT_SOURCE) >>> 2;
      this.#consider(view, at, true);
      work++;
    }
    return work + this.#ring.publish();
  }

  /** @param hasWaited it was held back, and its twin is decided */
  #consider(frames: DataView, offset: number, hasWaited = false): void {
    const slot = this.#ring.tryNext();
    if (slot < 0) {
      this.#answer(STATUS.OVERLOADED, frames, offset, 0, 0);
      return;
    }
    const view = this.#view;
    copyClaim(frames, offset, view, slot);
    const amountHigh = claimAmountHigh(view, slot);
    const amountLow = claimAmountLow(view, slot);
    const row = this.#table.find(claimChannelHigh(view, slot), claimChannelLow(view, slot));
    if (row < 0) {
      const status = unknownChannelStatus(amountHigh, amountLow);
      this.#answer(status, view, slot, 0, 0);
      return;
    }
    const hot = this.#table.hot(row);
    const status = admit(this.#table, hot, amountHigh, amountLow, Math.floor(this.#now / 1_000));
    if (status === STATUS.OVER_CAPACITY) {
      this.#table.loadCapacity(hot);
      this.#answer(status, view, slot, this.#table.capacityHigh, this.#table.capacityLow);
    } else if (status !== ADMITTED) {
      this.#answer(status, view, slot, amountHigh, amountLow);
    } else {
      this.#enter(slot, row, hasWaited);
    }
  }

  #enter(slot: number, row: number, hasWaited: boolean): void {
    const word = (slot + SLOT_SOURCE) >>> 2;
    // The first word of a source shares a byte with the claim: keep the claim's.
    const claimByte = this.#words[word]! & 0xff;
    this.#words[word] = (this.#source[this.#sourceAt]! & ~0xff) | claimByte;
    for (let index = 1; index < SOURCE_WORDS; index++)
      this.#words[word + index] = this.#source[this.#sourceAt + index]!;
    const twin = this.#filter.enter(slot);
    // A twin that was refused leaves its copies to be judged. If each waited for the one before it, a thousand copies of
    // a forged claim would be looked at half a million times.
    if (twin >= 0 && !hasWaited) {
      const isHeld = this.#deferred.push(this.#bytes, slot, twin);
      this.#counters.add(isHeld ? DEFERRED : DEFERRED_FULL, 1);
      // Its twin is answered to that one's own source, which need not be this one's.
      if (!isHeld) this.#answer(STATUS.OVERLOADED, this.#view, slot, 0, 0);
      return;
    }
    this.#doubles[(slot + SLOT_RECEIVED_AT) >>> 3] = this.#now;
    this.#words[(slot + SLOT_ROW) >>> 2] = row;
    this.#ring.push();
  }

  #answer(status: number, view: DataView, offset: number, amountHigh: number, amountLow: number): void {
    this.#counters.add(STATUS_COUNTER[status]!, 1);
    this.#acks.answer(status, view, offset, amountHigh, amountLow, this.#source, this.#sourceAt);
  }
}
