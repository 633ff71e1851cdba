/**
 * What one connection brings: its stream taken apart, and handed in as its turns allow. Runs in the listener's thread.
 *
 * What was read and not handed in is kept: one chunk and one message at the most, and the socket is not read on
 * meanwhile. It waits for its turn, for room in the ring, or at the gate of control messages.
 */
import { ACK_BYTES, CLAIM_BYTES, FRAME_ACK, FRAME_CLAIM, PAYLOAD_CONTROL } from '../../protocol/layout.ts';
import { type PayloadSink, STREAM_SOUND, StreamParser } from '../../protocol/stream.ts';
import { type Counters, counterIndex } from '../ring/counters.ts';
import type { ConnectionControl } from './tcp-control.ts';
import type { ControlGate } from './tcp-control-gate.ts';
import type { KeptBytes } from './tcp-kept.ts';
import type { Turns, TurnTaker } from './tcp-turns.ts';
import type { StreamSink } from './transport.ts';

/** What a control message takes of a turn: some 20 µs until it is answered. */
const CONTROL_CLAIMS = 32;
/**
 * Claims a connection may hand in after one was acknowledged and still go before those that never were: the largest
 * default ring full of them. A flood would have to pay for every so many.
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
  /** Milliseconds, of no particular origin; set by `begin`. */
  readonly now: number;
  /** Something is about to be handed in. */
  begin(): void;
}

/** The connection an intake belongs to. */
export interface IntakeOwner {
  readonly source: Uint32Array;
  readonly slot: number;
  /** Nothing is kept any more: more may come. */
  readOn(): void;
  /** The stream announced a length it may not have. */
  cutLength(): void;
}

export class TcpIntake implements PayloadSink, TurnTaker {
  readonly #host: IntakeHost;
  readonly #owner: IntakeOwner;
  readonly #control: ConnectionControl;
  readonly #parser = new StreamParser();
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
  #isOver = false;
  /** A control message is over a rate: not read on before it is taken. */
  #isHeld = false;
  /** The gate counted the message that is next. */
  #isLetThrough = false;
  /** Claims `advance` may still hand in; below 0 for what cannot be divided. */
  #claimsLeft = 0;
  /** Claims handed in since one was acknowledged as durable. */
  #claimsUnpaid = CLAIMS_PAID_MAX;
  /** When the last whole message came, and whether any has. */
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
  /** Something is kept. */
  get isWaiting(): boolean {
    return this.#chunk !== undefined;
  }
  /** The stream ends within a message. */
  get isInside(): boolean {
    return !this.#isOver && !this.#parser.atBoundary;
  }

  /** A claim was acknowledged as durable. */
  paid(): void {
    this.#claimsUnpaid = 0;
  }

  /** A second has begun, and with it the rate of control messages. */
  refill(): void {
    this.#control.refill();
    if (this.#isHeld) this.#host.gate.hold(this);
  }

  /** Drops what is kept, a message that was held with it: nobody lets that through any more, and it is not read on. */
  drop(): void {
    this.#chunk = undefined;
    this.#message = undefined;
    this.#isHeld = false;
  }

  /** Takes nothing more. */
  end(): void {
    this.#isOver = true;
    this.drop();
    this.#host.turns.leave(this);
    this.#host.gate.leave(this);
  }

  /** Bytes from the stream. False when not all could be handed in: the rest is kept, and nothing more read meanwhile. */
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

  /** Its turn: hands in what was kept, at most `claimsMax` claims of it; reads on, or waits again. */
  advance(claimsMax: number): void {
    this.#isHeld = false;
    if (this.#handInRead(claimsMax)) this.#owner.readOn();
    else if (!this.#isHeld) this.#host.turns.wait(this);
  }

  /** The gate's: the control message that was held is taken now. */
  letThrough(claimsMax: number): void {
    this.#isLetThrough = true;
    this.advance(claimsMax);
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
    this.#read(this.#host.kept.keep(this.#owner.slot, chunk.subarray(from)));
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
    if (fault !== STREAM_SOUND) this.#owner.cutLength();
    if (this.#message !== undefined) return false;
    this.#chunk = undefined;
    return true;
  }

  /** The parser's: one message. */
  payload(bytes: Uint8Array, start: number, end: number): void {
    this.messageAt = this.#host.now;
    this.hasSpoken = true;
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
    this.#isHeld = this.#control.isSpent || !(this.#isLetThrough || gate.pass(now));
    this.#isLetThrough = false;
    if (this.#isHeld) {
      this.#control.held();
      // Over its own rate it stands there from the next second on.
      if (!this.#control.isSpent) gate.hold(this);
      return false;
    }
    this.#claimsLeft -= Math.max(CONTROL_CLAIMS, Math.ceil((this.#end - this.#start) / CLAIM_BYTES));
    this.#control.take(this.#message!, this.#start + 1, this.#end);
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
      // A message of a byte is as much work as a claim.
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
