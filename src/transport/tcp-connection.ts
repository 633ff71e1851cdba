/**
 * One TCP (or TLS) connection: messages in, acks and replies out. Runs in the thread that owns the listener.
 *
 * Bytes are read no faster than the sink has room and this connection its turn: what was read and not handed in is kept,
 * one chunk and one message at the most, and the socket is not read on meanwhile. Bytes are written without waiting, so
 * a peer that does not read is cut once its queue is over the bound.
 */
import type { Socket } from 'node:net';
import {
  ACK_BYTES,
  ACK_STATUS,
  CLAIM_BYTES,
  FRAME_ACK,
  FRAME_CLAIM,
  PAYLOAD_CONTROL,
  STATUS,
  STREAM_HEADER_BYTES,
} from '../../protocol/layout.ts';
import { encodeStreamHeader, type PayloadSink, STREAM_SOUND, StreamParser } from '../../protocol/stream.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { ControlPort } from './control-port.ts';
import { sourceHead } from './source.ts';
import { ConnectionControl } from './tcp-control.ts';
import type { ControlGate } from './tcp-control-gate.ts';
import type { KeptBytes } from './tcp-kept.ts';
import type { TcpLimits } from './tcp-options.ts';
import { Outbox, type OutboxSum } from './tcp-outbox.ts';
import type { TakeBytes } from './tcp-reader.ts';
import type { Turns, TurnTaker } from './tcp-turns.ts';
import { type Packet, type StreamSink, TRANSPORT_TCP } from './transport.ts';

/** A source block's address words: which connection an ack goes back on. */
export const SOURCE_GENERATION = 3;
export const SOURCE_SLOT = 4;

/** What a control message takes of a turn: some 20 µs until it is answered. */
const CONTROL_CLAIMS = 32;
/**
 * Claims a connection may hand in after one was acknowledged and still go before those that never were: the largest
 * default ring full of them. A flood would have to pay for every so many.
 */
const CLAIMS_PAID_MAX = 8_192;

const CONNECTION_GONE = counterIndex('dropped.connectionGone');
const PAUSED = counterIndex('tcp.paused');
const CUT_SLOW_READER = counterIndex('tcp.cutSlowReader');
const CUT_SILENT = counterIndex('tcp.cutSilent');
const CUT_IDLE = counterIndex('tcp.cutIdle');
const CUT_LENGTH = counterIndex('tcp.cutLength');
const ENDED_INSIDE = counterIndex('tcp.endedInside');

/** What a connection needs of the listener it belongs to. */
export interface ConnectionHost {
  readonly sink: StreamSink;
  readonly counters: Counters;
  readonly control: ControlPort;
  readonly limits: TcpLimits;
  readonly turns: Turns<TcpConnection>;
  readonly kept: KeptBytes;
  readonly outboxes: OutboxSum;
  readonly gate: ControlGate<TcpConnection>;
  /** Milliseconds, of no particular origin; set by `begin`. */
  readonly now: number;
  /** Something is about to be handed in. */
  begin(): void;
  /** More is queued for a peer than before. */
  checkOutboxes(): void;
  /** Has packets to write at the next flush. */
  touch(connection: TcpConnection): void;
  giveBack(packet: Packet): void;
  remove(connection: TcpConnection): void;
}

/** Makes the stream of a connection, which calls `take` with what it reads once it is resumed. */
export type OpenStream = (take: TakeBytes) => Socket;

export class TcpConnection implements PayloadSink, TurnTaker {
  readonly source = new Uint32Array(SOURCE_WORDS);
  readonly #host: ConnectionHost;
  readonly #stream: Socket;
  readonly #parser = new StreamParser();
  readonly #packets: Packet[] = [];
  readonly #control: ConnectionControl;
  readonly #outbox: Outbox;
  /** The chunk being read, up to `#at`. */
  #chunk: Uint8Array | undefined;
  #chunkView: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  /** The message being handed in: what is left of it. */
  #message: Uint8Array | undefined;
  #messageView: DataView = this.#chunkView;
  #start = 0;
  #end = 0;
  #isControl = false;
  #messageAt: number;
  #hasSpoken = false;
  #isOver = false;
  /** A control message is over a rate: not read on before it is taken. */
  isHeld = false;
  /** The gate counted the message that is next. */
  #isLetThrough = false;
  /** Claims `advance` may still hand in; below 0 for what cannot be divided. */
  #claimsLeft = 0;
  /** Claims handed in since one was acknowledged as durable. */
  #claimsUnpaid = CLAIMS_PAID_MAX;

  constructor(host: ConnectionHost, open: OpenStream, slot: number, generation: number, isProtected: boolean) {
    this.#host = host;
    const stream = open((bytes) => this.#take(bytes));
    this.#stream = stream;
    this.#outbox = new Outbox(stream, host.outboxes);
    this.#control = new ConnectionControl(host.control, host.counters, isProtected, (bytes) => this.#write(bytes));
    this.#messageAt = host.now;
    this.source[0] = sourceHead(TRANSPORT_TCP, stream.remotePort ?? 0);
    this.source[SOURCE_GENERATION] = generation;
    this.source[SOURCE_SLOT] = slot;
    // Whatever it was, `close` follows.
    stream.on('error', () => {});
    stream.on('close', () => this.#closed());
  }

  // --- in ---

  get isPaying(): boolean {
    return this.#claimsUnpaid < CLAIMS_PAID_MAX;
  }

  /** Bytes from the stream. False when not all could be handed in: the rest is kept, and nothing more read meanwhile. */
  #take(bytes: Uint8Array): boolean {
    if (this.#isOver) return true;
    const { turns, counters } = this.#host;
    this.#read(bytes);
    this.#host.begin();
    if (turns.isFree && this.#handInRead(turns.left)) return true;
    this.#keep();
    if (!this.isHeld) {
      counters.add(PAUSED, 1);
      turns.wait(this);
    }
    return false;
  }

  /** Its turn: hands in what was kept, at most `claimsMax` claims of it; reads on, or waits again. */
  advance(claimsMax: number): void {
    this.isHeld = false;
    if (this.#handInRead(claimsMax)) this.readOn();
    else if (!this.isHeld) this.#host.turns.wait(this);
  }

  /** The gate's: the control message that was held is taken now. */
  letThrough(claimsMax: number): void {
    this.#isLetThrough = true;
    this.advance(claimsMax);
  }

  /** Nothing is kept any more: more may come. */
  readOn(): void {
    if (!this.#isOver) this.#stream.resume();
  }

  #read(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#chunkView = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#at = 0;
  }

  /** What is left of the chunk goes where it may stay, with the message in it that was begun. */
  #keep(): void {
    const chunk = this.#chunk!;
    const isInside = this.#message === chunk;
    const from = isInside ? this.#start : this.#at;
    this.#read(this.#host.kept.keep(this.source[SOURCE_SLOT]!, chunk.subarray(from)));
    if (!isInside) return;
    this.#at = this.#end - from;
    this.#start -= from;
    this.#end -= from;
    this.#message = this.#chunk;
    this.#messageView = this.#chunkView;
  }

  /** Hands in what was read, at most `claimsMax` claims of it. False when something is left. */
  #handInRead(claimsMax: number): boolean {
    this.#claimsLeft = claimsMax;
    const isDone = this.#handInMessages();
    this.#host.turns.spend(claimsMax - this.#claimsLeft);
    return isDone;
  }

  #handInMessages(): boolean {
    if (this.#message !== undefined && !this.#handIn()) return false;
    if (this.#chunk === undefined || this.#isOver) return true;
    const fault = this.#parser.push(this.#chunk, this, this.#at);
    this.#at = this.#parser.consumed;
    if (fault !== STREAM_SOUND) this.cut(CUT_LENGTH);
    if (this.#message !== undefined) return false;
    this.#chunk = undefined;
    return true;
  }

  /** The parser's: one message. */
  payload(bytes: Uint8Array, start: number, end: number): void {
    this.#messageAt = this.#host.now;
    this.#hasSpoken = true;
    // What is neither is the sink's to count, as in a datagram.
    this.#isControl = bytes[start] === PAYLOAD_CONTROL;
    this.#message = bytes;
    this.#messageView =
      bytes === this.#chunk ? this.#chunkView : new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#start = start;
    this.#end = end;
    // Handing in may end the connection: by what it answers, to a peer that does not read.
    if (!this.#handIn() || this.#isOver) this.#parser.stop();
  }

  #handIn(): boolean {
    if (this.#claimsLeft <= 0) return false;
    const isDone = this.#isControl ? this.#handInControl() : this.#handInFrames();
    if (isDone) this.#message = undefined;
    return isDone;
  }

  #handInControl(): boolean {
    const { gate, now } = this.#host;
    this.isHeld = this.#control.isSpent || !(this.#isLetThrough || gate.pass(now));
    this.#isLetThrough = false;
    if (this.isHeld) {
      this.#control.held();
      // Over its own rate it stands there from the next second on.
      if (!this.#control.isSpent) gate.hold(this);
      return false;
    }
    this.#claimsLeft -= CONTROL_CLAIMS;
    this.#control.take(this.#message!, this.#start + 1, this.#end);
    return true;
  }

  #handInFrames(): boolean {
    const { sink } = this.#host;
    while (this.#start < this.#end && !this.#isOver) {
      const claimsMax = Math.min(sink.room, this.#claimsLeft);
      const end = claimsMax > 0 ? framesEnd(this.#message!, this.#start, this.#end, claimsMax) : this.#start;
      if (end === this.#start) return false;
      const start = this.#start;
      this.#start = end;
      // A message of a byte is as much work as a claim.
      const claims = Math.ceil((end - start) / CLAIM_BYTES);
      this.#claimsLeft -= claims;
      this.#claimsUnpaid += claims;
      sink.payload(this.#message!, this.#messageView, start, end - start, this.source);
    }
    return true;
  }

  // --- out ---

  /** Keeps a packet of acks for the next flush. */
  queue(packet: Packet): void {
    if (this.#claimsUnpaid > 0 && isPaid(packet)) this.#claimsUnpaid = 0;
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
    if (isSecond) this.#control.refill();
    if (isSecond && this.isHeld) this.#host.gate.hold(this);
    // Whom we let wait is not silent.
    if (this.#chunk !== undefined) this.#messageAt = now;
    const silentMs = now - this.#messageAt;
    if (!this.#hasSpoken && silentMs > limits.helloMsMax) this.cut(CUT_SILENT);
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
    this.#chunk = undefined;
    this.#message = undefined;
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
    this.#chunk = undefined;
    this.#message = undefined;
  }

  #closed(): void {
    if (!this.#isOver && !this.#parser.atBoundary) this.#host.counters.add(ENDED_INSIDE, 1);
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

/**
 * Where the frames in `bytes[start, end)` end that hold at most `claimsMax` claims. Bytes that are no frame stay with
 * those before them: they are the sink's to count.
 */
function framesEnd(bytes: Uint8Array, start: number, end: number, claimsMax: number): number {
  if (end - start < (claimsMax + 1) * CLAIM_BYTES && claimsMax > 0) return end;
  let offset = start;
  for (let claims = 0; offset < end; ) {
    if (bytes[offset] === FRAME_CLAIM) {
      if (claims++ >= claimsMax) return offset;
      offset += CLAIM_BYTES;
    } else if (bytes[offset] === FRAME_ACK) {
      offset += ACK_BYTES;
    } else {
      return end;
    }
  }
  return end;
}
