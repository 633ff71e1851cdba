/**
 * One WebSocket to one ledger server, over xrpl.js, which only frames requests here: rotation, time limits and judgement of
 * what a server says are ours. A session that ended stays ended; xrpl-connection.ts opens the next one. Main thread.
 */
import type { Client } from 'xrpl';
import { ClaimwireError } from '../errors.ts';
import type { Clock } from '../system/system.ts';
import { type Fields, fieldsOf } from './ledger-answer.ts';
import type { XrplLibrary } from './xrpl-library.ts';

/** The shapes of answers that are asked for. */
const API_VERSION = 2;
/** The longest message that is read. A page of 400 channels takes about 300 KB. */
const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;
/** Requests without an answer at one time. */
const REQUESTS_MAX = 256;
/** For the time limits of xrpl.js, which go by the machine's clock, and by which it also pings and reconnects by itself. */
const NEVER_MS = 0x7fff_ffff;
const REASON_CHARACTERS_MAX = 200;
/** Errors by which a server says that it cannot be relied on now; another one may. */
const UNFIT = new Set([
  'amendmentBlocked',
  'failedToForward',
  'lgrNotFound',
  'noClosed',
  'noCurrent',
  'noNetwork',
  'notReady',
  'notSynced',
  'slowDown',
  'tooBusy',
]);

/** The private parts of xrpl.js that have no public door. */
interface ConnectionInside {
  onMessage(message: { length: number }): void;
  ws: { terminate?(): void } | null;
}

/** An error that a server answered with. */
export class AnsweredError extends ClaimwireError {
  /** Such as entryNotFound. */
  readonly error: string;
  readonly answer: Fields;

  constructor(url: string, command: string, answer: Fields) {
    const error = short(answer.error);
    const text = short(answer.error_message ?? answer.error_exception ?? '');
    super('LEDGER_REFUSED', `${url} answered ${command} with ${error}: ${text}`, { url, command, error });
    this.error = error;
    this.answer = answer;
  }
}

/** Reads a server's answer; where a field of it is malformed the server gives way to the next one. */
export async function orGiveWay<Result>(session: XrplSession, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ClaimwireError && error.code === 'LEDGER_REFUSED' && error.details?.field !== undefined)
      session.end(error.message);
    throw error;
  }
}

export interface SessionOptions {
  xrpl: XrplLibrary;
  url: string;
  clock: Clock;
  /** A server that has not answered after this long counts as gone. */
  timeoutMs: number;
  /** Messages of the streams `ledger` and of subscribed accounts. */
  onLedgerClosed(message: Fields): void;
  onTransaction(message: Fields): void;
}

function short(text: unknown): string {
  return String(text).slice(0, REASON_CHARACTERS_MAX);
}

/** A server's URL as it may be shown and logged: paths and user names often are secrets. */
export function shownUrl(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

export class XrplSession {
  /** As it may be shown. */
  readonly url: string;
  /** Resolves with the reason once the session ended. */
  readonly gone: Promise<string>;
  private readonly client: Client;
  private readonly clock: Clock;
  private readonly timeoutMs: number;
  private readonly waiting = new Set<{ stop(): void; reject(error: Error): void }>();
  private endedFor: string | undefined;
  private resolveGone: (reason: string) => void = () => {};

  constructor({ xrpl, url, clock, timeoutMs, onLedgerClosed, onTransaction }: SessionOptions) {
    this.url = shownUrl(url);
    this.clock = clock;
    this.timeoutMs = timeoutMs;
    this.gone = new Promise((resolve) => {
      this.resolveGone = resolve;
    });
    this.client = new xrpl.Client(url, { timeout: NEVER_MS, connectionTimeout: NEVER_MS });
    const { connection } = this.client;
    this.guardMessages();
    connection.on('ledgerClosed', (message) => this.pass(onLedgerClosed, message));
    connection.on('transaction', (message) => this.pass(onTransaction, message));
    connection.on('error', (code) => this.end(`error ${short(code)}`));
    connection.on('disconnected', (code) => {
      this.end(`it closed the connection (${short(code)})`);
      // xrpl.js sets its own timer to reconnect right after this event; disconnecting again clears it.
      queueMicrotask(() => this.disconnect());
    });
  }

  async connect(): Promise<void> {
    try {
      await this.within('connect', this.client.connection.connect());
    } catch (error) {
      this.end(short((error as Error).message));
      throw this.asOurs('connect', error);
    }
  }

  /** The `result` of an answer. Rejects with AnsweredError, or LEDGER_UNREACHABLE once the session has ended. */
  async request(command: string, fields: Fields = {}): Promise<Fields> {
    if (this.endedFor !== undefined) throw this.unreachable(this.endedFor);
    if (this.waiting.size >= REQUESTS_MAX) throw this.unreachable(`${REQUESTS_MAX} requests wait already`);
    const request = { ...fields, command, api_version: API_VERSION };
    try {
      const sent = this.client.connection.request(request as never, NEVER_MS);
      const answer = (await this.within(command, sent)) as unknown as Fields;
      return fieldsOf(answer.result, `answer to ${command}`);
    } catch (error) {
      throw this.asOurs(command, error);
    }
  }

  /** Ends the session; every request that waits rejects with LEDGER_UNREACHABLE. */
  end(reason: string): void {
    if (this.endedFor !== undefined) return;
    this.endedFor = reason;
    for (const { stop, reject } of this.waiting) {
      stop();
      reject(this.unreachable(reason));
    }
    this.waiting.clear();
    this.disconnect();
    this.resolveGone(reason);
  }

  private asOurs(command: string, error: unknown): Error {
    if (error instanceof ClaimwireError) return error;
    const { data } = error as { data?: Fields };
    if (typeof data !== 'object' || data === null || data.error === undefined)
      return this.unreachable(short((error as Error).message));
    const answered = new AnsweredError(this.url, command, data);
    if (!UNFIT.has(answered.error)) return answered;
    this.end(`it answered ${command} with ${answered.error}`);
    return this.unreachable(`it answered ${command} with ${answered.error}`);
  }

  private unreachable(reason: string): ClaimwireError {
    const message = `expected an answer of the ledger server ${this.url}, got none: ${reason}`;
    return new ClaimwireError('LEDGER_UNREACHABLE', message, { url: this.url });
  }

  /** Waits for a promise no longer than the time limit or the session; running out of it ends the session. */
  private within<T>(what: string, promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = this.clock.every(this.timeoutMs, () => this.end(`no answer to ${what} in ${this.timeoutMs} ms`));
      const wait = { stop, reject };
      this.waiting.add(wait);
      const settle = () => {
        stop();
        this.waiting.delete(wait);
      };
      promise.then(resolve, reject).finally(settle);
    });
  }

  /** xrpl.js throws out of the socket's event at some malformed messages, such as `null`: here they end the session. */
  private guardMessages(): void {
    const inside = this.client.connection as unknown as ConnectionInside;
    if (typeof inside.onMessage !== 'function') {
      const expected = 'expected xrpl.js 5, whose connection has onMessage, got another one; do npm install xrpl@5';
      throw new ClaimwireError('DEPENDENCY_MISSING', expected, { package: 'xrpl' });
    }
    const read = inside.onMessage.bind(inside);
    inside.onMessage = (message) => {
      if (this.endedFor !== undefined) return;
      if (message.length > MESSAGE_BYTES_MAX) {
        this.end(`a message of ${message.length} bytes, more than ${MESSAGE_BYTES_MAX}`);
        return;
      }
      try {
        read(message);
      } catch (error) {
        this.end(`a malformed message: ${short((error as Error).message)}`);
      }
    };
  }

  private pass(listener: (message: Fields) => void, message: unknown): void {
    if (this.endedFor === undefined) listener(fieldsOf(message, 'message'));
  }

  private disconnect(): void {
    this.client.connection.disconnect().catch(() => {});
    // A server that hangs would never answer the closing handshake.
    (this.client.connection as unknown as ConnectionInside).ws?.terminate?.();
  }
}
