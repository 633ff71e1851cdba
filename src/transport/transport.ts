/**
 * What a transport does for the thread that owns it (net thread or lane): the contract behind which dgram, native batch
 * I/O and TCP are twins.
 *
 * Outgoing packets come from the transport's bounded pool and go back to it by themselves; an empty pool means the
 * socket is not keeping up, and the caller drops and counts.
 */
import type { HostPort } from '../host-port.ts';

/** A pooled outgoing datagram (or stream payload), in memory the transport owns. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes filled so far. */
  length: number;
}

/** Takes what arrives. */
export interface TransportSink {
  /**
   * Frames back to back: one datagram, or one stream payload. `length` bytes from `offset`; `view` is over the same
   * memory, index for index. Both are valid during the call only; `source` is five words as in ring/slot.ts.
   */
  payload(bytes: Uint8Array, view: DataView, offset: number, length: number, source: Uint32Array): void;
}

/** What a transport hands what arrives to. A stream asks for the room first, and is not read on while there is none. */
export interface StreamSink extends TransportSink {
  /** Claims that can be taken now without one being turned away for want of room. */
  readonly room: number;
  /** Claims that can be under way at a time: received and not decided. */
  readonly slots: number;
  /** Sequence of the next claim that is taken, u32. */
  readonly next: number;
  /** Every claim before this sequence is decided, u32. */
  readonly committed: number;
}

export interface Transport {
  /** Where it is bound. */
  readonly address: HostPort;
  /** Most the kernel may hold for us unread, in bytes, as the system granted it; 0 where that is not ours to say. */
  readonly receiveBufferBytes: number;
  /**
   * From here on what arrives is handed to the sink, and not before: its owner calls this once, when everything that
   * takes it is there. `onActivity` is called before payloads are handed in: the owner has a turn to take.
   */
  startReceiving(sink: StreamSink, onActivity: () => void): void;
  /** An empty packet, or undefined when all are on their way. */
  acquire(): Packet | undefined;
  /**
   * Takes the packet back and sends it, at the latest with the next `flush`. `source` as in ring/slot.ts: five words at
   * index `at` of `words`.
   */
  send(packet: Packet, words: Uint32Array, at: number): void;
  /** What was sent so far is on its way when it returns, or in the socket's own queue. Called once per turn. */
  flush(): void;
  /** Nothing more is handed to the sink; sending still works. */
  stopReceiving(): void;
  /** Resolves when everything sent is on its way and the socket is closed. */
  close(): Promise<void>;
}

/** What is in a source block's transport id (transport/source.ts): an ack leaves the way its claim came. */
export const TRANSPORT_UDP = 0;
export const TRANSPORT_TCP = 1;
