/**
 * What a datagram transport does for the net thread: the contract behind which dgram and native batch I/O are twins.
 *
 * Outgoing packets come from the transport's bounded pool and go back to it by themselves; an empty pool means the
 * socket is not keeping up, and the caller drops and counts.
 */

/** A pooled outgoing datagram, in memory the transport owns. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes filled so far. */
  length: number;
}

/** Takes what arrives. `bytes` is valid during the call only; `source` is five words as in ring/slot.ts. */
export interface DatagramSink {
  datagram(bytes: Uint8Array, length: number, source: Uint32Array): void;
}

export interface DatagramTransport {
  /** Bound address as `H:P`. */
  readonly address: string;
  /** Most datagrams the kernel may hold for us, in bytes, as the system granted it. */
  readonly receiveBufferBytes: number;
  /** An empty packet, or undefined when all are on their way. */
  acquire(): Packet | undefined;
  /** Sends and takes the packet back. `source` as in ring/slot.ts: five words at index `at` of `words`. */
  send(packet: Packet, words: Uint32Array, at: number): void;
  /** Nothing more is handed to the sink; sending still works. */
  stopReceiving(): void;
  /** Resolves when everything sent is on its way and the socket is closed. */
  close(): Promise<void>;
}
