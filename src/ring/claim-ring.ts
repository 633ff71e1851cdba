/**
 * The claim ring: the receiver fills slots, verifiers judge them in place, and the committer frees them in order.
 *
 * It has three cursors, u32 sequence numbers that may wrap: received (one producer), reserved (verifiers, a batch at a time
 * by compare-and-swap), committed (one consumer). Verdicts are in the slots, so verifiers may finish out of order while
 * commits stay in ring order. Models: agrona's OneToOneRingBuffer, the LMAX Disruptor.
 */
import { type Arena, CURSOR_BLOCK_BYTES, LINE_BYTES, SLOT_BYTES } from './arena.ts';
import { Doorbell } from './doorbell.ts';
import { SLOT_VERDICT, VERDICT_PENDING } from './slot.ts';

/** Lines of a cursor block. Each has one writer, except the doorbells, which are rarely written. */
const RECEIVED_LINE = 0;
const RESERVED_LINE = 1;
const COMMITTED_LINE = 2;
const VERIFIER_DOORBELL_LINE = 3;
const COMMITTER_DOORBELL_LINE = 4;
const NET_DOORBELL_LINE = 5;
/** A word that the producer writes beside its cursor: 1 where the claims in the ring are not measured. */
const UNMEASURED_WORD = 1;
/** Words that the committer writes beside its cursor for the main thread. */
const FENCE_WORD = 1;
const SEGMENT_WORD = 2;
/** Owned by ack-ring.ts. */
export const ACK_WRITTEN_LINE = 6;
export const ACK_READ_LINE = 7;

export function cursorWord(arena: Arena, ring: number, line: number): number {
  return (arena.plan.cursors.offset + ring * CURSOR_BLOCK_BYTES + line * LINE_BYTES) >>> 2;
}

/** One thread's handle on a ring. Each part is used by its own role: producer, verifier or consumer. */
export class ClaimRing {
  readonly size: number;
  readonly mask: number;
  readonly base: number;
  readonly verifierDoorbell: Doorbell;
  readonly committerDoorbell: Doorbell;
  readonly netDoorbell: Doorbell;
  /** Producer only. The slots from `#published` to `#next` are filled and not published yet. */
  #next = 0;
  #published = 0;
  #committedSeen = 0;
  /** Verifier only. The sequence of the batch's first claim, set by `reserve`. */
  first = 0;
  readonly #ints: Int32Array;
  readonly #received: number;
  readonly #reserved: number;
  readonly #committed: number;

  constructor(arena: Arena, ring: number) {
    this.size = arena.plan.shape.ringSlots;
    this.mask = this.size - 1;
    this.base = arena.plan.slots.offset + ring * this.size * SLOT_BYTES;
    this.#ints = arena.ints;
    this.#received = cursorWord(arena, ring, RECEIVED_LINE);
    this.#reserved = cursorWord(arena, ring, RESERVED_LINE);
    this.#committed = cursorWord(arena, ring, COMMITTED_LINE);
    this.verifierDoorbell = new Doorbell(arena.ints, cursorWord(arena, ring, VERIFIER_DOORBELL_LINE));
    this.committerDoorbell = new Doorbell(arena.ints, cursorWord(arena, ring, COMMITTER_DOORBELL_LINE));
    this.netDoorbell = new Doorbell(arena.ints, cursorWord(arena, ring, NET_DOORBELL_LINE));
    this.#next = this.received;
    this.#published = this.#next;
    this.#committedSeen = this.committed;
  }

  /** The byte offset of the committed cursor. */
  get committedOffset(): number {
    return this.#committed * 4;
  }
  /** The byte offset of the slot of `sequence`. */
  slot(sequence: number): number {
    return this.base + (sequence & this.mask) * SLOT_BYTES;
  }

  get received(): number {
    return Atomics.load(this.#ints, this.#received) >>> 0;
  }
  get reserved(): number {
    return Atomics.load(this.#ints, this.#reserved) >>> 0;
  }
  get committed(): number {
    return Atomics.load(this.#ints, this.#committed) >>> 0;
  }
  /** Claims received and not yet committed. */
  get depth(): number {
    // The committed cursor is read first: read later, it could be ahead of the received one.
    const committed = this.committed;
    return (this.received - committed) >>> 0;
  }

  // --- producer ---

  /** The sequence of the slot to fill next. */
  get next(): number {
    return this.#next;
  }

  /** How many slots may be filled now. */
  get room(): number {
    return this.size - ((this.#next - this.committed) >>> 0);
  }

  /** The byte offset of the slot to fill next, or -1 when the ring is full. */
  tryNext(): number {
    if ((this.#next - this.#committedSeen) >>> 0 >= this.size) {
      this.#committedSeen = this.committed;
      if ((this.#next - this.#committedSeen) >>> 0 >= this.size) return -1;
    }
    return this.slot(this.#next);
  }

  /** The slot from `tryNext` is filled. Others see it after `publish`. */
  push(): void {
    this.#ints[(this.slot(this.#next) + SLOT_VERDICT) >>> 2] = VERDICT_PENDING;
    this.#next = (this.#next + 1) >>> 0;
  }

  /** The next `count` slots are filled, their verdicts pending. */
  pushed(count: number): void {
    this.#next = (this.#next + count) >>> 0;
    // Remembered for 2^32 claims, the cursor would seem to lie ahead.
    this.#committedSeen = this.committed;
  }

  /** Makes every pushed claim visible; returns how many that was. */
  publish(): number {
    const count = (this.#next - this.#published) >>> 0;
    if (count === 0) return 0;
    this.#published = this.#next;
    Atomics.store(this.#ints, this.#received, this.#next | 0);
    this.verifierDoorbell.ring();
    return count;
  }

  /** Whether claims in the ring are measured: the producer changes that only while there are none, so it holds for each group. */
  get isMeasured(): boolean {
    return Atomics.load(this.#ints, this.#received + UNMEASURED_WORD) === 0;
  }
  set isMeasured(isMeasured: boolean) {
    Atomics.store(this.#ints, this.#received + UNMEASURED_WORD, isMeasured ? 0 : 1);
  }

  // --- verifiers ---

  /** Reserves up to `max` received claims for this verifier alone, from `first` on; returns how many. */
  reserve(max: number): number {
    for (;;) {
      const first = Atomics.load(this.#ints, this.#reserved);
      // `received` is read after `reserved`; if that has moved since, the exchange below fails.
      const available = (this.received - first) >>> 0;
      if (available === 0) return 0;
      const count = Math.min(available, max);
      if (Atomics.compareExchange(this.#ints, this.#reserved, first, (first + count) | 0) === first) {
        this.first = first >>> 0;
        return count;
      }
    }
  }

  /** Wakes the committer, after the verdicts of a batch were written. */
  verified(): void {
    this.committerDoorbell.ring();
  }

  // --- consumer ---

  /** The verdict in the slot of `sequence`. The caller checks that `sequence` was received. */
  verdict(sequence: number): number {
    return Atomics.load(this.#ints, (this.slot(sequence) + SLOT_VERDICT) >>> 2);
  }

  /** Frees every slot below `sequence`. */
  release(sequence: number): void {
    Atomics.store(this.#ints, this.#committed, sequence | 0);
  }

  /** Says that no group is open, and that every later one sees what was written before fence `asked` was asked for. */
  passFence(asked: number): void {
    Atomics.store(this.#ints, this.#committed + FENCE_WORD, asked);
  }
  get fencePassed(): number {
    return Atomics.load(this.#ints, this.#committed + FENCE_WORD);
  }

  /** Says that every group in segments below `segment` is in the channel table. */
  publishJournalSegment(segment: number): void {
    Atomics.store(this.#ints, this.#committed + SEGMENT_WORD, segment);
  }
  get journalSegment(): number {
    return Atomics.load(this.#ints, this.#committed + SEGMENT_WORD);
  }

  /** Wakes every thread that sleeps on this ring, after a change of phase or a fence was asked for. */
  ringAll(): void {
    this.verifierDoorbell.ring();
    this.committerDoorbell.ring();
    this.netDoorbell.ring();
  }
}
