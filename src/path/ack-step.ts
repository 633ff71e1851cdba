/** Acks cross from the committer to the net thread: `AckRingWriter` runs in the committer, `AckStep` in the net thread. */
import { writeAckOf } from '../../protocol/ack.ts';
import { type AckRing, ENTRY_SOURCE } from '../ring/ack-ring.ts';
import type { Arena } from '../ring/arena.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { AckSender, AnswerSink } from './ack-sender.ts';
import type { PathMeasures } from './path-measures.ts';

const ACK_RING_FULL = counterIndex('dropped.ackRingFull');

/** Acks sent in one step: a bound, so that a burst does not keep the thread from its socket. */
const ACKS_PER_STEP_MAX = 4_096;

export class AckStep {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #ring: AckRing;
  readonly #sender: AckSender;
  readonly #measures: PathMeasures | undefined;

  constructor(arena: Arena, ring: AckRing, sender: AckSender, measures?: PathMeasures) {
    this.#bytes = arena.bytes;
    this.#words = arena.words;
    this.#ring = ring;
    this.#sender = sender;
    this.#measures = measures;
  }

  hasWork(): boolean {
    return this.#ring.read !== this.#ring.written;
  }

  /** Sends the ring's acks and every open packet; returns how many acks came from the ring. */
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
    this.#measures?.answered((first + count) >>> 0);
    return count;
  }
}

/** Writes answers into the ack ring. The caller publishes them after each step. */
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

  answer(status: number, view: DataView, offset: number, high: number, low: number, to: Uint32Array, at: number): void {
    const entry = this.#ring.tryNext();
    if (entry < 0) {
      this.#counters.add(ACK_RING_FULL, 1);
      return;
    }
    writeAckOf(this.#view, entry, status, high, low, view, offset);
    const target = (entry + ENTRY_SOURCE) >>> 2;
    for (let index = 0; index < SOURCE_WORDS; index++) this.#words[target + index] = to[at + index]!;
    this.#ring.push();
  }

  publish(): void {
    this.#ring.publish();
  }
}
