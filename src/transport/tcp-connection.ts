/**
 * One connection of TCP or TLS: its stream, its intake, the acks and replies it is sent, and its end. Listener's thread.
 *
 * Bytes are written without waiting, so a peer that does not read is cut once its queue is over the bound.
 */
import type { Socket } from 'node:net';
import { ACK_BYTES, ACK_STATUS, STATUS, STREAM_HEADER_BYTES } from '../../protocol/layout.ts';
import { encodeStreamHeader } from '../../protocol/stream.ts';
import { type CounterName, counterIndex } from '../ring/counters.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { ControlPort } from './control-port.ts';
import { sourceHead } from './source.ts';
import { ConnectionControl } from './tcp-control.ts';
import { type IntakeHost, type IntakeOwner, TcpIntake } from './tcp-intake.ts';
import type { TcpLimits } from './tcp-options.ts';
import { Outbox, type OutboxSum } from './tcp-outbox.ts';
import type { TakeBytes } from './tcp-reader.ts';
import { type Packet, TRANSPORT_TCP } from './transport.ts';

/** In a source, these words of the address say which connection an ack is sent on. */
export const SOURCE_GENERATION = 3;
export const SOURCE_SLOT = 4;

const CONNECTION_GONE = counterIndex('dropped.connectionGone');

/** What a connection needs of the listener it belongs to. */
export interface ConnectionHost extends IntakeHost {
  readonly control: ControlPort;
  readonly limits: TcpLimits;
  readonly outboxes: OutboxSum;
  /** Called when more is queued for a peer than before. */
  checkOutboxes(): void;
  /** Called when `connection` has packets to write at the next flush. */
  touch(connection: TcpConnection): void;
  giveBack(packet: Packet): void;
  remove(connection: TcpConnection): void;
}

/** Makes the stream of a connection, which calls `take` with what it reads once it is resumed (tcp-reader.ts). */
export type OpenStream = (take: TakeBytes) => Socket;

export class TcpConnection implements IntakeOwner {
  readonly source = new Uint32Array(SOURCE_WORDS);
  readonly #host: ConnectionHost;
  readonly #stream: Socket;
  readonly #packets: Packet[] = [];
  readonly #intake: TcpIntake;
  readonly outbox: Outbox;
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
    this.outbox = new Outbox(stream, host.outboxes);
    this.source[0] = sourceHead(TRANSPORT_TCP, stream.remotePort ?? 0);
    this.source[SOURCE_GENERATION] = generation;
    this.source[SOURCE_SLOT] = slot;
    // `close` follows every error.
    stream.on('error', () => {});
    stream.on('close', () => this.#closed());
  }

  get slot(): number {
    return this.source[SOURCE_SLOT]!;
  }

  readOn(): void {
    if (!this.#isOver) this.#stream.resume();
  }

  // --- out ---

  /** Keeps a packet of acks for the next flush. */
  queue(packet: Packet): void {
    if (isPaid(packet)) this.#intake.paid();
    if (this.#packets.push(packet) === 1) this.#host.touch(this);
  }

  /** Writes the queued packets as one piece (one TLS record). They are copied, so that they are free again at once. */
  flush(): void {
    let length = 0;
    for (const packet of this.#packets) length += STREAM_HEADER_BYTES + packet.length;
    if (!this.#isWritable) {
      this.#host.counters.add(CONNECTION_GONE, (length - this.#packets.length * STREAM_HEADER_BYTES) / ACK_BYTES);
      for (const packet of this.#packets.splice(0)) this.#host.giveBack(packet);
      return;
    }
    const bytes = this.outbox.next(length);
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

  get #isWritable(): boolean {
    return !this.#isOver && this.#stream.writable;
  }

  #write(bytes: Uint8Array): void {
    if (!this.#isWritable) return;
    this.outbox.next(bytes.length).set(bytes);
    this.#send();
  }

  #send(): void {
    this.outbox.send();
    if (this.outbox.bytes > this.#host.limits.writeQueueBytesMax) this.cut('tcp.cutSlowReader');
    else this.#host.checkOutboxes();
  }

  // --- end ---

  /** Cuts a connection that is silent for too long. `isSecond` is true once a second, and renews the rate of messages. */
  tick(isSecond: boolean): void {
    const { now, limits } = this.#host;
    const intake = this.#intake;
    if (isSecond) intake.refill();
    // A peer whose bytes wait here is not silent.
    if (intake.isWaiting) intake.messageAt = now;
    const silentMs = now - intake.messageAt;
    if (!intake.hasSpoken && silentMs > limits.helloMsMax) this.cut('tcp.cutSilent');
    else if (silentMs > limits.idleMsMax) this.cut('tcp.cutIdle');
  }

  /** Ends the connection now and counts the reason. */
  cut(reason: CounterName): void {
    if (this.#isOver) return;
    this.#stopReading();
    this.#host.counters.count(reason);
    this.#stream.destroy();
    this.outbox.end();
  }

  /** Ends the connection now, since its peer does not. */
  destroy(): void {
    this.#stream.destroy();
  }

  /** Receives nothing more; what is written is still sent. */
  stopReceiving(): void {
    this.#stream.pause();
    this.#intake.drop();
  }

  /** Ends the connection after what is written. It drops bytes still received: unread, they would cause a reset. */
  end(): void {
    this.#stopReading();
    this.outbox.end();
    this.#stream.end();
    this.#stream.resume();
  }

  #stopReading(): void {
    this.#isOver = true;
    this.#intake.end();
  }

  #closed(): void {
    if (this.#intake.isInside) this.#host.counters.count('tcp.endedInside');
    this.#stopReading();
    this.outbox.end();
    this.#host.remove(this);
  }
}

/** Whether the packet has an ack of a committed claim. */
function isPaid({ bytes, length }: Packet): boolean {
  for (let offset = ACK_STATUS; offset < length; offset += ACK_BYTES)
    if (bytes[offset] === STATUS.COMMITTED) return true;
  return false;
}
