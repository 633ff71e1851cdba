/**
 * A datagram socket that loses, doubles and reorders a share of what goes through it, both ways, over a real one.
 *
 * Chance comes from a seed, so that a run can be had again; only the real socket's timing differs.
 */
import type { DatagramSocket } from '../../src/client/links/transport-udp.ts';

export interface Faults {
  /** Shares of the datagrams, 0..1, each way. */
  drop: number;
  duplicate: number;
  reorder: number;
  seed: number;
}

/** A datagram held back is let go behind the next one, or after this long where none follows. */
const HELD_MS_MAX = 5;

type Deliver = (bytes: Uint8Array) => void;

export class FaultySocket implements DatagramSocket {
  readonly peer: string;
  dropped = 0;
  duplicated = 0;
  reordered = 0;
  readonly #inner: DatagramSocket;
  readonly #faults: Faults;
  readonly #random: () => number;
  readonly #held = new Set<Held>();
  readonly #outward = new Lane();
  readonly #inward = new Lane();
  #closed = false;

  constructor(inner: DatagramSocket, faults: Faults) {
    this.#inner = inner;
    this.peer = inner.peer;
    this.#faults = faults;
    this.#random = mulberry32(faults.seed);
  }

  listen(onMessage: Deliver, onError: (error: Error) => void, onOpen: () => void): void {
    this.#inner.listen((bytes) => this.#pass(this.#inward, bytes, onMessage), onError, onOpen);
  }

  send(bytes: Uint8Array, offset: number, length: number, sent: () => void): void {
    this.#pass(this.#outward, bytes.subarray(offset, offset + length), (copy) => {
      if (!this.#closed) this.#inner.send(copy, 0, copy.length, () => {});
    });
    sent();
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const held of this.#held) clearTimeout(held.timer);
    return this.#inner.close();
  }

  #pass(lane: Lane, bytes: Uint8Array, deliver: Deliver): void {
    const behind = lane.held;
    lane.held = undefined;
    if (this.#random() < this.#faults.drop) this.dropped += 1;
    else if (behind === undefined && this.#random() < this.#faults.reorder) this.#hold(lane, bytes.slice(), deliver);
    else {
      const copy = bytes.slice();
      deliver(copy);
      if (this.#random() < this.#faults.duplicate) {
        this.duplicated += 1;
        deliver(copy.slice());
      }
    }
    if (behind !== undefined) {
      this.reordered += 1;
      behind.release();
    }
  }

  #hold(lane: Lane, bytes: Uint8Array, deliver: Deliver): void {
    const release = (): void => {
      clearTimeout(held.timer);
      this.#held.delete(held);
      if (lane.held === held) lane.held = undefined;
      deliver(bytes);
    };
    const held: Held = { timer: setTimeout(release, HELD_MS_MAX), release };
    lane.held = held;
    this.#held.add(held);
  }
}

interface Held {
  timer: NodeJS.Timeout;
  release: () => void;
}

/** One direction: at most one datagram is held back. */
class Lane {
  held: Held | undefined;
}

/** A small seeded generator: numbers in [0, 1). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
