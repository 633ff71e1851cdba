/** The options of a TCP listener, the defaults and their reasons. */
import type { HostPort } from '../host-port.ts';
import type { Clock } from '../system/system.ts';

/** Limits of a listener. In a node of several lanes, each lane has a listener with these limits. */
export interface TcpLimits {
  connectionsMax: number;
  connectionsPerAddressMax: number;
  writeQueueBytesMax: number;
  /** All connections together; those with the longest queues are cut. */
  writeQueuesBytesMax: number;
  helloMsMax: number;
  idleMsMax: number;
}

export const TCP_LIMITS: TcpLimits = {
  /**
   * 20 MB at some 5 KB for an idle connection; the limit on descriptors must allow it. A connection holds at most 80 KiB, a
   * message being gathered and what was read before its turn: 320 MiB for all, besides write queues.
   */
  connectionsMax: 4_096,
  /** A quarter of all, so that one address (IPv6: one /64) leaves room for others; a pool of 1,000 fits. */
  connectionsPerAddressMax: 1_024,
  /** 32,768 acks, one for every slot of the largest default ring, besides what the system's buffers hold. */
  writeQueueBytesMax: 1 << 20,
  /** The full queues of 32 connections. Many small queues use as much memory as a few large ones. */
  writeQueuesBytesMax: 32 << 20,
  /** From the connection's beginning to its first whole message, including a TLS handshake. */
  helloMsMax: 10_000,
  /** Between whole messages: single bytes are not activity. */
  idleMsMax: 60_000,
};

export interface TcpOptions {
  /** An address, where port 0 lets the system pick one, or the descriptor of a bound socket (SO_REUSEPORT). */
  listen: HostPort | { fd: number };
  /** PEM. With it every connection is TLS, version 1.2 or later. */
  tls?: { cert: string; key: string };
  limits?: Partial<TcpLimits>;
  /** Default the machine's. */
  clock?: Pick<Clock, 'monotonic'>;
}
