/**
 * Packs a batch into datagrams, makes the faults that were drawn, and enters each claim as outstanding.
 *
 * Generator thread. A claim that is held back to be reordered is copied to a slot behind the batch, and leaves right after
 * the next claim of its channel. Such claims and duplicates leave in datagrams of their own, as stragglers.
 */
import { copyClaim } from '../../protocol/claim.ts';
import { CLAIM_SEQUENCE, CLAIM_SIGNATURE, CLAIM_TIMESTAMP, SIGNATURE_BYTES } from '../../protocol/layout.ts';
import {
  BATCH_CLAIMS_MAX,
  type Batch,
  FAULT_CORRUPT,
  FAULT_DROP,
  FAULT_DUPLICATE,
  FAULT_REORDER,
  FAULT_STALE,
  HELD_CLAIMS_MAX,
} from './batch.ts';
import type { Capture } from './capture.ts';
import type { LoadChannels } from './channels.ts';
import type { LoadLink } from './links/link.ts';
import type { Outstanding } from './outstanding.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder.ts';

/** Milliseconds since 1970 at 0 of the generator's clock. */
const CLOCK_ORIGIN = performance.timeOrigin;

export interface DispatchParts {
  channels: LoadChannels;
  link: LoadLink;
  outstanding: Outstanding;
  /** Draws the bits to corrupt. */
  random: Random;
  perDatagram: number;
  /** Whether claims keep their own sequences and timestamps. */
  isVerbatim: boolean;
  capture: Capture | undefined;
}

interface Straggler {
  slot: number;
  /** Of the claim, as outstanding.ts says; -1 for a duplicate. */
  number: number;
  socket: number;
  /** The number of the slot that is free once this has left; -1 for a duplicate. */
  held: number;
}

export class Dispatch {
  recorder: Recorder;
  /** Claims handed to the link, warm-up and copies included. */
  claims = 0;
  readonly #parts: DispatchParts;
  /** The slots of the open datagram. */
  readonly #open: Uint32Array;
  /** Their claims' numbers. */
  readonly #numbers: Float64Array;
  #openCount = 0;
  #openSocket = 0;
  readonly #stragglers: Straggler[] = [];
  readonly #straggler = new Uint32Array(1);
  readonly #stragglerNumber = new Float64Array(1);
  /** The claim held back, by channel. */
  readonly #held = new Map<number, Straggler>();
  readonly #free = Array.from({ length: HELD_CLAIMS_MAX }, (_, index) => index);

  constructor(parts: DispatchParts, recorder: Recorder) {
    this.#parts = parts;
    this.recorder = recorder;
    this.#open = new Uint32Array(parts.perDatagram);
    this.#numbers = new Float64Array(parts.perDatagram);
  }

  /** Sends what is left of the batch. False where a socket is full: call again later, nothing is lost. */
  send(batch: Batch, now: number): boolean {
    while (batch.sent < batch.count) {
      const index = batch.sent;
      const isFull = this.#openCount === this.#parts.perDatagram;
      const isOther = batch.starts[index] === 1 || batch.sockets[index] !== this.#openSocket;
      if ((isFull || isOther || this.#stragglers.length > 0) && !this.#finish(now)) return false;
      batch.sent += 1;
      this.#claim(batch, index, now);
    }
    return this.#finish(now);
  }

  /** Sends what is still held back at the end of a step. */
  releaseHeld(): void {
    this.#stragglers.push(...this.#held.values());
    this.#held.clear();
  }

  #claim(batch: Batch, index: number, now: number): void {
    const { faults } = this.recorder;
    const fault = batch.faults[index]!;
    const dueAt = batch.dueAt[index]!;
    const isMeasured = this.recorder.isMeasured(dueAt) ? 1 : 0;
    if (fault === FAULT_DROP) {
      faults.dropped += isMeasured;
      return;
    }
    const channel = batch.channels[index]!;
    const slot = this.#parts.channels.ring.slot(index);
    if (!this.#parts.isVerbatim) this.#stamp(slot, dueAt);
    if (fault === FAULT_CORRUPT) this.#corrupt(slot);
    const number = this.#parts.outstanding.next;
    this.#parts.outstanding.add(channel, batch.amounts[index]!, dueAt, now, fault === FAULT_CORRUPT);
    this.recorder.left(dueAt, now);
    const socket = batch.sockets[index]!;
    if (fault === FAULT_REORDER && this.#hold(channel, slot, number, socket)) {
      faults.reordered += isMeasured;
      return;
    }
    this.#openSocket = socket;
    this.#numbers[this.#openCount] = number;
    this.#open[this.#openCount++] = slot;
    if (fault === FAULT_CORRUPT) faults.corrupted += isMeasured;
    else if (fault === FAULT_STALE) faults.stale += isMeasured;
    else if (fault === FAULT_DUPLICATE) {
      faults.duplicated += isMeasured;
      this.#stragglers.push({ slot, number: -1, socket, held: -1 });
    }
    if (this.#held.size > 0) this.#release(channel);
  }

  /** The claim's number is its sequence, as outstanding.ts says. */
  #stamp(slot: number, dueAt: number): void {
    const { view } = this.#parts.channels.arena;
    view.setUint32(slot + CLAIM_SEQUENCE, this.#parts.outstanding.next >>> 0);
    view.setFloat64(slot + CLAIM_TIMESTAMP, CLOCK_ORIGIN + dueAt);
  }

  #corrupt(slot: number): void {
    const bit = this.#parts.random.below(SIGNATURE_BYTES * 8);
    this.#parts.channels.arena.bytes[slot + CLAIM_SIGNATURE + (bit >>> 3)]! ^= 1 << (bit & 7);
  }

  /** False where a claim of the channel is held back already, or no slot is left. */
  #hold(channel: number, slot: number, number: number, socket: number): boolean {
    if (this.#held.has(channel)) return false;
    const held = this.#free.pop();
    if (held === undefined) return false;
    const { ring, arena } = this.#parts.channels;
    const to = ring.slot(BATCH_CLAIMS_MAX + held);
    copyClaim(arena.view, slot, arena.view, to);
    this.#held.set(channel, { slot: to, number, socket, held });
    return true;
  }

  #release(channel: number): void {
    const straggler = this.#held.get(channel);
    if (straggler === undefined) return;
    this.#held.delete(channel);
    this.#stragglers.push(straggler);
  }

  /** Hands over the open datagram, and then the stragglers one by one. */
  #finish(now: number): boolean {
    if (this.#openCount > 0) {
      if (!this.#datagram(this.#openSocket, this.#open, this.#numbers, this.#openCount, now)) return false;
      this.#openCount = 0;
    }
    while (this.#stragglers.length > 0) {
      const { slot, number, socket, held } = this.#stragglers[0]!;
      this.#straggler[0] = slot;
      this.#stragglerNumber[0] = number;
      if (!this.#datagram(socket, this.#straggler, this.#stragglerNumber, 1, now)) return false;
      if (held >= 0) this.#free.push(held);
      this.#stragglers.shift();
    }
    return true;
  }

  #datagram(socket: number, slots: Uint32Array, numbers: Float64Array, count: number, now: number): boolean {
    const { link, outstanding } = this.#parts;
    if (!link.send(socket, slots, count)) return false;
    const departure = link.departure(socket);
    for (let index = 0; index < count; index++)
      if (numbers[index]! >= 0) outstanding.leavesWith(numbers[index]!, departure);
    this.claims += count;
    if (this.recorder.isMeasured(now)) this.recorder.counts.datagrams += 1;
    this.#parts.capture?.add(this.#parts.link.local(socket), slots, count, CLOCK_ORIGIN + now);
    return true;
  }
}
