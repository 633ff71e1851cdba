/**
 * A page's link over one carrier: a WebSocket, or a WebRTC data channel. Payer's thread.
 *
 * Each message is what a datagram is: claims back to back. A carrier is connected when there is something to send, and
 * again after a pause when it was lost. What it may have lost is sent again, since amounts are cumulative.
 */
import { copyClaim } from '../../../protocol/claim.ts';
import type { ControlAnswer } from '../../../protocol/control.ts';
import { CLAIM_BYTES, CLAIM_CHANNEL_ID } from '../../../protocol/layout.ts';
import type { Clock } from '../clock.ts';
import type { Carrier, ConnectCarrier } from '../links/carrier.ts';
import { CarrierCalls } from '../links/carrier-calls.ts';
import type { LinkReceiver, LinkStats, PeerLink, RequestMaker } from '../links/peer-link.ts';

/** How a link differs from another one. */
export interface MessageLinkOptions {
  readonly transport: 'websocket' | 'webrtc';
  /** The other end, for messages. */
  readonly peer: string;
  readonly connect: ConnectCarrier;
  readonly claimsPerMessageMax: number;
  readonly clock: Clock;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** Unsent bytes beyond which claims wait at the payer, where a newer one of the channel replaces them: 700 claims. */
const UNSENT_BYTES_MAX = 64 << 10;
/** How soon it is looked at whether there is room again. Browsers do not tell that of a WebSocket. */
const ROOM_MS = 5;
/** Pause between attempts to connect, doubled each time: a node that restarts is found again within a second or two. */
const BACKOFF_MS_FIRST = 50;
const BACKOFF_MS_MAX = 2_000;
/**
 * A carrier whose node owes an answer is given up after so many timeouts of the payer, but not before two seconds, since a
 * slow sync is no reason to send everything again.
 */
const PATIENCE_RTOS = 4;
const PATIENCE_MS_MIN = 2_000;
/** The same for a request, which the node's main thread answers: it may be busy with an import. */
const REPLY_PATIENCE_MS = 5_000;

interface Connection {
  /** Undefined until it is open. */
  carrier: Carrier | undefined;
  /** By when the node must send something; 0 where nothing is due. */
  dueAt: number;
}

export class MessageLink implements PeerLink {
  readonly #options: MessageLinkOptions;
  /** Channels whose newest claim found no room, or no carrier. */
  readonly #held = new Set<bigint>();
  readonly #flush = (): void => {
    this.#flushScheduled = false;
    this.#sendBatch();
  };
  #receiver: LinkReceiver | undefined;
  #connection: Connection | undefined;
  #batch: { bytes: Uint8Array<ArrayBuffer>; view: DataView; claims: number } | undefined;
  #flushScheduled = false;
  #cancelRoom: (() => void) | undefined;
  #cancelDue: (() => void) | undefined;
  #cancelRetry: (() => void) | undefined;
  #failures = 0;
  #closed = false;
  readonly #calls: CarrierCalls;
  readonly #counts = { messagesSent: 0, opened: 0, openFailures: 0, lost: 0 };

  constructor(options: MessageLinkOptions) {
    this.#options = options;
    this.#calls = new CarrierCalls(options.clock, options.peer);
  }

  get peer(): string {
    return this.#options.peer;
  }

  listen(receiver: LinkReceiver): void {
    this.#receiver = receiver;
    // So that the first claim need not wait for a handshake.
    this.#connect();
  }

  /** Always true: no other payer shares the carrier. */
  open(): boolean {
    return true;
  }

  send(claims: DataView, offset: number): boolean {
    const connection = this.#connection;
    const channelId = claims.getBigUint64(offset + CLAIM_CHANNEL_ID);
    if (connection?.carrier === undefined) {
      this.#held.add(channelId);
      this.#connect();
      return false;
    }
    if (connection.carrier.unsentBytes >= UNSENT_BYTES_MAX) {
      this.#held.add(channelId);
      this.#awaitRoom();
      return false;
    }
    this.#held.delete(channelId);
    this.#batch ??= this.#newBatch();
    const batch = this.#batch;
    copyClaim(claims, offset, batch.view, batch.claims * CLAIM_BYTES);
    batch.claims += 1;
    if (batch.claims === this.#options.claimsPerMessageMax) this.#sendBatch();
    else if (!this.#flushScheduled) {
      this.#flushScheduled = true;
      this.#options.clock.afterInput(this.#flush);
    }
    this.#expect(connection, Math.max(PATIENCE_MS_MIN, PATIENCE_RTOS * this.#receiver!.rtt.rtoMs));
    return true;
  }

  ask(request: RequestMaker): Promise<ControlAnswer> {
    this.#connect();
    return this.#calls.ask(request);
  }

  stats(): LinkStats {
    const { transport } = this.#options;
    return { transport, transportSwitches: 0, datagramsSent: 0, messages: { ...this.#counts } };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#calls.close();
    this.#cancelRetry?.();
    if (this.#connection === undefined) return;
    this.#sendBatch();
    this.#end(this.#connection);
  }

  #connect(): void {
    if (this.#closed || this.#connection !== undefined || this.#cancelRetry !== undefined) return;
    const connection: Connection = { carrier: undefined, dueAt: 0 };
    this.#connection = connection;
    const isCurrent = () => this.#connection === connection;
    const events = {
      message: (bytes: Uint8Array) => {
        if (isCurrent()) this.#message(connection, bytes);
      },
      closed: () => {
        // Before it is open the promise is rejected as well, and with a reason.
        if (isCurrent() && connection.carrier !== undefined) this.#lost(connection, new Error('a lost connection'));
      },
    };
    this.#options.connect(events).then(
      (carrier) => {
        if (isCurrent()) this.#opened(connection, carrier);
        else carrier.close();
      },
      (error: Error) => {
        if (isCurrent()) this.#lost(connection, Object.assign(error, { code: 'CONNECT_FAILED' }));
      },
    );
  }

  #opened(connection: Connection, carrier: Carrier): void {
    connection.carrier = carrier;
    this.#counts.opened += 1;
    this.#calls.opened((payload) => {
      carrier.send(payload);
      this.#expect(connection, REPLY_PATIENCE_MS);
    });
    this.#sendHeld();
  }

  #message(connection: Connection, bytes: Uint8Array): void {
    connection.dueAt = 0;
    this.#failures = 0;
    if (!this.#calls.message(bytes)) this.#receiver!.message(bytes, 0, bytes.length);
  }

  /** There is no carrier, it ended, or its node does not answer. */
  #lost(connection: Connection, error: Error): void {
    if (connection.carrier === undefined) this.#counts.openFailures += 1;
    else this.#counts.lost += 1;
    const { clock, random } = this.#options;
    this.#end(connection);
    const pauseMs = Math.min(BACKOFF_MS_FIRST * 2 ** this.#failures, BACKOFF_MS_MAX) * (0.5 + random());
    this.#failures += 1;
    this.#cancelRetry = clock.after(Math.ceil(pauseMs), () => {
      this.#cancelRetry = undefined;
      // Whatever is unacknowledged is handed in again, which connects a carrier. Where nothing is, none is needed.
      this.#receiver!.resendAll();
      if (this.#calls.isWaiting) this.#connect();
    });
    this.#receiver!.fault(error);
  }

  #end(connection: Connection): void {
    this.#connection = undefined;
    this.#calls.lost();
    this.#batch = undefined;
    this.#held.clear();
    this.#cancelRoom?.();
    this.#cancelRoom = undefined;
    this.#cancelDue?.();
    this.#cancelDue = undefined;
    connection.carrier?.close();
  }

  #sendBatch(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    this.#counts.messagesSent += 1;
    this.#connection?.carrier?.send(batch.bytes.slice(0, batch.claims * CLAIM_BYTES));
  }

  #sendHeld(): void {
    for (const channelId of [...this.#held]) {
      const { unsentBytes = UNSENT_BYTES_MAX } = this.#connection?.carrier ?? {};
      if (unsentBytes >= UNSENT_BYTES_MAX) break;
      this.#held.delete(channelId);
      this.#receiver!.resend(channelId);
    }
    if (this.#held.size > 0) this.#awaitRoom();
  }

  #awaitRoom(): void {
    this.#cancelRoom ??= this.#options.clock.after(ROOM_MS, () => {
      this.#cancelRoom = undefined;
      if (this.#connection?.carrier !== undefined) this.#sendHeld();
    });
  }

  /** Something was sent, which the node must answer within `patienceMs`. */
  #expect(connection: Connection, patienceMs: number): void {
    if (connection.dueAt === 0) connection.dueAt = this.#options.clock.now() + patienceMs;
    this.#armDue(connection);
  }

  /** There is one timer at most, and it is checked when it fires, so that a message sets none. */
  #armDue(connection: Connection): void {
    const { clock } = this.#options;
    this.#cancelDue ??= clock.after(Math.max(1, Math.ceil(connection.dueAt - clock.now())), () => {
      // After a stall of this thread the messages that came meanwhile are read first.
      clock.afterInput(() => {
        if (this.#connection !== connection) return;
        this.#cancelDue = undefined;
        if (connection.dueAt === 0) return;
        if (connection.dueAt > clock.now()) this.#armDue(connection);
        else this.#lost(connection, new Error('no answer in time'));
      });
    });
  }

  #newBatch() {
    const bytes = new Uint8Array(this.#options.claimsPerMessageMax * CLAIM_BYTES);
    return { bytes, view: new DataView(bytes.buffer), claims: 0 };
  }
}
