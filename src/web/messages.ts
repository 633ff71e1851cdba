/** What the node and its web process tell each other. Plain data, which is serialized between the processes. */
import type { ControlReply, ControlRequest } from '../../protocol/control.ts';
import type { HostPort } from '../host-port.ts';
import type { WebCounts } from './counters.ts';
import type { WebLimits } from './limits.ts';

export interface WebSettings {
  listen: HostPort;
  tls: { cert: string; key: string } | undefined;
  /** Origins of pages that may connect, or `*`. */
  origins: readonly string[];
  webrtc: boolean;
  /** URLs, as `stun:HOST:PORT` or `turn:USER:PASSWORD@HOST:PORT`. */
  iceServers: readonly string[];
  /** Threads of the node that take claims. */
  rings: number;
  limits: Partial<WebLimits>;
}

/** A peer's request on its way to the node. */
export interface WebCall {
  call: number;
  request: ControlRequest;
  /** Of the peer's connection, 32 hex digits. */
  nonce: string;
}

export type ToWeb =
  | { event: 'start'; settings: WebSettings }
  /** Of some threads: each has taken so many bytes, and sends acks. */
  | { event: 'answers'; answers: { ring: number; taken: number; acks: Uint8Array }[] }
  /** To the request with this `call`. */
  | { event: 'reply'; call: number; reply: ControlReply }
  | { event: 'stopReceiving' }
  | { event: 'close' };

export type FromWeb =
  | { event: 'ready'; address: HostPort }
  /** Where nothing can listen, or a library is missing. */
  | { event: 'fault'; code: string; message: string }
  /** For some threads, in one message: each is a wake-up of two processes. */
  | { event: 'claims'; batches: { ring: number; batch: Uint8Array }[] }
  /** A peer's control message, of known form. */
  | ({ event: 'control' } & WebCall)
  /** On top of what was told before. */
  | { event: 'counts'; counts: Partial<WebCounts> };
