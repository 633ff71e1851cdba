/**
 * One TCP (or TLS) connection: messages in, acks and replies out. Runs in the thread that owns the listener.
 *
 * Bytes are read no faster than the sink has room: what was read and not handed in stays here, one chunk and one
 * message at the most, while the socket is paused. Bytes are written without waiting, so a peer that does not read is
 * cut once its queue is over the bound.
 */
import type { Socket } from 'node:net';
import {
  ACK_BYTES,
  CLAIM_BYTES,
  FRAME_ACK,
  FRAME_CLAIM,
  PAYLOAD_CONTROL,
  STREAM_HEADER_BYTES,
} from '../../protocol/layout.ts';
import { encodeStreamHeader, type PayloadSink, STREAM_SOUND, StreamParser } from '../../protocol/stream.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import { SOURCE_WORDS } from '../ring/slot.ts';
import type { ControlPort } from './control-port.ts';
import { sourceHead } from './source.ts';
import { ConnectionControl } from './tcp-control.ts';
import type { TcpLimits } from './tcp-options.ts';
import { type Packet, type StreamSink, TRANSPORT_TCP } from './transport.ts';

/** A source block's address words: which connection an ack goes back on. */
export const SOURCE_GENERATION = 3;
export const SOURCE_SLOT = 4;

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
  /** Others wait for room: who comes now stands behind them. */
  readonly isCrowded: boolean;
  /** Milliseconds, of no particular origin; set by `begin`. */
  readonly now: number;
  /** Something is about to be handed in. */
  begin(): void;
  /** Has something to hand in and no room: `advance` is called again, in turn. */
  wait(connection: TcpConnection): void;
  /** Has packets to write at the next flush. */
  touch(connection: TcpConnection): void;
  giveBack(packet: Packet): void;
  remove(connection: TcpConnection): void;
}

export class TcpConnection implements PayloadSink {
  readonly source = new Uint32Array(SOURCE_WORDS);
  readonly #host: ConnectionHost;
  readonly #stream: Socket;
  readonly #parser = new StreamParser();
  readonly #packets: Packet[] = [];
  readonly #control: ConnectionControl;
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
  /** Over its rate of control messages: not read on before the next tick that says so. */
  isHeld = false;
  /** Claims `advance` may still hand in. */
  claimsLeft = 0;

  constructor(host: ConnectionHost, stream: Socket, slot: number, generation: number, isProtected: boolean) {
    this.#host = host;
    this.#stream = stream;
    this.#control = new ConnectionControl(host.control, host.counters, isProtected, (bytes) => this.#write(bytes));
    this.#messageAt = host.now;
    this.source[0] = sourceHead(TRANSPORT_TCP, stream.remotePort ?? 0);
    this.source[SOURCE_GENERATION] = generation;
    this.source[SOURCE_SLOT] = slot;
    stream.on('data', (chunk: Uint8Array) => this.#take(chunk));
    // Whatever it was, `close` follows.
    stream.on('error', () => {});
    stream.on('close', () => this.#closed());
  }

  // --- in ---

  #take(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#chunk = chunk;
    this.#chunkView = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#at = 0;
    const { isCrowded } = this.#host;
    this.#host.begin();
    if (!isCrowded && this.advance(Number.POSITIVE_INFINITY)) return;
    this.#stream.pause();
    if (this.isHeld) return;
    this.#host.counters.add(PAUSED, 1);
    this.#host.wait(this);
  }

  /** Hands in what was read, at most `claimsMax` claims of it. False when something is left: for want of room, or held. */
  advance(claimsMax: number): boolean {
    this.claimsLeft = claimsMax;
    if (this.#message !== undefined && !this.#handIn()) return false;
    if (this.#chunk === undefined || this.#isOver) return true;
    const fault = this.#parser.push(this.#chunk, this, this.#at);
    this.#at = this.#parser.consumed;
    if (fault !== STREAM_SOUND) this.cut(CUT_LENGTH);
    if (this.#message !== undefined) return false;
    this.#chunk = undefined;
    return true;
  }

  /** Everything that was read is handed in: more may come. */
  readOn(): void {
    if (!this.#isOver) this.#stream.resume();
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
    const isDone = this.#isControl
      ? this.#control.take(this.#message!, this.#start + 1, this.#end)
      : this.#handInFrames();
    this.isHeld = this.#isControl && !isDone;
    if (isDone) this.#message = undefined;
    return isDone;
  }

  #handInFrames(): boolean {
    const { sink } = this.#host;
    while (this.#start < this.#end && !this.#isOver) {
      const claimsMax = Math.min(sink.room, this.claimsLeft);
      const end = framesEnd(this.#message!, this.#start, this.#end, claimsMax);
      if (end === this.#start) return false;
      const start = this.#start;
      this.#start = end;
      this.claimsLeft -= Math.floor((end - start) / CLAIM_BYTES);
      sink.payload(this.#message!, this.#messageView, start, end - start, this.source);
    }
    return true;
  }

  // --- out ---

  /** Keeps a packet of acks for the next flush. */
  queue(packet: Packet): void {
    if (this.#packets.push(packet) === 1) this.#host.touch(this);
  }

  /**
   * Writes what is queued in one piece. Copied, so that packets are free again at once, however slowly a peer reads, and
   * so that one write, or TLS record, carries them.
   */
  flush(): void {
    let length = 0;
    for (const packet of this.#packets) length += STREAM_HEADER_BYTES + packet.length;
    const bytes = Buffer.allocUnsafe(length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, length);
    let offset = 0;
    for (const packet of this.#packets) {
      encodeStreamHeader(view, offset, packet.length);
      bytes.set(packet.bytes.subarray(0, packet.length), offset + STREAM_HEADER_BYTES);
      offset += STREAM_HEADER_BYTES + packet.length;
      if (!this.#isWritable) this.#host.counters.add(CONNECTION_GONE, packet.length / ACK_BYTES);
      this.#host.giveBack(packet);
    }
    this.#packets.length = 0;
    this.#write(bytes);
  }

  get #isWritable(): boolean {
    return !this.#isOver && this.#stream.writable;
  }

  #write(bytes: Uint8Array): void {
    if (!this.#isWritable) return;
    this.#stream.write(bytes);
    if (this.#stream.writableLength > this.#host.limits.writeQueueBytesMax) this.cut(CUT_SLOW_READER);
  }

  // --- end ---

  /** At every tick: cuts what is silent for too long. `isSecond` once a second: the rate of control messages begins anew. */
  tick(isSecond: boolean): void {
    const { now, limits } = this.#host;
    if (isSecond) this.#control.refill();
    if (isSecond && this.isHeld) {
      this.isHeld = false;
      this.#host.wait(this);
    }
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
    this.#host.remove(this);
  }
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
