/**
 * The control requests of one connection. `hello` comes first, and its nonce is kept. Replies are matched by id. As many
 * requests are open as a node allows, the others wait in line; their number and time are bounded. Payer's thread.
 */
import {
  CONTROL_CODE,
  CONTROL_OUTSTANDING_MAX,
  type ControlAnswer,
  type ControlReply,
  isHelloResult,
  PROTOCOL_VERSION,
  parseControlReply,
} from '../../protocol/control.ts';
import { decodeControl, encodeControl } from '../../protocol/control-codec.ts';
import { ClaimwireError, ERROR_CODES, type ErrorCode } from '../errors.ts';
import type { Clock } from './clock.ts';
import type { AskedRequest, RequestMaker } from './links/peer-link.ts';

/** A node that lives answers within this time, if only TIMED_OUT. */
const REPLY_MS_MAX = 10_000;
/** Requests in line. A node answers 64 a second on a connection, so the last of them waits for 16 seconds. */
const LINE_MAX = 1_024;

interface Call {
  resolve(answer: ControlAnswer): void;
  reject(error: Error): void;
  cancelTimer(): void;
}

export class ControlCalls {
  readonly #clock: Pick<Clock, 'after'>;
  readonly #againMs: number | undefined;
  readonly #write: (payload: Uint8Array) => void;
  readonly #calls = new Map<number, Call>();
  #lastId = 0;
  /** Requests that wait until one of those sent is answered. */
  #line: (() => void)[] = [];
  #nonce: Promise<string> | undefined;
  #ended = false;

  /**
   * @param write takes a control payload, without its length
   * @param againMs where messages may be lost: after so long without an answer, or with that the node is busy, a request is
   * sent again
   */
  constructor(clock: Pick<Clock, 'after'>, write: (payload: Uint8Array) => void, againMs?: number) {
    this.#againMs = againMs;
    this.#clock = clock;
    this.#write = write;
  }

  /** Resolves with the connection's nonce, 32 hex digits. */
  async hello(): Promise<string> {
    const answer = await this.request({ type: 'hello', client: 'claimwire', versions: [PROTOCOL_VERSION] });
    if (!isHelloResult(answer))
      throw new ClaimwireError('NODE_FAILED', 'hello: expected version and nonce, got others');
    return answer.nonce;
  }

  /** Sends a request that needs the nonce. Several at once share one `hello`. */
  async ask(request: RequestMaker): Promise<ControlAnswer> {
    this.#nonce ??= this.hello().catch((error: unknown) => {
      this.#nonce = undefined;
      throw error;
    });
    return await this.request(await request(await this.#nonce));
  }

  async request(message: AskedRequest): Promise<ControlAnswer> {
    if (this.#line.length >= LINE_MAX)
      throw new ClaimwireError('PAYER_FULL', `expected under ${LINE_MAX} requests that wait, await some first`);
    while (this.#calls.size >= CONTROL_OUTSTANDING_MAX)
      await new Promise<void>((resolve) => {
        this.#line.push(resolve);
      });
    if (this.#ended) throw lostError();
    const id = (this.#lastId + 1) >>> 0;
    this.#lastId = id;
    const payload = encodeControl({ ...message, id });
    return await new Promise((resolve, reject) => {
      const cancelLast = this.#clock.after(REPLY_MS_MAX, () => {
        cancelTimer();
        this.#remove(id);
        const expected = `${message.type}: expected a reply within ${REPLY_MS_MAX} ms, got none`;
        reject(new ClaimwireError('NODE_UNREACHABLE', `${expected}, ask again`));
      });
      let cancelAgain = () => {};
      const cancelTimer = () => {
        cancelLast();
        cancelAgain();
      };
      this.#calls.set(id, { resolve, reject, cancelTimer });
      const send = () => {
        this.#write(payload);
        if (this.#againMs !== undefined) cancelAgain = this.#clock.after(this.#againMs, send);
      };
      send();
    });
  }

  /** Whether no reply is due. */
  get isIdle(): boolean {
    return this.#calls.size === 0;
  }

  /** Reads a reply, a control payload without its type byte. Returns false where it answers no request. */
  reply(bytes: Uint8Array, start: number, end: number): boolean {
    const reply = parseControlReply(decodeControl(bytes, start, end));
    const call = reply && this.#calls.get(reply.id);
    if (reply === undefined || call === undefined) return false;
    // It is asked again soon.
    if (!reply.ok && reply.code === CONTROL_CODE.OVERLOADED && this.#againMs !== undefined) return true;
    this.#remove(reply.id);
    call.cancelTimer();
    if (reply.ok) call.resolve(reply);
    else call.reject(refusal(reply));
    return true;
  }

  /** The connection is gone. */
  end(): void {
    this.#ended = true;
    for (const call of this.#calls.values()) {
      call.cancelTimer();
      call.reject(lostError());
    }
    this.#calls.clear();
    for (const next of this.#line.splice(0)) next();
  }

  #remove(id: number): void {
    this.#calls.delete(id);
    this.#line.shift()?.();
  }
}

function refusal({ code, message }: ControlReply & { ok: false }): ClaimwireError {
  const known = ERROR_CODES.includes(code as ErrorCode);
  return new ClaimwireError(known ? (code as ErrorCode) : 'NODE_FAILED', `the node answered ${code}: ${message}`);
}

function lostError(): ClaimwireError {
  return new ClaimwireError('NODE_UNREACHABLE', 'expected a reply, got a lost connection, ask again');
}
