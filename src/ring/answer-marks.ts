/**
 * Claims that are durable and whose acks are not sent yet, as the thread that sends has to know them to measure the rest of
 * their way: a ring of marks, one for claims with the same times. The committer writes it, the sender reads it.
 *
 * Where the sender is so far behind that it is full, claims are left out of what is measured, and counted as such; their acks
 * are not left out.
 */
import { ANSWER_MARK_BYTES, type Arena, answerMarksBytes, LINE_BYTES } from './arena.ts';

/** Words of a mark. */
const ACKS_END = 0;
const CLAIMS = 1;
const ARRIVED = 2;
const DURABLE = 3;
const WORDS = ANSWER_MARK_BYTES / 4;

export class AnswerMarks {
  /** Of the mark that `next` found. */
  claims = 0;
  arrived = 0;
  durable = 0;
  readonly #ints: Int32Array;
  readonly #words: Uint32Array;
  /** Words of the two cursors, a line each, and of the first mark. */
  readonly #written: number;
  readonly #read: number;
  readonly #base: number;
  readonly #size: number;
  /** Committer: the mark that is written next, and how far the sender was when that was last looked at. */
  #next: number;
  #readSeen: number;
  /** Sender: the mark that is taken next, and how far the committer was. */
  #taken: number;
  #writtenSeen: number;

  constructor(arena: Arena, ring: number) {
    const { answers, shape } = arena.plan;
    this.#ints = arena.ints;
    this.#words = arena.words;
    this.#size = shape.ringSlots;
    this.#written = (answers.offset + ring * answerMarksBytes(shape.ringSlots)) / 4;
    this.#read = this.#written + LINE_BYTES / 4;
    this.#base = this.#read + LINE_BYTES / 4;
    this.#next = Atomics.load(this.#ints, this.#written);
    this.#writtenSeen = this.#next;
    this.#readSeen = Atomics.load(this.#ints, this.#read);
    this.#taken = this.#readSeen;
  }

  /**
   * Committer: `claims` of these times are answered by acks before `acksEnd` of the ack ring. A lane has no ack ring, and
   * gives 0. False where there is no room.
   */
  add(acksEnd: number, claims: number, arrived: number, durable: number): boolean {
    const next = this.#next;
    if (((next - this.#readSeen) | 0) >= this.#size) {
      this.#readSeen = Atomics.load(this.#ints, this.#read);
      if (((next - this.#readSeen) | 0) >= this.#size) return false;
    }
    const mark = this.#mark(next);
    this.#words[mark + ACKS_END] = acksEnd;
    this.#words[mark + CLAIMS] = claims;
    this.#words[mark + ARRIVED] = arrived;
    this.#words[mark + DURABLE] = durable;
    this.#next = (next + 1) | 0;
    return true;
  }

  /** Committer: makes the marks of a group visible, once for all of them, and before their acks are. */
  publish(): void {
    Atomics.store(this.#ints, this.#written, this.#next);
  }

  /** Sender: whether there is a mark whose acks are all before `acksEnd`; takes it. */
  next(acksEnd: number): boolean {
    if (this.#taken === this.#writtenSeen) {
      this.#writtenSeen = Atomics.load(this.#ints, this.#written);
      if (this.#taken === this.#writtenSeen) return false;
    }
    const mark = this.#mark(this.#taken);
    if (((this.#words[mark + ACKS_END]! - acksEnd) | 0) > 0) return false;
    this.claims = this.#words[mark + CLAIMS]!;
    this.arrived = this.#words[mark + ARRIVED]!;
    this.durable = this.#words[mark + DURABLE]!;
    this.#taken = (this.#taken + 1) | 0;
    return true;
  }

  /** Sender: frees the marks that it took. */
  release(): void {
    Atomics.store(this.#ints, this.#read, this.#taken);
  }

  #mark(cursor: number): number {
    return this.#base + (cursor & (this.#size - 1)) * WORDS;
  }
}
