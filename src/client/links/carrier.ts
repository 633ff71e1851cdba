/**
 * What carries messages like datagrams to a node that UDP does not reach: a WebSocket or a data channel. Payer's thread.
 *
 * A carrier that ends is connected anew, longer apart each time; what is sent meanwhile is lost like a datagram, and the
 * payer sends it again. No modules of Node, since browsers use it too.
 */
import { ClaimwireError } from '../../errors.ts';
import type { Clock } from '../clock.ts';
import type { DatagramSocket } from './datagram-socket.ts';

/** An open connection. */
export interface Carrier {
  /** Bytes that it has not sent yet. */
  readonly unsentBytes: number;
  /** Sends one message; the bytes are its own. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

export interface CarrierEvents {
  message(bytes: Uint8Array): void;
  /** Called once, when the carrier is of no use any more, whoever closed it. */
  closed(): void;
}

/** Resolves when it is open; rejects where it cannot be. */
export type ConnectCarrier = (events: CarrierEvents) => Promise<Carrier>;

/** A message is dropped while so much is unsent: it would only be late. */
const UNSENT_BYTES_MAX = 256 << 10;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 10_000;

export class CarrierSocket implements DatagramSocket {
  readonly peer: string;
  readonly #connect: ConnectCarrier;
  readonly #clock: Pick<Clock, 'after'>;
  readonly #random: () => number;
  #carrier: Carrier | undefined;
  #retryMs = RETRY_MS_MIN;
  #cancelRetry: (() => void) | undefined;
  #isClosed = false;
  #onMessage: (bytes: Uint8Array) => void = () => {};
  #onError: (error: Error) => void = () => {};
  #onOpen: () => void = () => {};

  private constructor(peer: string, connect: ConnectCarrier, clock: Pick<Clock, 'after'>, random: () => number) {
    this.peer = peer;
    this.#connect = connect;
    this.#clock = clock;
    this.#random = random;
  }

  /** Resolves when it is connected for the first time. Rejects with NODE_UNREACHABLE. */
  static async open(
    peer: string,
    connect: ConnectCarrier,
    clock: Pick<Clock, 'after'>,
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
    if (carrier !== undefined && carrier.unsentBytes <= UNSENT_BYTES_MAX)
      carrier.send(bytes.slice(offset, offset + length));
    sent();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#carrier?.close();
  }

  async #open(): Promise<void> {
    let isOver = false;
    const carrier = await this.#connect({
      message: (bytes) => this.#onMessage(bytes),
      closed: () => {
        if (isOver) return;
        isOver = true;
        this.#carrier = undefined;
        this.#retry(new Error('its end'));
      },
    });
    if (this.#isClosed || isOver) carrier.close();
    else this.#carrier = carrier;
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
