/**
 * Control messages of WebSocket and WebRTC peers: strangers' bytes are read here, and sound requests are answered by the
 * node. Web process.
 *
 * There are limits on a message's size, on a peer's requests in a second and at a time, and on those of all peers at a
 * time. Over a limit the answer is OVERLOADED, and over twice the rate there is none: a peer asks again.
 */
import { randomBytes } from 'node:crypto';
import {
  CONTROL_CODE,
  CONTROL_OUTSTANDING_MAX,
  CONTROL_PER_SECOND_MAX,
  CONTROL_REQUEST_BYTES_MAX,
  type ControlReply,
  type ControlRequest,
  parseControlRequest,
  RESUME_NONCE_BYTES,
  refuseControl,
} from '../../protocol/control.ts';
import { decodeControl, encodeControl, readControlId } from '../../protocol/control-codec.ts';
import type { WebCounts } from './counters.ts';
import type { WebCall } from './messages.ts';

/** Requests of all peers under way, as of one of the node's threads. */
const OUTSTANDING_MAX = 64;
const ANSWER_MS_MAX = 10_000;

/** What the requests of all peers share. */
export class ControlDesk {
  readonly counts: WebCounts;
  readonly #ask: (call: WebCall) => void;
  readonly #answerMsMax: number;
  readonly #waiting = new Map<number, (reply: ControlReply) => void>();
  #call = 0;

  /** @param ask passes a request to the node, which answers by `answer` */
  constructor(counts: WebCounts, ask: (call: WebCall) => void, answerMsMax: number = ANSWER_MS_MAX) {
    this.counts = counts;
    this.#ask = ask;
    this.#answerMsMax = answerMsMax;
  }

  /** Calls back once, with the node's reply or with that there is none. */
  request(request: ControlRequest, nonce: string, onReply: (reply: ControlReply) => void): void {
    const { id } = request;
    if (this.#waiting.size >= OUTSTANDING_MAX) {
      onReply(refuseControl(id, CONTROL_CODE.OVERLOADED, 'node: too many requests, try again shortly'));
      return;
    }
    this.#call = (this.#call + 1) >>> 0;
    const call = this.#call;
    const late = refuseControl(id, CONTROL_CODE.TIMED_OUT, `node: no answer within ${this.#answerMsMax} ms`);
    const timer = setTimeout(() => this.answer(call, late), this.#answerMsMax).unref();
    this.#waiting.set(call, (reply) => {
      clearTimeout(timer);
      onReply(reply);
    });
    this.#ask({ call, request, nonce });
  }

  /** The node's reply. */
  answer(call: number, reply: ControlReply): void {
    const onReply = this.#waiting.get(call);
    this.#waiting.delete(call);
    onReply?.(reply);
  }
}

/** The requests of one peer. */
export class PeerControl {
  readonly #desk: ControlDesk;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #nonce = randomBytes(RESUME_NONCE_BYTES).toString('hex').toUpperCase();
  #outstanding = 0;
  #asked = 0;
  #second = Number.NaN;

  /** @param send sends a message, also after the peer's end */
  constructor(desk: ControlDesk, send: (bytes: Uint8Array) => void) {
    this.#desk = desk;
    this.#send = send;
  }

  /** Handles a message that begins with the type byte. `now` is in milliseconds. */
  message(bytes: Uint8Array, now: number): void {
    const { counts } = this.#desk;
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) this.#asked = 0;
    this.#second = second;
    this.#asked++;
    if (this.#asked > 2 * CONTROL_PER_SECOND_MAX) {
      counts.controlDropped++;
      return;
    }
    counts.control++;
    const refusal = this.#passOn(bytes);
    if (refusal === undefined) return;
    counts.controlRefused++;
    this.#send(encodeControl(refusal));
  }

  #passOn(bytes: Uint8Array): ControlReply | undefined {
    const { MALFORMED, OVERLOADED } = CONTROL_CODE;
    const length = bytes.length - 1;
    const idOf = () => readControlId(bytes, 1, bytes.length);
    if (this.#asked > CONTROL_PER_SECOND_MAX)
      return refuseControl(idOf(), OVERLOADED, `requests: expected at most ${CONTROL_PER_SECOND_MAX} in a second`);
    const value = length > CONTROL_REQUEST_BYTES_MAX ? undefined : decodeControl(bytes, 1, bytes.length);
    if (value === undefined) {
      const expected = `message: expected at most ${CONTROL_REQUEST_BYTES_MAX} bytes of plain MessagePack`;
      return refuseControl(idOf(), MALFORMED, `${expected}, got ${length} that are not`);
    }
    const request = parseControlRequest(value);
    if ('ok' in request) return request;
    if (this.#outstanding === CONTROL_OUTSTANDING_MAX)
      return refuseControl(request.id, OVERLOADED, `requests: expected at most ${CONTROL_OUTSTANDING_MAX} at a time`);
    this.#outstanding++;
    this.#desk.request(request, this.#nonce, (reply) => {
      this.#outstanding--;
      this.#send(encodeControl(reply));
    });
    return undefined;
  }
}
