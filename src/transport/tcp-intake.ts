/**
 * Splits one connection's stream into messages and hands them in as its turns allow. Listener's thread.
 *
 * What was read and not handed in is kept, at most one chunk and one message, and the socket is not read meanwhile. It waits
 * for its turn, for room in the ring, or at the gate of control messages.
 */
import { CLAIM_BYTES, PAYLOAD_CONTROL } from '../../protocol/layout.ts';
import { type PayloadSink, STREAM_SOUND, StreamParser } from '../../protocol/stream.ts';
import { type CounterName, type Counters, counterIndex } from '../ring/counters.ts';
import { framesEnd } from './frames-end.ts';
import type { ConnectionControl } from './tcp-control.ts';
import type { ControlGate } from './tcp-control-gate.ts';
import type { KeptBytes } from './tcp-kept.ts';
import type { Turns, TurnTaker } from './tcp-turns.ts';
import type { StreamSink } from './transport.ts';

/** What a control message costs of a turn, in claims: some 20 µs until it is answered. */
const CONTROL_CLAIMS = 32;
/**
 * Claims that a connection may hand in after one was committed, and still go before others: a quarter of the largest default ring.
 * A flood would have to pay once for every so many.
 */
const CLAIMS_PAID_MAX = 8_192;

const PAUSED = counterIndex('tcp.paused');

/** What all intakes of a listener share. */
export interface IntakeHost {
  readonly sink: StreamSink;
  readonly counters: Counters;
  readonly turns: Turns<TcpIntake>;
  readonly gate: ControlGate<TcpIntake>;
  readonly kept: KeptBytes;
  /** Milliseconds of the monotonic clock; set by `begin`. */
  readonly now: number;
  /** Called before something is handed in. */
  begin(): void;
}

/** The connection an intake belongs to. */
export interface IntakeOwner {
  readonly source: Uint32Array;
  readonly slot: number;
  /** Resumes reading, since nothing is kept any more. */
  readOn(): void;
  /** Ends the connection and counts the reason. */
  cut(reason: CounterName): void;
}

export class TcpIntake implements PayloadSink, TurnTaker {
  readonly #host: IntakeHost;
  readonly #owner: IntakeOwner;
  readonly #control: ConnectionControl;
  readonly #parser = new StreamParser();
  /** The chunk being read; it is read up to `#at`. */
  #chunk: Uint8Array | undefined;
  #chunkView: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  /** The message being handed in; what is left of it is from `#start` to `#end`. */
  #message: Uint8Array | undefined;
  #messageView: DataView = this.#chunkView;
  #start = 0;
  #end = 0;
  #isControl = false;
  #isOver = false;
  /** A control message is over a rate, and nothing is read before it is handled. */
  #isHeld = false;
  /** The gate has counted the next message already. */
  #isLetThrough = false;
  /** Claims that may still be handed in; below 0 after a message that cannot be divided. */
  #claimsLeft = 0;
  /** Claims handed in since one was committed. */
  #claimsUnpaid = CLAIMS_PAID_MAX;
  /** When the last whole message came, and whether any has come. */
  messageAt: number;
  hasSpoken = false;

  constructor(host: IntakeHost, owner: IntakeOwner, control: ConnectionControl) {
    this.#host = host;
    this.#owner = owner;
    this.#control = control;
    this.messageAt = host.now;
  }

  get isPaying(): boolean {
    return this.#claimsUnpaid < CLAIMS_PAID_MAX;
  }
  /** Whether something is kept. */
  get isWaiting(): boolean {
    return this.#chunk !== undefined;
  }
  /** Whether the stream is within a message. */
  get isInside(): boolean {
    return !this.#isOver && !this.#parser.atBoundary;
  }

  /** A claim of the connection was committed. */
  paid(): void {
    this.#claimsUnpaid = 0;
  }

  /** Called once a second: renews the rate of control messages. */
  refill(): void {
    this.#control.refill();
    if (this.#isHeld) this.#host.gate.hold(this);
  }

  /** Drops what is kept, including a control message that is held. */
  drop(): void {
    this.#chunk = undefined;
    this.#message = undefined;
    this.#isHeld = false;
  }

  /** Hands in nothing more. */
  end(): void {
    this.#isOver = true;
    this.drop();
    this.#host.turns.leave(this);
    this.#host.gate.leave(this);
  }

  /** Hands in bytes from the stream. False when the rest had to be kept, and nothing more may be read meanwhile. */
  take(bytes: Uint8Array): boolean {
    if (this.#isOver) return true;
    const { turns, counters } = this.#host;
    this.#read(bytes);
    this.#host.begin();
    if (turns.isFree && this.#handInRead(turns.left)) return true;
    this.#keep();
    if (!this.#isHeld) {
      counters.add(PAUSED, 1);
      turns.wait(this);
    }
    return false;
  }

  /** Called in its turn: hands in at most `claimsMax` claims of what was kept; then resumes reading, or waits again. */
  advance(claimsMax: number): void {
    this.#isHeld = false;
    if (this.#handInRead(claimsMax)) this.#owner.readOn();
    else if (!this.#isHeld) this.#host.turns.wait(this);
  }

  /** Called by the gate: the control message that was held may be handled now. */
  letThrough(claimsMax: number): void {
    this.#isLetThrough = true;
    this.advance(claimsMax);
  }

  #read(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#chunkView = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#at = 0;
  }

  /** Copies what is left of the chunk, with the message that was begun in it, to where it may stay. */
  #keep(): void {
    const chunk = this.#chunk!;
    const isInside = this.#message === chunk;
    const from = isInside ? this.#start : this.#at;
    this.#read(this.#host.kept.keep(this.#owner.slot, chunk.subarray(from)));
    if (!isInside) return;
    this.#at = this.#end - from;
    this.#start -= from;
    this.#end -= from;
    this.#message = this.#chunk;
    this.#messageView = this.#chunkView;
  }

  /** Hands in at most `claimsMax` claims of what was read. False when something is left. */
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
    if (fault !== STREAM_SOUND) this.#owner.cut('tcp.cutLength');
    if (this.#message !== undefined) return false;
    this.#chunk = undefined;
    return true;
  }

  /** Called by the parser with one message. */
  payload(bytes: Uint8Array, start: number, end: number): void {
    this.messageAt = this.#host.now;
    this.hasSpoken = true;
    // The sink counts messages that are neither control nor claims, as in a datagram.
    this.#isControl = bytes[start] === PAYLOAD_CONTROL;
    this.#message = bytes;
    this.#messageView =
      bytes === this.#chunk ? this.#chunkView : new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#start = start;
    this.#end = end;
    // Handing in may end the connection, by an answer to a peer that does not read.
    if (!this.#handIn() || this.#isOver) this.#parser.stop();
  }

  #handIn(): boolean {
    if (this.#claimsLeft <= 0) return false;
    const isDone = this.#isControl ? this.#handInControl() : this.#handInFrames();
    if (isDone) this.#message = undefined;
    return isDone;
  }

  #handInControl(): boolean {
    const { gate, now, counters } = this.#host;
    this.#isHeld = this.#control.isSpent || !(this.#isLetThrough || gate.pass(now));
    this.#isLetThrough = false;
    if (this.#isHeld) {
      counters.count('tcp.controlHeld');
      // Over its own rate, it waits at the gate from the next second on (see refill).
      if (!this.#control.isSpent) gate.hold(this);
      return false;
    }
    this.#claimsLeft -= Math.max(CONTROL_CLAIMS, Math.ceil((this.#end - this.#start) / CLAIM_BYTES));
    this.#control.handle(this.#message!, this.#start + 1, this.#end);
    return true;
  }

  #handInFrames(): boolean {
    const { sink, turns } = this.#host;
    while (this.#start < this.#end && !this.#isOver) {
      const claimsMax = Math.min(sink.room, this.#claimsLeft);
      const end = claimsMax > 0 ? framesEnd(this.#message!, this.#start, this.#end, claimsMax) : this.#start;
      if (end === this.#start) return false;
      const start = this.#start;
      this.#start = end;
      // A message of one byte is as much work as a claim.
      const claims = Math.ceil((end - start) / CLAIM_BYTES);
      this.#claimsLeft -= claims;
      this.#claimsUnpaid += claims;
      const { next } = sink;
      sink.payload(this.#message!, this.#messageView, start, end - start, this.#owner.source);
      turns.enter((sink.next - next) >>> 0);
    }
    return true;
  }
}
