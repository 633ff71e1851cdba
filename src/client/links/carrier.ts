/**
 * What carries messages like datagrams to a node that UDP does not reach: a WebSocket or a data channel. Payer's thread.
 *
 * A carrier that ends is connected anew, longer apart each time; what is sent meanwhile is lost like a datagram, and the
 * payer sends it again. No modules of Node, since browsers use it too.
 */
import type { ControlAnswer } from '../../../protocol/control.ts';
import { ClaimwireError } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import { CarrierCalls } from './carrier-calls.ts';
import type { DatagramSocket } from './datagram-socket.ts';
import type { RequestMaker } from './peer-link.ts';

/** An open connection. */
export interface Carrier {
  /** Bytes that it has not sent yet. */
  readonly unsentBytes: number;
  /** Sends one message; the bytes are its own. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

interface CarrierEvents {
  message(bytes: Uint8Array): void;
  /** Called once, when the carrier is of no use any more, whoever closed it. */
  closed(): void;
}

/** Resolves when it is open; rejects where it cannot be. */
export type ConnectCarrier = (events: CarrierEvents) => Promise<Carrier>;

/** A message is dropped while so much is unsent: it would only be late. */
const UNSENT_BYTES_MAX = 256 << 10;
/** A carrier that answers nothing for so long, while claims are sent, is replaced: a data channel itself notices after half a minute. */
const SILENCE_MS_MAX = 3_000;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 10_000;

export class CarrierSocket implements DatagramSocket {
  readonly #calls: CarrierCalls;
  readonly peer: string;
  readonly #connect: ConnectCarrier;
  readonly #clock: Pick<Clock, 'after' | 'now'>;
  readonly #random: () => number;
  #carrier: Carrier | undefined;
  #retryMs = RETRY_MS_MIN;
  #cancelRetry: (() => void) | undefined;
  #isClosed = false;
  /** When the first message since the node's last one was sent, or 0. */
  #unansweredSince = 0;
  /** Ends the carrier as if the other end had. */
  #drop: () => void = () => {};
  #onMessage: (bytes: Uint8Array) => void = () => {};
  #onError: (error: Error) => void = () => {};
  #onOpen: () => void = () => {};

  private constructor(
    peer: string,
    connect: ConnectCarrier,
    clock: Pick<Clock, 'after' | 'now'>,
    random: () => number,
  ) {
    this.peer = peer;
    this.#calls = new CarrierCalls(clock, peer);
    this.#connect = connect;
    this.#clock = clock;
    this.#random = random;
  }

  /** Resolves when it is connected for the first time. Rejects with NODE_UNREACHABLE. */
  static async open(
    peer: string,
    connect: ConnectCarrier,
    clock: Pick<Clock, 'after' | 'now'>,
    random: () => number,
  ): Promise<CarrierSocket> {
    const socket = new CarrierSocket(peer, connect, clock, random);
    try {
      await socket.#open();
      return socket;
    } catch (error) {
      throw unreachable(peer, error as Error);
    }
  }

  listen(onMessage: (bytes: Uint8Array) => void, onError: (error: Error) => void, onOpen: () => void): void {
    this.#onMessage = onMessage;
    this.#onError = onError;
    this.#onOpen = onOpen;
  }

  send(bytes: Uint8Array, offset: number, length: number, sent: (error?: Error | null) => void): void {
    const carrier = this.#carrier;
    if (carrier !== undefined) {
      if (carrier.unsentBytes <= UNSENT_BYTES_MAX) carrier.send(bytes.slice(offset, offset + length));
      const now = this.#clock.now();
      if (this.#unansweredSince === 0) this.#unansweredSince = now;
      else if (now - this.#unansweredSince > SILENCE_MS_MAX) this.#drop();
    }
    sent();
  }

  ask(request: RequestMaker): Promise<ControlAnswer> {
    return this.#calls.ask(request);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#calls.close();
    this.#cancelRetry?.();
    this.#carrier?.close();
  }

  async #open(): Promise<void> {
    let isOver = false;
    const closed = () => {
      if (isOver) return;
      isOver = true;
      // Before it was open, the attempt itself fails.
      if (this.#carrier === undefined) return;
      this.#carrier = undefined;
      this.#calls.lost();
      this.#retry(new Error('its end'));
    };
    const message = (bytes: Uint8Array) => {
      this.#unansweredSince = 0;
      if (!this.#calls.message(bytes)) this.#onMessage(bytes);
    };
    const carrier = await this.#connect({ message, closed });
    if (this.#isClosed) carrier.close();
    if (isOver) throw new Error('its end');
    this.#unansweredSince = 0;
    this.#carrier = carrier;
    if (!this.#isClosed) this.#calls.opened((payload) => carrier.send(payload));
    this.#drop = () => {
      closed();
      carrier.close();
    };
  }

  #retry(reason: Error): void {
    if (this.#isClosed) return;
    this.#onError(unreachable(this.peer, reason));
    const delayMs = this.#retryMs * (1 + this.#random());
    this.#retryMs = Math.min(RETRY_MS_MAX, 2 * this.#retryMs);
    this.#cancelRetry = this.#clock.after(delayMs, () => {
      this.#open().then(
        () => {
          this.#retryMs = RETRY_MS_MIN;
          if (this.#carrier !== undefined) this.#onOpen();
        },
        (error: Error) => this.#retry(error),
      );
    });
  }
}

function unreachable(peer: string, reason: Error): ClaimwireError {
  const message = `${peer}: expected a node that takes this transport, got ${reason.message}; check host, port and --web`;
  return new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause: reason });
}
