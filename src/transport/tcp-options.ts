/**
 * What a TCP listener can be told, the defaults and their reasons.
 */

import type { Clock } from '../system/system.ts';

/** Bounds of a listener. A node of several lanes has one listener, and these bounds, per lane. */
export interface TcpLimits {
  connectionsMax: number;
  connectionsPerAddressMax: number;
  writeQueueBytesMax: number;
  /** Over all connections together: the longest queues are cut. */
  writeQueuesBytesMax: number;
  helloMsMax: number;
  idleMsMax: number;
}

export const TCP_LIMITS: TcpLimits = {
  /**
   * With some 5 KB each when idle, 20 MB; the node's descriptors must cover it. At worst a connection holds a message
   * being gathered and what was read before its turn: 80 KiB, 320 MiB for a full table, write queues apart.
   */
  connectionsMax: 4_096,
  /** A quarter of the table, so that no single address (IPv6: no /64) takes all of it; a pool of 1,000 fits. */
  connectionsPerAddressMax: 1_024,
  /** 8,192 acks, one for every slot of the largest default ring, on top of what the kernel's buffers hold. */
  writeQueueBytesMax: 256 << 10,
  /** What 32 readers at their bounds may leave waiting. Many small queues are as much memory as a few large ones. */
  writeQueuesBytesMax: 8 << 20,
  /** From the connection's beginning to its first whole message, a TLS handshake included. */
  helloMsMax: 10_000,
  /** Between whole messages: a byte now and then is not activity. */
  idleMsMax: 60_000,
};

export interface TcpOptions {
  /** An address, port 0 picking one, or a bound stream socket made elsewhere (SO_REUSEPORT). */
  listen: { host: string; port: number } | { fd: number };
  /** PEM; with it every connection is TLS, 1.2 at the least. */
  tls?: { cert: string; key: string };
  limits?: Partial<TcpLimits>;
  /** Default the machine's. */
  clock?: Pick<Clock, 'monotonic'>;
}
