/**
 * The control messages of one connection: checked, counted, passed on, answered. Runs in the listener's thread.
 *
 * Bounded three ways: a message's size, the requests that wait for an answer, and the messages read in a second, of one
 * connection here and of all of them in tcp-control-gate.ts. Over a rate nothing is dropped: the connection is not read on.
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
import { type Counters, counterIndex } from '../ring/counters.ts';
import type { ControlPort, ControlSession } from './control-port.ts';

const CONTROL = counterIndex('tcp.control');
const CONTROL_REFUSED = counterIndex('tcp.controlRefused');
const CONTROL_HELD = counterIndex('tcp.controlHeld');

export class ConnectionControl {
  readonly #port: ControlPort;
  readonly #counters: Counters;
  readonly #isProtected: boolean;
  readonly #write: (bytes: Uint8Array) => void;
  #session: ControlSession | undefined;
  #outstanding = 0;
  #left = CONTROL_PER_SECOND_MAX;

  /** @param write takes a message with its length before it; at any time, also after the connection's end */
  constructor(port: ControlPort, counters: Counters, isProtected: boolean, write: (bytes: Uint8Array) => void) {
    this.#port = port;
    this.#counters = counters;
    this.#isProtected = isProtected;
    this.#write = write;
  }

  /** Once a second: the rate begins anew. */
  refill(): void {
    this.#left = CONTROL_PER_SECOND_MAX;
  }

  /** The connection's own rate is used up. */
  get isSpent(): boolean {
    return this.#left === 0;
  }

  /** Counts a message that is not taken now. */
  held(): void {
    this.#counters.add(CONTROL_HELD, 1);
  }

  /** Takes the message in `bytes[start, end)`, after its type byte. The caller has seen that the rate is not used up. */
  take(bytes: Uint8Array, start: number, end: number): void {
    this.#left--;
    this.#counters.add(CONTROL, 1);
    const refusal = this.#passOn(bytes, start, end);
    if (refusal !== undefined) {
      this.#counters.add(CONTROL_REFUSED, 1);
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
