/**
 * Reads acks: finds the claim or channel that each one answers, and ends the claims that it covers. Generator thread.
 *
 * An ack counts only if its channel is one of the run's; anything else is a stray.
 */
import { type FrameSink, WALK_WHOLE, walkFrames } from '../../protocol/frames.ts';
import {
  ACK_AMOUNT,
  ACK_BYTES,
  ACK_CHANNEL_ID,
  ACK_SEQUENCE,
  ACK_STATUS,
  STATUS,
  STATUS_FIRST_REFUSAL,
} from '../../protocol/layout.ts';
import type { TransportSink } from '../transport/transport.ts';
import type { LoadChannels } from './channels.ts';
import type { Outstanding } from './outstanding.ts';
import type { Recorder } from './recorder.ts';

export class AckReader implements TransportSink, FrameSink {
  recorder: Recorder;
  /** Over a cluster: hears of claims that came to a node which does not serve their channel. They go on waiting. */
  moves: { moved(channel: number, now: number): void } | undefined;
  /** Nobody needs it, but what is stored here has to be loaded first. */
  touched = 0;
  readonly #channels: LoadChannels;
  readonly #outstanding: Outstanding;
  /** Whether sequences are the run's own, so that an ack leads to its claim. */
  readonly #isSequenced: boolean;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #now = 0;
  #readAt = 0;

  constructor(channels: LoadChannels, outstanding: Outstanding, recorder: Recorder, isSequenced: boolean) {
    this.#channels = channels;
    this.#outstanding = outstanding;
    this.recorder = recorder;
    this.#isSequenced = isSequenced;
  }

  /** Acks that follow were taken from their socket just now. */
  read(): void {
    this.#readAt = performance.now();
  }
  /** Acks that follow had waited in their socket until then. */
  waited(us: number): void {
    this.#outstanding.arrivedAt = this.#readAt - us / 1_000;
  }

  payload(bytes: Uint8Array, view: DataView, offset: number, length: number): void {
    this.#view = view;
    this.#now = performance.now();
    if (this.#isSequenced) this.#touch(view, offset, offset + length);
    if (walkFrames(bytes, offset, offset + length, this) !== WALK_WHOLE) this.recorder.counts.strayAcks += 1;
  }

  /** Reads from the records of all channels that acks answer in a loop of its own, so that the cache misses overlap. */
  #touch(view: DataView, start: number, end: number): void {
    let touched = 0;
    for (let offset = start; offset + ACK_BYTES <= end; offset += ACK_BYTES)
      touched ^= this.#outstanding.touch(view.getUint32(offset + ACK_SEQUENCE));
    this.touched = touched;
  }

  claim(): void {
    this.recorder.counts.strayAcks += 1;
  }

  ack(_bytes: Uint8Array, offset: number): void {
    const view = this.#view;
    const status = view.getUint8(offset + ACK_STATUS);
    const sequence = view.getUint32(offset + ACK_SEQUENCE);
    const channel = this.#channelOf(
      sequence,
      view.getUint32(offset + ACK_CHANNEL_ID),
      view.getUint32(offset + ACK_CHANNEL_ID + 4),
    );
    if (channel < 0) {
      this.recorder.counts.strayAcks += 1;
    } else if (status >= STATUS_FIRST_REFUSAL) {
      this.#refused(channel, sequence, status);
    } else {
      const amount = view.getUint32(offset + ACK_AMOUNT) * 2 ** 32 + view.getUint32(offset + ACK_AMOUNT + 4);
      this.#durable(channel, sequence, amount, status === STATUS.COMMITTED);
    }
  }

  #refused(channel: number, sequence: number, status: number): void {
    if (status === STATUS.MOVED && this.moves !== undefined) {
      this.moves.moved(channel, this.#now);
      return;
    }
    const isNews = this.#isSequenced
      ? this.#outstanding.refuse(channel, sequence, status)
      : this.#outstanding.refuseOldest(channel, status);
    if (!isNews) this.recorder.counts.duplicateAcks += 1;
  }

  #durable(channel: number, sequence: number, amount: number, isCommitted: boolean): void {
    let ended = this.#outstanding.cover(channel, amount, isCommitted, this.#now);
    if (this.#isSequenced) ended += this.#outstanding.answer(channel, sequence, amount, isCommitted, this.#now);
    const before = this.#channels.acknowledged(channel);
    if (amount > before) this.#channels.setAcknowledged(channel, amount);
    else if (isCommitted && amount < before) this.recorder.counts.outOfOrderAcks += 1;
    else if (ended === 0) this.recorder.counts.duplicateAcks += 1;
  }

  #channelOf(sequence: number, high: number, low: number): number {
    const channels = this.#channels;
    const channel = this.#isSequenced ? this.#outstanding.channelOf(sequence) : -1;
    const isSame = channel >= 0 && channels.handleHigh(channel) === high && channels.handleLow(channel) === low;
    return isSame ? channel : channels.table.find(high, low);
  }
}
