/**
 * The control requests of one connection: `hello` first, whose nonce it keeps, replies matched by id, bounded in number
 * and time. Payer's thread.
 */
import {
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
import type { AskedRequest } from './peer-link.ts';

/** The node answers TIMED_OUT sooner. */
const REPLY_MS_MAX = 10_000;
const CLIENT_NAME = 'claimwire';

interface Call {
  resolve(answer: ControlAnswer): void;
  reject(error: Error): void;
  cancelTimer(): void;
}

export class ControlCalls {
  readonly #clock: Clock;
  readonly #write: (payload: Uint8Array) => void;
  readonly #calls = new Map<number, Call>();
  #lastId = 0;
  #nonce: string | undefined;
  #ended = false;

  /** @param write takes a control payload, without its length */
  constructor(clock: Clock, write: (payload: Uint8Array) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  /** Resolves with the connection's nonce, 32 hex digits. */
  async hello(): Promise<string> {
    const answer = await this.request({ type: 'hello', client: CLIENT_NAME, versions: [PROTOCOL_VERSION] });
    if (!isHelloResult(answer))
      throw new ClaimwireError('NODE_FAILED', 'hello: expected version and nonce, got others');
    this.#nonce = answer.nonce;
    return answer.nonce;
  }

  async ask(request: (nonce: string) => AskedRequest): Promise<ControlAnswer> {
    return await this.request(request(this.#nonce ?? (await this.hello())));
  }

  request(message: AskedRequest): Promise<ControlAnswer> {
    if (this.#ended) return Promise.reject(lostError());
    if (this.#calls.size === CONTROL_OUTSTANDING_MAX)
      return Promise.reject(
        new ClaimwireError(
          'PAYER_FULL',
          `expected under ${CONTROL_OUTSTANDING_MAX} requests at a time, await some first`,
        ),
      );
    const id = (this.#lastId + 1) >>> 0;
    this.#lastId = id;
    const payload = encodeControl({ ...message, id });
    return new Promise((resolve, reject) => {
      const cancelTimer = this.#clock.after(REPLY_MS_MAX, () => {
        this.#calls.delete(id);
        const expected = `${message.type}: expected a reply within ${REPLY_MS_MAX} ms, got none`;
        reject(new ClaimwireError('NODE_UNREACHABLE', `${expected}, ask again`));
      });
      this.#calls.set(id, { resolve, reject, cancelTimer });
      this.#write(payload);
    });
  }

  /** Takes what lies after the type byte of a control payload. False where it answers nothing. */
  reply(bytes: Uint8Array, start: number, end: number): boolean {
    const reply = parseControlReply(decodeControl(bytes, start, end));
    const call = reply && this.#calls.get(reply.id);
    if (reply === undefined || call === undefined) return false;
    this.#calls.delete(reply.id);
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
  }
}

function refusal({ code, message }: ControlReply & { ok: false }): ClaimwireError {
  const known = ERROR_CODES.includes(code as ErrorCode);
  return new ClaimwireError(known ? (code as ErrorCode) : 'NODE_FAILED', `the node answered ${code}: ${message}`);
}

function lostError(): ClaimwireError {
  return new ClaimwireError('NODE_UNREACHABLE', 'expected a reply, got a lost connection, ask again');
}
