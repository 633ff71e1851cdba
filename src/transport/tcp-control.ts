/**
 * The control messages of one connection: checked, counted, passed on and answered. Listener's thread.
 *
 * There are limits on a message's size, on the requests that wait for an answer, and on the messages in a second, of this
 * connection and of all (tcp-control-gate.ts). Over a rate nothing is dropped: the connection is not read meanwhile.
 */
import { randomBytes } from 'node:crypto';
import {
  CONTROL_CODE,
  CONTROL_OUTSTANDING_MAX,
  CONTROL_PER_SECOND_MAX,
  CONTROL_REQUEST_BYTES_MAX,
  type ControlReply,
  parseControlRequest,
  RESUME_NONCE_BYTES,
  refuseControl,
} from '../../protocol/control.ts';
import { decodeControl, encodeControl, readControlId } from '../../protocol/control-codec.ts';
import { STREAM_HEADER_BYTES } from '../../protocol/layout.ts';
import type { Counters } from '../ring/counters.ts';
import type { ControlPort, ControlSession } from './control-port.ts';

export class ConnectionControl {
  readonly #port: ControlPort;
  readonly #counters: Counters;
  readonly #isProtected: boolean;
  readonly #write: (bytes: Uint8Array) => void;
  #session: ControlSession | undefined;
  #outstanding = 0;
  #left = CONTROL_PER_SECOND_MAX;

  /** @param write called with a message and its length before it, even after the connection's end */
  constructor(port: ControlPort, counters: Counters, isProtected: boolean, write: (bytes: Uint8Array) => void) {
    this.#port = port;
    this.#counters = counters;
    this.#isProtected = isProtected;
    this.#write = write;
  }

  /** Called once a second: renews the rate. */
  refill(): void {
    this.#left = CONTROL_PER_SECOND_MAX;
  }

  /** Whether the connection's own rate is used up. */
  get isSpent(): boolean {
    return this.#left === 0;
  }

  /** Handles the message in `bytes[start, end)`, after its type byte. The caller checks that the rate is not used up. */
  handle(bytes: Uint8Array, start: number, end: number): void {
    this.#left--;
    this.#counters.count('tcp.control');
    const refusal = this.#passOn(bytes, start, end);
    if (refusal !== undefined) {
      this.#counters.count('tcp.controlRefused');
      this.#reply(refusal);
    }
  }

  #passOn(bytes: Uint8Array, start: number, end: number): ControlReply | undefined {
    const { MALFORMED, OVERLOADED } = CONTROL_CODE;
    const length = end - start;
    const value = length > CONTROL_REQUEST_BYTES_MAX ? undefined : decodeControl(bytes, start, end);
    if (value === undefined) {
      const expected = `message: expected at most ${CONTROL_REQUEST_BYTES_MAX} bytes of plain MessagePack`;
      return refuseControl(readControlId(bytes, start, end), MALFORMED, `${expected}, got ${length} that are not`);
    }
    const request = parseControlRequest(value);
    if ('ok' in request) return request;
    if (this.#outstanding === CONTROL_OUTSTANDING_MAX)
      return refuseControl(request.id, OVERLOADED, `requests: expected at most ${CONTROL_OUTSTANDING_MAX} at a time`);
    this.#outstanding++;
    this.#session ??= {
      nonce: randomBytes(RESUME_NONCE_BYTES).toString('hex').toUpperCase(),
      isProtected: this.#isProtected,
    };
    void this.#port.request(request, this.#session).then((reply) => {
      this.#outstanding--;
      this.#reply(reply);
    });
    return undefined;
  }

  #reply(reply: ControlReply): void {
    const payload = encodeControl(reply);
    const bytes = Buffer.allocUnsafe(STREAM_HEADER_BYTES + payload.length);
    bytes.writeUInt32BE(payload.length);
    bytes.set(payload, STREAM_HEADER_BYTES);
    this.#write(bytes);
  }
}
