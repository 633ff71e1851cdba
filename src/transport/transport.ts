/**
 * What a transport does for the thread that owns it (net thread or lane): the contract of dgram, the addon's UDP, and TCP.
 *
 * Outgoing packets come from the transport's bounded pool and return to it once sent. An empty pool means that the socket
 * is not keeping up; the caller then drops the ack and counts it.
 */
import { ACK_BYTES, ACKS_PER_DATAGRAM_MAX } from '../../protocol/layout.ts';
import type { HostPort } from '../host-port.ts';

/** A pooled outgoing datagram (or stream payload), in memory the transport owns. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes filled so far. */
  length: number;
}

/** A packet's memory: room for a datagram of acks. */
export const PACKET_BYTES = ACK_BYTES * ACKS_PER_DATAGRAM_MAX;

export function emptyPacket(): Packet {
  const bytes = new Uint8Array(PACKET_BYTES);
  return { bytes, view: new DataView(bytes.buffer), length: 0 };
}

/** Receives what arrives. */
export interface TransportSink {
  /**
   * Receives frames back to back, `length` bytes from `offset`: one datagram, or one stream payload. `view` is of the same
   * memory as `bytes`. Both are valid during the call only; `source` is five words as in ring/slot.ts.
   */
  payload(bytes: Uint8Array, view: DataView, offset: number, length: number, source: Uint32Array): void;
  /**
   * Receives the start of a train: datagrams of `segment` bytes back to back, the last shorter, each of as many bytes as so many claims.
   * Returns how many bytes it has taken, whole claims; the rest comes as payloads, of which the first may be the rest of a datagram.
   */
  train?(bytes: Uint8Array, offset: number, length: number, segment: number, source: Uint32Array): number;
  /** Called where payloads that follow were read just now, rather than at the activity that was told before. */
  read?(): void;
  /** Called after `read` where it is known: payloads that follow waited so many microseconds in their socket, 0..2^31 - 1. */
  waited?(us: number): void;
}

/** Receives from streams too: they ask for the room first, and are not read while there is none. */
export interface StreamSink extends TransportSink {
  /** How many claims there is room for now. */
  readonly room: number;
  /** How many claims can be in flight at a time: received and not decided. */
  readonly slots: number;
  /** The sequence of the next claim that is admitted, u32. */
  readonly next: number;
  /** Every claim before this sequence is decided, u32. */
  readonly committed: number;
}

export interface Transport {
  /** Where it is bound. */
  readonly address: HostPort;
  /** Bytes that the system's receive buffer may hold, as granted; 0 where the transport does not choose it. */
  readonly receiveBufferBytes: number;
  /**
   * What arrives is handed to the sink from now on. Called once, when the owner's steps are ready. `onActivity` is called
   * before payloads are handed in, so that the owner schedules a turn.
   */
  startReceiving(sink: StreamSink, onActivity: () => void): void;
  /** An empty packet, or undefined when all are being sent. */
  acquire(): Packet | undefined;
  /**
   * Sends an acquired packet, at the latest with the next `flush`, to the source (ring/slot.ts) in the five words at index
   * `at` of `words`.
   */
  send(packet: Packet, words: Uint32Array, at: number): void;
  /** Passes what was sent so far to the socket. Called once per turn. */
  flush(): void;
  /** Nothing more is handed to the sink; sending still works. */
  stopReceiving(): void;
  /** Resolves when everything sent has left and the socket is closed. */
  close(): Promise<void>;
}

/** Transport ids of a source (transport/source.ts): an ack leaves by the transport that its claim came by. */
export const TRANSPORT_UDP = 0;
export const TRANSPORT_TCP = 1;
export const TRANSPORT_LOCAL = 2;
export const TRANSPORT_WEB = 3;
