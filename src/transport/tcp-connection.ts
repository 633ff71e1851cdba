/**
 * One TCP (or TLS) connection: its stream, what it brings (tcp-intake.ts), acks and replies out, and its end. Runs in the
 * thread that owns the listener.
 *
 * Bytes are written without waiting, so a peer that does not read is cut once its queue is over the bound.
 */
import type { Socket } from 'node:net';
import { ACK_BYTES, ACK_STATUS, STATUS, STREAM_HEADER_BYTES } from '../../protocol/layout.ts';
import { encodeStreamHeader } from '../../protocol/stream.ts';
import { counterIndex } from '../ring/counters.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { ControlPort } from './control-port.ts';
import { sourceHead } from './source.ts';
import { ConnectionControl } from './tcp-control.ts';
import { type IntakeHost, type IntakeOwner, TcpIntake } from './tcp-intake.ts';
import type { TcpLimits } from './tcp-options.ts';
import { Outbox, type OutboxSum } from './tcp-outbox.ts';
import type { TakeBytes } from './tcp-reader.ts';
import { type Packet, TRANSPORT_TCP } from './transport.ts';

/** A source block's address words: which connection an ack goes back on. */
export const SOURCE_GENERATION = 3;
export const SOURCE_SLOT = 4;

const CONNECTION_GONE = counterIndex('dropped.connectionGone');
const CUT_SLOW_READER = counterIndex('tcp.cutSlowReader');
const CUT_SILENT = counterIndex('tcp.cutSilent');
const CUT_IDLE = counterIndex('tcp.cutIdle');
const CUT_LENGTH = counterIndex('tcp.cutLength');
const ENDED_INSIDE = counterIndex('tcp.endedInside');

/** What a connection needs of the listener it belongs to. */
export interface ConnectionHost extends IntakeHost {
  readonly control: ControlPort;
  readonly limits: TcpLimits;
  readonly outboxes: OutboxSum;
  /** More is queued for a peer than before. */
  checkOutboxes(): void;
  /** Has packets to write at the next flush. */
  touch(connection: TcpConnection): void;
  giveBack(packet: Packet): void;
  remove(connection: TcpConnection): void;
}

/** Makes the stream of a connection, which calls `take` with what it reads once it is resumed. */
export type OpenStream = (take: TakeBytes) => Socket;

export class TcpConnection implements IntakeOwner {
  readonly source = new Uint32Array(SOURCE_WORDS);
  readonly #host: ConnectionHost;
  readonly #stream: Socket;
  readonly #packets: Packet[] = [];
  readonly #intake: TcpIntake;
  readonly #outbox: Outbox;
  #isOver = false;

  constructor(host: ConnectionHost, open: OpenStream, slot: number, generation: number, isProtected: boolean) {
    this.#host = host;
    this.#intake = new TcpIntake(
      host,
      this,
      new ConnectionControl(host.control, host.counters, isProtected, (bytes) => this.#write(bytes)),
    );
    const stream = open((bytes) => this.#intake.take(bytes));
    this.#stream = stream;
    this.#outbox = new Outbox(stream, host.outboxes);
    this.source[0] = sourceHead(TRANSPORT_TCP, stream.remotePort ?? 0);
    this.source[SOURCE_GENERATION] = generation;
    this.source[SOURCE_SLOT] = slot;
    // Whatever it was, `close` follows.
    stream.on('error', () => {});
    stream.on('close', () => this.#closed());
  }

  get slot(): number {
    return this.source[SOURCE_SLOT]!;
  }

  readOn(): void {
    if (!this.#isOver) this.#stream.resume();
  }

  cutLength(): void {
    this.cut(CUT_LENGTH);
  }

  // --- out ---

  /** Keeps a packet of acks for the next flush. */
  queue(packet: Packet): void {
    if (isPaid(packet)) this.#intake.paid();
    if (this.#packets.push(packet) === 1) this.#host.touch(this);
  }

  /**
   * Writes what is queued in one piece. Copied, so that packets are free again at once, however slowly a peer reads, and
   * so that one write, or TLS record, carries them.
   */
  flush(): void {
    let length = 0;
    for (const packet of this.#packets) length += STREAM_HEADER_BYTES + packet.length;
    if (!this.#isWritable) {
      this.#host.counters.add(CONNECTION_GONE, (length - this.#packets.length * STREAM_HEADER_BYTES) / ACK_BYTES);
      for (const packet of this.#packets.splice(0)) this.#host.giveBack(packet);
      return;
    }
    const bytes = this.#outbox.next(length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    let offset = 0;
    for (const packet of this.#packets) {
      encodeStreamHeader(view, offset, packet.length);
      bytes.set(packet.bytes.subarray(0, packet.length), offset + STREAM_HEADER_BYTES);
      offset += STREAM_HEADER_BYTES + packet.length;
      this.#host.giveBack(packet);
    }
    this.#packets.length = 0;
    this.#send();
  }

  /** Bytes that wait for a peer that does not read. */
  get queuedBytes(): number {
    return this.#outbox.bytes;
  }

  get #isWritable(): boolean {
    return !this.#isOver && this.#stream.writable;
  }

  #write(bytes: Uint8Array): void {
    if (!this.#isWritable) return;
    this.#outbox.next(bytes.length).set(bytes);
    this.#send();
  }

  #send(): void {
    this.#outbox.send();
    if (this.#outbox.bytes > this.#host.limits.writeQueueBytesMax) this.cut(CUT_SLOW_READER);
    else this.#host.checkOutboxes();
  }

  // --- end ---

  /** At every tick: cuts what is silent for too long. `isSecond` once a second: the rate of control messages begins anew. */
  tick(isSecond: boolean): void {
    const { now, limits } = this.#host;
    const intake = this.#intake;
    if (isSecond) intake.refill();
    // Whom we let wait is not silent.
    if (intake.isWaiting) intake.messageAt = now;
    const silentMs = now - intake.messageAt;
    if (!intake.hasSpoken && silentMs > limits.helloMsMax) this.cut(CUT_SILENT);
    else if (silentMs > limits.idleMsMax) this.cut(CUT_IDLE);
  }

  /** Ends the connection now, for the reason the counter stands for. */
  cut(counter: number): void {
    if (this.#isOver) return;
    this.#stopReading();
    this.#host.counters.add(counter, 1);
    this.#stream.destroy();
    this.#outbox.end();
  }

  /** Ends the connection now, where its peer does not. */
  destroy(): void {
    this.#stream.destroy();
  }

  /** Takes in nothing more; what is written still goes out. */
  stopReceiving(): void {
    this.#stream.pause();
    this.#intake.drop();
  }

  /** After what is written already. Bytes still coming in are read and dropped: closing on them would reset the peer. */
  end(): void {
    this.#stopReading();
    this.#outbox.end();
    this.#stream.end();
    this.#stream.resume();
  }

  #stopReading(): void {
    this.#isOver = true;
    this.#intake.end();
  }

  #closed(): void {
    if (this.#intake.isInside) this.#host.counters.add(ENDED_INSIDE, 1);
    this.#stopReading();
    this.#outbox.end();
    this.#host.remove(this);
  }
}

/** Whether a claim is acknowledged in it as durable. */
function isPaid({ bytes, length }: Packet): boolean {
  for (let offset = ACK_STATUS; offset < length; offset += ACK_BYTES)
    if (bytes[offset] === STATUS.COMMITTED) return true;
  return false;
}
