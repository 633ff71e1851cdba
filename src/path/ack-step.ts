/**
 * The ack step: finished acks from the committer's ring into datagrams. Net thread; and its writer for the committer.
 */
import { writeAckOf } from '../../protocol/ack.ts';
import { type AckRing, ENTRY_SOURCE } from '../ring/ack-ring.ts';
import type { Arena } from '../ring/arena.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { AckSender, AnswerSink } from './ack-sender.ts';

const ACK_RING_FULL = counterIndex('dropped.ackRingFull');

/** Acks taken in one step, so that a burst of them does not keep the thread from its socket. */
const ACKS_PER_STEP_MAX = 4_096;

export class AckStep {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #ring: AckRing;
  readonly #sender: AckSender;

  constructor(arena: Arena, ring: AckRing, sender: AckSender) {
    this.#bytes = arena.bytes;
    this.#words = arena.words;
    this.#ring = ring;
    this.#sender = sender;
  }

  hasWork(): boolean {
    return this.#ring.read !== this.#ring.written;
  }

  /** Sends what is in the ring and every other open packet; returns how many acks the ring had. */
  step(now: number): number {
    this.#sender.now = now;
    const first = this.#ring.read;
    const available = (this.#ring.written - first) >>> 0;
    const count = Math.min(available, ACKS_PER_STEP_MAX);
    for (let index = 0; index < count; index++) {
      const entry = this.#ring.entry(first + index);
      this.#sender.frame(this.#bytes, entry, this.#words, (entry + ENTRY_SOURCE) >>> 2);
    }
    if (count > 0) this.#ring.release(first + count);
    this.#sender.flush();
    return count;
  }
}

/** The committer's end: answers become entries of the ack ring. `publish` after each step. */
export class AckRingWriter implements AnswerSink {
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #ring: AckRing;
  readonly #counters: Counters;

  constructor(arena: Arena, ring: AckRing, counters: Counters) {
    this.#view = arena.view;
    this.#words = arena.words;
    this.#ring = ring;
    this.#counters = counters;
  }

  answer(
    status: number,
    view: DataView,
    offset: number,
    amountHigh: number,
    amountLow: number,
    words: Uint32Array,
    at: number,
  ): void {
    const entry = this.#ring.tryNext();
    if (entry < 0) {
      this.#counters.add(ACK_RING_FULL, 1);
      return;
    }
    writeAckOf(this.#view, entry, status, amountHigh, amountLow, view, offset);
    const target = (entry + ENTRY_SOURCE) >>> 2;
    for (let index = 0; index < SOURCE_WORDS; index++) this.#words[target + index] = words[at + index]!;
    this.#ring.push();
  }

  publish(): void {
    this.#ring.publish();
  }
}
