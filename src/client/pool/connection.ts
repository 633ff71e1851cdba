/**
 * One TCP or TLS connection to a node: sends claims in messages, and receives acks and replies. Payer's thread; a pool
 * (pool.ts) opens and closes it.
 *
 * It owns its output buffers. Claims are copied into one, which is written at the end of the turn and used again when the
 * socket is done with it. Unsent bytes are bounded: beyond the limit `send` returns false. Input is not copied.
 */
import type { Duplex } from 'node:stream';
import { copyClaim } from '../../../protocol/claim.ts';
import { CLAIM_BYTES, PAYLOAD_CONTROL, STREAM_HEADER_BYTES } from '../../../protocol/layout.ts';
import { encodeStreamHeader, type PayloadSink, STREAM_SOUND, StreamParser } from '../../../protocol/stream.ts';
import type { Clock } from '../clock.ts';
import { ControlCalls } from '../control-calls.ts';
import type { PoolCounters } from './pool-stats.ts';
import type { Route } from './router.ts';

/** Claims of one message: most messages are whole in one read of the node, and the header is a thousandth. */
const CLAIMS_PER_MESSAGE_MAX = 45;
const MESSAGE_BYTES_MAX = STREAM_HEADER_BYTES + CLAIMS_PER_MESSAGE_MAX * CLAIM_BYTES;
/** Bytes of one write: above a stream's high-water mark (16 KiB), so that `drain` follows a full socket. */
const BATCH_BYTES = 5 * MESSAGE_BYTES_MAX;
/**
 * Unsent bytes beyond which claims wait at the payer, where a newer one of the channel replaces them: 2,800 claims, or 2.7
 * default windows. Too small where `held` grows while the node is idle.
 */
const UNSENT_BYTES_MAX = 256 << 10;
const SPARE_BATCHES_MAX = 4;

/** Starts a connection; after `upEvent` it may be written to. */
export type Connect = () => { socket: Duplex; upEvent: 'connect' | 'secureConnect' };

export type CutReason = 'silent' | 'garbage' | 'evicted' | 'timeout' | 'pool closed';

export interface ConnectionOwner {
  readonly clock: Clock;
  readonly counters: PoolCounters;
  up(connection: Connection): void;
  /** Frames in `bytes[start, end)`, borrowed for the call. */
  frames(connection: Connection, bytes: Uint8Array, start: number, end: number): void;
  /** There is room again after `send` returned false. */
  drained(connection: Connection): void;
  /** Called once, for every connection. */
  down(connection: Connection, reason: CutReason | Error): void;
  gone(connection: Connection): void;
}

interface Batch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  length: number;
  /** Where the message that is being filled begins, and how many claims it has. */
  messageStart: number;
  messageClaims: number;
  readonly done: () => void;
}

export class Connection implements PayloadSink {
  state: 'opening' | 'up' | 'down' = 'opening';
  /** Channels whose claims go here, and those of them that wait for room. */
  readonly routes = new Set<Route<Connection>>();
  readonly held = new Set<Route<Connection>>();
  readonly calls: ControlCalls;
  readonly startedAt: number;
  /** When anything, and when a claim, was last sent. */
  sentAt: number;
  claimAt: number;
  /** By when the node must send something, reckoned from the first message sent since it last did; 0 where none was. */
  dueAt = 0;
  /** Whether it has acknowledged a claim, so that the peer is a node and not just something that listens. */
  proven = false;
  readonly #socket: Duplex;
  readonly #owner: ConnectionOwner;
  readonly #parser = new StreamParser();
  readonly #spare: Batch[] = [];
  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#write();
  };
  #batch: Batch | undefined;
  #flushScheduled = false;
  #error: Error | undefined;

  constructor(owner: ConnectionOwner, connect: Connect) {
    this.#owner = owner;
    this.startedAt = owner.clock.now();
    this.sentAt = this.startedAt;
    this.claimAt = this.startedAt;
    this.calls = new ControlCalls(owner.clock, (payload) => this.#writeControl(payload));
    const { socket, upEvent } = connect();
    this.#socket = socket;
    socket.on(upEvent, () => {
      if (this.state !== 'opening') return;
      this.state = 'up';
      owner.up(this);
    });
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('drain', () => {
      if (this.state === 'up') owner.drained(this);
    });
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('end', () => this.#down(new Error('connection ended by the node')));
    socket.on('close', () => {
      this.#down(this.#error ?? new Error('connection closed'));
      owner.gone(this);
    });
  }

  get hasRoom(): boolean {
    return this.#socket.writableLength + (this.#batch?.length ?? 0) < UNSENT_BYTES_MAX;
  }

  /** Copies the claim into the output. Returns false where too much is unsent. @param patienceMs time for an answer */
  send(claims: DataView, offset: number, patienceMs: number): boolean {
    if (!this.hasRoom) return false;
    const batch = this.#batchFor(CLAIM_BYTES);
    if (batch.messageClaims === 0) {
      batch.messageStart = batch.length;
      batch.length += STREAM_HEADER_BYTES;
    }
    copyClaim(claims, offset, batch.view, batch.length);
    batch.length += CLAIM_BYTES;
    batch.messageClaims += 1;
    batch.view.setUint32(batch.messageStart, batch.messageClaims * CLAIM_BYTES);
    if (batch.messageClaims === CLAIMS_PER_MESSAGE_MAX) this.#endMessage(batch);
    this.#leaves(patienceMs);
    return true;
  }

  /** The same with a frame of a Merkle batch, in a message of its own: a node without these drops what follows in the message. */
  sendFrame(bytes: Uint8Array, offset: number, size: number, patienceMs: number): boolean {
    if (!this.hasRoom) return false;
    const batch = this.#batchFor(size);
    this.#endMessage(batch);
    encodeStreamHeader(batch.view, batch.length, size);
    batch.bytes.set(bytes.subarray(offset, offset + size), batch.length + STREAM_HEADER_BYTES);
    batch.length += STREAM_HEADER_BYTES + size;
    this.#owner.counters.messagesSent += 1;
    this.#leaves(patienceMs);
    return true;
  }

  /** The output, with room for a message of so many bytes. */
  #batchFor(bytes: number): Batch {
    if (this.#batch !== undefined && this.#batch.length + STREAM_HEADER_BYTES + bytes > BATCH_BYTES) this.#write();
    this.#batch ??= this.#spare.pop() ?? this.#newBatch();
    return this.#batch;
  }

  /** What was copied into the output is sent at the end of the turn. */
  #leaves(patienceMs: number): void {
    if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      this.#owner.clock.afterInput(this.#flush);
    }
    this.expect(patienceMs);
    this.claimAt = this.sentAt;
  }

  /** Notes that something was sent which the node must answer within `patienceMs`. */
  expect(patienceMs: number): void {
    this.sentAt = this.#owner.clock.now();
    if (this.dueAt === 0) this.dueAt = this.sentAt + patienceMs;
  }

  /** Called by the parser. */
  payload(bytes: Uint8Array, start: number, end: number): void {
    if (this.state !== 'up') return;
    this.dueAt = 0;
    const type = bytes[start]!;
    if (type === PAYLOAD_CONTROL) {
      if (!this.calls.reply(bytes, start + 1, end)) this.#owner.counters.unmatched += 1;
    } else if (type > 0 && type < PAYLOAD_CONTROL) this.#owner.frames(this, bytes, start, end);
    else this.cut('garbage');
  }

  /** Ends the connection now. What was not sent is dropped. */
  cut(reason: CutReason): void {
    if (this.state === 'up' && reason === 'silent') this.#owner.counters.cutSilent += 1;
    if (this.state === 'up' && reason === 'garbage') this.#owner.counters.cutGarbage += 1;
    if (this.state === 'up' && reason === 'evicted') this.#owner.counters.evicted += 1;
    this.#down(reason);
  }

  #read(chunk: Uint8Array): void {
    if (this.state !== 'up') return;
    if (this.#parser.push(chunk, this) !== STREAM_SOUND) this.cut('garbage');
  }

  #write(): void {
    const batch = this.#batch;
    if (batch === undefined || this.state !== 'up') return;
    this.#batch = undefined;
    this.#endMessage(batch);
    this.#socket.write(batch.bytes.subarray(0, batch.length), batch.done);
  }

  #endMessage(batch: Batch): void {
    if (batch.messageClaims > 0) this.#owner.counters.messagesSent += 1;
    batch.messageClaims = 0;
  }

  #writeControl(payload: Uint8Array): void {
    const bytes = new Uint8Array(STREAM_HEADER_BYTES + payload.length);
    encodeStreamHeader(new DataView(bytes.buffer), 0, payload.length);
    bytes.set(payload, STREAM_HEADER_BYTES);
    this.#write();
    this.#owner.counters.messagesSent += 1;
    this.#socket.write(bytes);
  }

  #down(reason: CutReason | Error): void {
    if (this.state === 'down') return;
    const { state } = this;
    this.state = 'down';
    this.#batch = undefined;
    this.#socket.destroy();
    this.calls.end();
    if (state === 'up') this.#owner.counters.resets += reason === 'evicted' || reason === 'pool closed' ? 0 : 1;
    else this.#owner.counters.openFailures += reason === 'pool closed' ? 0 : 1;
    this.#owner.down(this, reason);
  }

  #newBatch(): Batch {
    const bytes = new Uint8Array(BATCH_BYTES);
    const batch: Batch = {
      bytes,
      view: new DataView(bytes.buffer),
      length: 0,
      messageStart: 0,
      messageClaims: 0,
      done: () => {
        batch.length = 0;
        if (this.#spare.length < SPARE_BATCHES_MAX) this.#spare.push(batch);
      },
    };
    return batch;
  }
}
