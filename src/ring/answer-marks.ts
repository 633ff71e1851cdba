/**
 * Claims that are durable and whose acks are not sent yet, as the thread that sends has to know them to measure the rest of
 * their way: a ring of marks, one for claims with the same times. The committer writes it, the sender reads it.
 *
 * Where the sender is so far behind that it is full, claims are left out of what is measured; their acks are not.
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

  constructor(arena: Arena, ring: number) {
    const { answers, shape } = arena.plan;
    this.#ints = arena.ints;
    this.#words = arena.words;
    this.#size = shape.ringSlots;
    this.#written = (answers.offset + ring * answerMarksBytes(shape.ringSlots)) / 4;
    this.#read = this.#written + LINE_BYTES / 4;
    this.#base = this.#read + LINE_BYTES / 4;
  }

  /**
   * Committer: `claims` of these times are answered by acks before `acksEnd` of the ack ring, which it publishes later. A
   * lane has no ack ring, and gives 0.
   */
  add(acksEnd: number, claims: number, arrived: number, durable: number): void {
    const written = this.#ints[this.#written]!;
    if (((written - Atomics.load(this.#ints, this.#read)) | 0) >= this.#size) return;
    const mark = this.#mark(written);
    this.#words[mark + ACKS_END] = acksEnd;
    this.#words[mark + CLAIMS] = claims;
    this.#words[mark + ARRIVED] = arrived;
    this.#words[mark + DURABLE] = durable;
    Atomics.store(this.#ints, this.#written, (written + 1) | 0);
  }

  /** Sender: whether there is a mark whose acks are all before `acksEnd`; takes it. */
  next(acksEnd: number): boolean {
    const read = this.#ints[this.#read]!;
    if (read === Atomics.load(this.#ints, this.#written)) return false;
    const mark = this.#mark(read);
    if (((this.#words[mark + ACKS_END]! - acksEnd) | 0) > 0) return false;
    this.claims = this.#words[mark + CLAIMS]!;
    this.arrived = this.#words[mark + ARRIVED]!;
    this.durable = this.#words[mark + DURABLE]!;
    Atomics.store(this.#ints, this.#read, (read + 1) | 0);
    return true;
  }

  #mark(cursor: number): number {
    return this.#base + (cursor & (this.#size - 1)) * WORDS;
  }
}
