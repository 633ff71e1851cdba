/**
 * One connection of the admin server, between its socket and node:http's parser. Main thread.
 *
 * node:http begins at once every request in the bytes it gets, and 64 KiB may hold thousands. So it gets only what the
 * request in progress needs. While that is answered, its connection is not read and the kernel keeps what the client sent
 * ahead. The next request begins in a later turn of the event loop, after those of other connections.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Bytes parsed at a time, bodies excepted: a slice ends at most 7 requests, since a request has at least 18 bytes. */
const SLICE_BYTES = 128;
/** Bytes thrown away after the last answer. They are read at all because a reset could overtake the answer. */
const LINGER_BYTES_MAX = 32 << 20;

/** How long a client may take, milliseconds. */
export interface ConnectionLimits {
  /** From a connection's start, or from a head's first byte on a kept one, to the head's end. */
  headMs: number;
  /** For the first byte of the next request on a kept connection. Clients are told 5 s, so that they close first. */
  idleMs: number;
  /** In each such window the client must send `progressBytes` of a body, or read something of the answer. */
  progressMs: number;
  progressBytes: number;
  /** For closing its side after the last answer. */
  lingerMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  headMs: 10_000,
  idleMs: 6_000,
  progressMs: 30_000,
  progressBytes: 16 << 10,
  lingerMs: 2_000,
};

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** Whose a connection is, by the token that it presented: the operator's own, or one of a smaller scope. */
export type Place = 'operator' | 'holder';

export interface ConnectionOwner {
  /** Called when the first bytes come; node:http is to listen to the connection from then on. */
  onFirstBytes(connection: AdminConnection): void;
  /** Called for one request at a time: the next follows when the kernel has this one's answer. */
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  /** Calls `begin` in a later turn of the event loop, when the next request may begin. */
  onNext(begin: () => void): void;
}

export class AdminConnection extends Duplex {
  /** Its place, once it has presented a token. Such a connection is never closed for another. */
  place: Place | undefined;
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #limits: ConnectionLimits;
  /** Bytes read from the socket and not yet given to the parser. */
  #held: Buffer = Buffer.alloc(0);
  /** Whether the parser wants more bytes. */
  #isWanted = false;
  #isParsed = false;
  #hasEnded = false;
  #isLingering = false;
  /** The answer to bytes that are no HTTP request. It follows the answers to the requests before them. */
  #refusal: string | undefined;
  #current: Exchange | undefined;
  /** Whether the owner has the current request: only then is it known whether its body is read. */
  #isBegun = false;
  #isAnswered = false;
  readonly #waiting: Exchange[] = [];
  /** When the present wait began: for a head, for progress, or for the client's end. */
  #since = performance.now();
  #sinceBytes = 0;
  #hasHeadBegun = false;
  #isKept = false;

  constructor(socket: Socket, owner: ConnectionOwner, limits: ConnectionLimits) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#owner = owner;
    this.#limits = limits;
    socket.on('data', (part: Buffer) => this.#onData(part));
    socket.on('end', () => this.#onEnd());
    // Whatever the reason, the connection is over.
    socket.on('error', () => this.destroy());
    socket.on('close', () => this.destroy());
    this.on('error', () => {});
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress;
  }

  /** Whether the client has closed its side. The event `clientEnd` tells when it does. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Nothing is being answered. */
  get isIdle(): boolean {
    return this.#current === undefined || this.#isLingering;
  }

  /** Begins a request that node:http has parsed, now or after those before it. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    if (this.#current === undefined) this.#begin({ request, response });
    else this.#waiting.push({ request, response });
  }

  /** Reads no more requests, and answers `status` once those before are answered. */
  refuse(status: string): void {
    if (this.#refusal !== undefined || this.destroyed) return;
    this.#refusal = `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
    if (this.#current === undefined) this.#endRefused();
  }

  /** Ends the connection if its client is late. Returns whether it was. */
  endIfLate(now: number): boolean {
    if (now - this.#since <= this.#limitMs()) return false;
    const isHead = this.#current === undefined && !this.#isLingering;
    const moved = this.#socket.bytesRead - this.#sinceBytes;
    if (!isHead && !this.#isLingering && moved >= this.#limits.progressBytes) {
      this.#restartClock();
      return false;
    }
    if (isHead && this.#hasHeadBegun && this.#refusal === undefined) {
      this.refuse('408 Request Timeout');
      this.#restartClock();
    } else this.destroy();
    return true;
  }

  override _read(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    queueMicrotask(() => this.#feed());
  }

  override _write(part: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(part, (error) => this.#onWritten(done, error));
  }

  override _writev(parts: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.cork();
    for (const { chunk } of parts.slice(0, -1)) this.#socket.write(chunk);
    this.#socket.write(parts.at(-1)!.chunk, (error) => this.#onWritten(done, error));
    this.#socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#isLingering = true;
    this.#held = Buffer.alloc(0);
    this.#restartClock();
    this.#socket.end(() => {
      done();
      if (this.#hasEnded) this.destroy();
    });
    this.#socket.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #onData(part: Buffer): void {
    if (this.#isLingering) {
      if (this.#socket.bytesRead - this.#sinceBytes > LINGER_BYTES_MAX) this.destroy();
      return;
    }
    this.#socket.pause();
    if (this.#current === undefined && !this.#hasHeadBegun) {
      this.#hasHeadBegun = true;
      this.#restartClock();
    }
    this.#held = this.#held.length === 0 ? part : Buffer.concat([this.#held, part]);
    if (!this.#isParsed) {
      this.#isParsed = true;
      this.#owner.onFirstBytes(this);
    }
    this.#feed();
  }

  #onEnd(): void {
    this.#hasEnded = true;
    this.emit('clientEnd');
    if (this.#isLingering) this.destroy();
    else this.#feed();
  }

  /** Gives the parser as much as it may have now. */
  #feed(): void {
    while (this.#isWanted && this.#held.length > 0 && this.#mayParse()) {
      // Only holders of a token send long bodies. What follows one in the same piece is the holder's too.
      const isBody = this.#current !== undefined && this.place !== undefined;
      const slice = isBody ? this.#held : this.#held.subarray(0, SLICE_BYTES);
      this.#held = this.#held.subarray(slice.length);
      // The parser runs within push.
      this.#isWanted = this.push(slice);
    }
    if (this.#held.length > 0 || this.#isLingering || this.destroyed) return;
    if (!this.#hasEnded) this.#socket.resume();
    else if (this.#current === undefined) this.end();
    // The body will never be whole, and its reader is told that it was aborted.
    else if (!this.#current.request.complete && !this.#current.response.writableEnded) this.destroy();
  }

  /** False while a whole request waits for its answer. */
  #mayParse(): boolean {
    if (this.#refusal !== undefined || this.destroyed) return false;
    return this.#current === undefined || (this.#isBegun && !this.#current.request.complete);
  }

  #begin(exchange: Exchange): void {
    this.#current = exchange;
    this.#isBegun = false;
    this.#isAnswered = false;
    this.#restartClock();
    exchange.response.once('close', () => {
      this.#isAnswered = true;
      this.#continue();
    });
    // In a microtask, since the parser knows only after this call whether the request is complete.
    queueMicrotask(() => {
      this.#owner.onRequest(exchange.request, exchange.response);
      this.#isBegun = true;
      this.#feed();
    });
  }

  #onWritten(done: (error?: Error | null) => void, error: Error | null | undefined): void {
    if (this.#current !== undefined && !this.#isLingering) this.#restartClock();
    done(error);
    this.#continue();
  }

  /** Goes on to the next request, in a later turn, once the kernel has the whole answer. */
  #continue(): void {
    if (!this.#isAnswered || this.writableLength > 0 || this.#isLingering) return;
    this.#isAnswered = false;
    this.#owner.onNext(() => {
      this.#current = undefined;
      this.#isKept = true;
      this.#hasHeadBegun = this.#held.length > 0;
      this.#restartClock();
      if (this.destroyed || this.writableEnded) return;
      const next = this.#waiting.shift();
      if (next !== undefined) this.#begin(next);
      else if (this.#refusal !== undefined) this.#endRefused();
      else this.#feed();
    });
  }

  #endRefused(): void {
    if (this.writable) this.end(this.#refusal);
    else this.destroy();
  }

  #limitMs(): number {
    const { headMs, idleMs, progressMs, lingerMs } = this.#limits;
    if (this.#isLingering) return lingerMs;
    if (this.#current !== undefined) return this.#isClientsTurn() ? progressMs : Number.POSITIVE_INFINITY;
    return this.#isKept && !this.#hasHeadBegun ? idleMs : headMs;
  }

  /** Whether the client has to act: to read what is written, or to send more of a body that is being read. */
  #isClientsTurn(): boolean {
    if (this.writableLength > 0) return true;
    if (this.#current!.request.complete || !this.#isWanted) {
      this.#restartClock();
      return false;
    }
    return true;
  }

  #restartClock(): void {
    this.#since = performance.now();
    this.#sinceBytes = this.#socket.bytesRead;
  }
}
