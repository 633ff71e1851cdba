/**
 * The receive step admits claims from payloads into the ring, and answers or counts everything else. Net thread or lane.
 *
 * A claim is copied once, into the next free slot, and rules 1 to 6 are applied there; a claim that is not admitted leaves
 * its slot to the next one. Nothing is allocated per claim.
 */
import { claimAmountHigh, claimAmountLow, claimChannelHigh, claimChannelLow, copyClaim } from '../../protocol/claim.ts';
import { type FrameSink, WALK_WHOLE, walkFrames } from '../../protocol/frames.ts';
import { CLAIM_BYTES, FRAME_CLAIM, STATUS } from '../../protocol/layout.ts';
import type { RootedRows } from '../channel/rooted.ts';
import type { ChannelTable } from '../channel/table.ts';
import { assert } from '../errors.ts';
import type { Arena } from '../ring/arena.ts';
import type { ArrivalWriter } from '../ring/arrival-marks.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { HeldShards } from '../ring/held-shards.ts';
import { SLOT_ROW, SLOT_SOURCE, SOURCE_WORDS } from '../ring/slot.ts';
import { UnderWay } from '../ring/under-way.ts';
import { nodeSystem, type System } from '../system/system.ts';
import { sourceTransport } from '../transport/source.ts';
import { type StreamSink, TRANSPORT_UDP } from '../transport/transport.ts';
import type { AckSender } from './ack-sender.ts';
import { DeferredClaims } from './deferred-claims.ts';
import { DuplicateFilter } from './duplicate-filter.ts';
import { LeafIntake, type LeafIntakeOptions } from './leaf-intake.ts';
import { NativePath, type PlainFrame } from './native-path.ts';
import type { PathMeasures } from './path-measures.ts';
import { ADMITTED, admit, covers, isFinal, unknownChannelStatus } from './rules.ts';
import type { Standing } from './standing.ts';
import { STATUS_COUNTER, WALK_COUNTER } from './status-counters.ts';
import type { Room } from './stranger-room.ts';

const DATAGRAMS = counterIndex('datagrams');
const RECEIVED = counterIndex('received');
const DEFERRED = counterIndex('deferred');
const DEFERRED_FULL = counterIndex('deferredFull');
const HELD_BACK = counterIndex('strangers.heldBack');
const OVER_BUDGET = counterIndex('strangers.overBudget');
const SLOW_CHANNEL = counterIndex('slowPaths.heldBack');
/** More than a payload has. */
const UNWATCHED = 0xffff_ffff;
const UNEXPECTED_ACK = counterIndex('dropped.unexpectedAck');

export class ReceiveStep implements StreamSink, FrameSink {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #ring: ClaimRing;
  readonly #table: ChannelTable;
  readonly #acks: AckSender;
  readonly #counters: Counters;
  readonly #filter: DuplicateFilter;
  readonly #arrivals: ArrivalWriter | undefined;
  readonly #deferred = new DeferredClaims();
  readonly #shards: HeldShards;
  readonly #monotonic: System['clock']['monotonic'];
  readonly #standing: Standing | undefined;
  /** Of datagrams; and of strangers among them, since it mattered. */
  readonly #datagrams = new UnderWay();
  readonly #strangers = new UnderWay();
  /** What strangers may fill in this turn, where that is limited. */
  #room: Room | undefined;
  /** Where the payload's claims begin in the ring, and how many of them may enter whoever sent them. */
  #firstOfPayload = 0;
  #unwatched = UNWATCHED;
  /** A view of the payload being walked. */
  #frames: DataView = new DataView(new ArrayBuffer(0));
  /** The source of the payload, or of the deferred claim, that is being considered. */
  #source: Uint32Array = new Uint32Array(SOURCE_WORDS);
  #sourceAt = 0;
  #now = 0;

  /** Admits plain claims, where there is one. */
  path: NativePath | undefined;
  /** What is kept of channels with leaves, where there are any. */
  rooted: RootedRows | undefined;
  /** Takes frames of Merkle batches, where the node does; without it their type is unknown. */
  merkle: FrameSink['merkle'];

  constructor(
    arena: Arena,
    ring: ClaimRing,
    table: ChannelTable,
    acks: AckSender,
    counters: Counters,
    random: System['random'],
    measures?: PathMeasures,
    standing?: Standing,
    monotonic: System['clock']['monotonic'] = nodeSystem.clock.monotonic,
  ) {
    this.#bytes = arena.bytes;
    this.#view = arena.view;
    this.#words = arena.words;
    this.#ring = ring;
    this.#table = table;
    this.#acks = acks;
    this.#counters = counters;
    this.#filter = new DuplicateFilter(arena, ring, random);
    this.#shards = new HeldShards(arena);
    this.#monotonic = monotonic;
    this.#arrivals = measures?.arrivals;
    this.#standing = standing;
  }

  /** Leaves plain claims to C from now on; returns the path in C. */
  useNativePath(arena: Arena): NativePath {
    this.path = NativePath.open(arena, this.#ring, this.#filter, this.#standing);
    return this.path;
  }

  /** Takes Merkle batches from now on. */
  useRoots(options: Omit<LeafIntakeOptions, 'rooted'>): void {
    assert(this.rooted !== undefined, 'what is kept of leaves is there first');
    const leaves = new LeafIntake(
      { ...options, rooted: this.rooted },
      {
        answer: (status, view, offset, high, low) => this.#answer(status, view, offset, high, low),
        mayEnter: (row) => this.#mayEnter(row),
        enterPlain: (frame) => this.#enterLeaves(frame),
        useless: () => this.#useless(),
      },
    );
    this.merkle = (bytes, offset, size) =>
      leaves.frame(this.#frames, bytes, offset, size, this.#source, this.#sourceAt, Math.floor(this.#now / 1_000));
  }

  /** Whether a copy that was held back can be considered now. */
  hasWork(): boolean {
    return this.#deferred.isDue(this.#ring.committed);
  }

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

  /** Whether any copy is held back, due or not. */
  get isHolding(): boolean {
    return this.#deferred.count > 0;
  }

  /** Milliseconds since 1970; set before the payloads of a turn are handed in. */
  set now(now: number) {
    this.#now = now;
    this.#acks.now = now;
    this.#room = this.#standing?.room.at(Math.floor(now / 1_000));
    this.#arrivals?.read();
  }

  /** Whether the times of what is received are noted now. */
  get isMeasuring(): boolean {
    return this.#arrivals?.isOn ?? false;
  }

  /** What is handed in from now on was read just now. */
  read(): void {
    this.#arrivals?.read();
  }
  /** What is handed in from now on waited so many microseconds until it was read. */
  waited(us: number): void {
    this.#arrivals?.waited(us);
  }

  payload(bytes: Uint8Array, view: DataView, offset: number, length: number, source: Uint32Array): void {
    this.#counters.add(DATAGRAMS, 1);
    this.#arrivals?.enter();
    this.#source = source;
    this.#sourceAt = 0;
    this.#frames = view;
    const end = offset + length;
    const first = this.#ring.next;
    const isWatched = this.#watch(source);
    const start = this.path === undefined ? offset : this.#admitPlain(this.path, bytes, offset, end, source);
    if (start !== end || length === 0) {
      const fault = walkFrames(bytes, start, end, this);
      if (fault !== WALK_WHOLE) {
        this.#counters.add(WALK_COUNTER[fault]!, 1);
        this.#useless();
      }
    }
    if (isWatched) this.#datagrams.enter((this.#ring.next - first) >>> 0);
  }

  /** Leaves the plain claims at the start of a train to C, in one go. */
  train(bytes: Uint8Array, offset: number, length: number, segment: number, source: Uint32Array): number {
    if (this.path === undefined) return 0;
    this.#arrivals?.enter();
    const { next } = this.#ring;
    const isWatched = this.#watch(source);
    const seconds = Math.floor(this.#now / 1_000);
    const admitted = this.path.admit(bytes, offset, offset + length, source, next, seconds, this.#free);
    const taken = admitted * CLAIM_BYTES;
    this.#ring.pushed(admitted);
    this.#counters.add(RECEIVED, admitted);
    // One of which a rest is left is counted with that.
    this.#counters.add(DATAGRAMS, taken === length ? Math.ceil(length / segment) : Math.floor(taken / segment));
    if (isWatched) this.#datagrams.enter(admitted);
    return taken;
  }

  /** Whether the payload's claims count among those of datagrams; notes how many of them enter whoever sent them. */
  #watch(source: Uint32Array): boolean {
    const room = this.#room;
    const isWatched = room !== undefined && sourceTransport(source[0]!) === TRANSPORT_UDP;
    this.#unwatched = isWatched ? Math.max(0, room.watchFrom - this.#datagrams.count(this.#ring.committed)) : UNWATCHED;
    this.#firstOfPayload = this.#ring.next;
    return isWatched;
  }

  /** Leaves runs of plain claims to C, and considers those between them here; returns where the rest begins. */
  #admitPlain(path: NativePath, bytes: Uint8Array, offset: number, end: number, source: Uint32Array): number {
    let at = offset;
    let admitted = 0;
    do {
      admitted = path.admit(bytes, at, end, source, this.#ring.next, Math.floor(this.#now / 1_000), this.#free);
      this.#ring.pushed(admitted);
      this.#counters.add(RECEIVED, admitted);
      at += admitted * CLAIM_BYTES;
      if (bytes[at] !== FRAME_CLAIM || at + CLAIM_BYTES > end) return at;
      this.claim(bytes, at);
      at += CLAIM_BYTES;
      // After two others in a row, the rest of this payload is not worth further calls.
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

  /** Considers the copies whose originals are decided, and publishes what was admitted. Returns the work done. */
  step(now: number): number {
    this.now = now;
    this.#datagrams.endTurn(this.#ring.next);
    this.#strangers.endTurn(this.#ring.next);
    let work = 0;
    while (this.#deferred.isDue(this.#ring.committed)) {
      this.#arrivals?.enter();
      const { words, view } = this.#deferred;
      const at = this.#deferred.shift();
      this.#source = words;
      this.#sourceAt = (at + SLOT_SOURCE) >>> 2;
      this.#consider(view, at, true);
      work++;
    }
    this.#arrivals?.publish();
    return work + this.#ring.publish();
  }

  /** @param hasWaited whether it was held back and its original is decided now */
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
      this.#useless();
      if (status !== STATUS.UNKNOWN_CHANNEL || !this.#answerMoved(view, slot)) this.#answer(status, view, slot, 0, 0);
      return;
    }
    const hot = this.#table.hot(row);
    let status = admit(this.#table, hot, amountHigh, amountLow, Math.floor(this.#now / 1_000));
    if (status === STATUS.ALREADY && covers(this.rooted, this.#table, row, hot, amountHigh, amountLow))
      status = ADMITTED;
    if (status === STATUS.OVER_CAPACITY) {
      this.#table.loadCapacity(hot);
      this.#answer(status, view, slot, this.#table.capacityHigh, this.#table.capacityLow);
    } else if (status === STATUS.CHANNEL_CLOSED && this.#answerMoved(view, slot)) {
      // Its row is still here, and no longer open, while its shard is given away.
    } else if (status !== ADMITTED) {
      this.#answer(status, view, slot, amountHigh, amountLow);
    } else if (this.#isHeldBack(hot) || (!hasWaited && !this.#mayEnter(row))) {
      this.#answer(STATUS.OVERLOADED, view, slot, 0, 0);
    } else {
      this.#enter(slot, row, hasWaited);
    }
  }

  /** Whether nobody's claim of the channel is verified for now; counts it. */
  #isHeldBack(hot: number): boolean {
    const isHeldBack = this.#standing?.isHeldBack(hot, Math.floor(this.#now / 1_000)) ?? false;
    if (isHeldBack) this.#counters.add(SLOW_CHANNEL, 1);
    return isHeldBack;
  }

  /** How many claims of the payload may still enter whoever sent them. */
  get #free(): number {
    return Math.max(0, this.#unwatched - ((this.#ring.next - this.#firstOfPayload) >>> 0));
  }

  /** While datagrams fill the ring, who was verified lately goes before strangers. */
  #mayEnter(row: number): boolean {
    const standing = this.#standing;
    const room = this.#room;
    if (standing === undefined || room === undefined || this.#free > 0) return true;
    const nowSeconds = Math.floor(this.#now / 1_000);
    if (standing.isKnown(this.#source, this.#sourceAt, row, nowSeconds)) return true;
    const isOver = standing.isOverBudget(this.#source, this.#sourceAt, row, nowSeconds);
    const mayEnter = !isOver && this.#strangers.count(this.#ring.committed) < room.strangersMax;
    if (mayEnter) this.#strangers.enter(1);
    else this.#counters.add(isOver ? OVER_BUDGET : HELD_BACK, 1);
    return mayEnter;
  }

  /** Leaves a frame whose leaves are all plain to C; false where one is not, and nothing was done. */
  #enterLeaves(frame: PlainFrame): boolean {
    const { next } = this.#ring;
    const seconds = Math.floor(this.#now / 1_000);
    if (!this.path?.enterLeaves(frame, this.#source, this.#sourceAt, next, seconds, this.#free)) return false;
    this.#ring.pushed(frame.count);
    return true;
  }

  /** Nothing of it can become a payment. */
  #useless(): void {
    this.#standing?.useless(this.#source, this.#sourceAt, Math.floor(this.#now / 1_000));
  }

  #enter(slot: number, row: number, hasWaited: boolean): void {
    const word = (slot + SLOT_SOURCE) >>> 2;
    // The first byte of a source belongs to the claim, and is kept.
    const claimByte = this.#words[word]! & 0xff;
    this.#words[word] = (this.#source[this.#sourceAt]! & ~0xff) | claimByte;
    for (let index = 1; index < SOURCE_WORDS; index++)
      this.#words[word + index] = this.#source[this.#sourceAt + index]!;
    const original = this.#filter.enter(slot);
    // A copy waits only once: when the original was refused, its copies are verified together. If each waited for the one
    // before it, a thousand copies of a forged claim would be considered half a million times.
    if (original >= 0 && !hasWaited) {
      const isHeld = this.#deferred.push(this.#bytes, slot, original);
      this.#counters.add(isHeld ? DEFERRED : DEFERRED_FULL, 1);
      // The original's ack goes to its own source, which need not be this one.
      if (!isHeld) this.#answer(STATUS.OVERLOADED, this.#view, slot, 0, 0);
      return;
    }
    this.#words[(slot + SLOT_ROW) >>> 2] = row;
    this.#ring.push();
  }

  /** Answers MOVED where another node holds the channel's shard. */
  #answerMoved(view: DataView, slot: number): boolean {
    const shards = this.#shards;
    if (!shards.isElsewhere(claimChannelHigh(view, slot), claimChannelLow(view, slot))) return false;
    this.#answer(STATUS.MOVED, view, slot, shards.versionHigh, shards.versionLow);
    return true;
  }

  /** Where the node may have been deposed, what would be final is MOVED instead: its payer asks for the route. */
  #answer(said: number, view: DataView, offset: number, high: number, low: number): void {
    const isInDoubt = isFinal(said) && this.#shards.isInDoubt(this.#monotonic());
    const status = isInDoubt ? STATUS.MOVED : said;
    const amountHigh = isInDoubt ? this.#shards.versionHigh : high;
    const amountLow = isInDoubt ? this.#shards.versionLow : low;
    this.#counters.add(STATUS_COUNTER[status]!, 1);
    this.#acks.answer(status, view, offset, amountHigh, amountLow, this.#source, this.#sourceAt);
  }
}
