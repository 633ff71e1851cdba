/**
 * The contract between the generator and its sockets: claims leave from slots, acks come back to a sink.
 *
 * Generator thread. One link holds several sockets, all to the same peer: a node that shares its port among lanes
 * (SO_REUSEPORT) spreads sockets over them, not datagrams.
 */
import type { HostPort } from '../../host-port.ts';
import type { TransportSink } from '../../transport/transport.ts';
import type { Departures } from '../departures.ts';

/** A shorter sleep costs more than it saves. */
const SLEEP_US_MIN = 20;
const cell = new Int32Array(new SharedArrayBuffer(4));

export interface LoadLink {
  readonly name: 'native' | 'dgram' | 'tcp' | 'tls' | 'websocket' | 'webrtc';
  /** The address that a socket sends from. */
  local(socket: number): HostPort;
  /**
   * Copies a datagram (or stream payload) of `count` claims, which lie at the byte offsets `slots[0..count)` of the arena.
   * It leaves at the latest with the next `flush` that finds room. False where the socket's own queue is full: nothing was
   * copied, and the caller tries again later.
   */
  send(socket: number, slots: Uint32Array, count: number): boolean;
  /** The number of the departure of what `send` took last for that socket; -1 where the link does not note when it is. */
  departure(socket: number): number;
  flush(): void;
  /** Hands what has come in to the sink. Links of the event loop do so by themselves, between turns. */
  receive(): void;
  /** Sleeps until something may have come in, at most so long. The event loop stands still meanwhile. */
  wait(waitUs: number): void;
  /** How often a send or receive failed, and the system's word for the last of them. */
  readonly failures: number;
  readonly lastFailure: string | undefined;
  /** Messages with acks that the sockets had no room for; 0 where the system does not count them. */
  readonly drops: number;
  close(): Promise<void>;
}

/** The host is a literal address. */
export interface LinkOptions extends HostPort {
  sockets: number;
  /** Claims in the largest datagram. */
  perDatagram: number;
  /** Where a link that can notes when datagrams leave. */
  departures: Departures;
  sink: TransportSink;
}

/** What links of the event loop share: they know of no drops, and receive by themselves. */
export class EventLoopLink {
  readonly drops = 0;
  failures = 0;
  lastFailure: string | undefined;

  receive(): void {}
  departure(): number {
    return -1;
  }
  wait(waitUs: number): void {
    if (waitUs >= SLEEP_US_MIN) Atomics.wait(cell, 0, 0, waitUs / 1_000);
  }

  protected failed(error: Error): void {
    this.failures += 1;
    this.lastFailure = (error as NodeJS.ErrnoException).code ?? error.message;
  }
}
