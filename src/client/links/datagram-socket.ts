/**
 * The payer's port to the network: a socket bound to one peer. UDP stands behind it (transport-udp.ts), or a test's
 * faulty one, or a simulator's.
 */
export interface DatagramSocket {
  /** The other end, for messages, e.g. `127.0.0.1:9393`. */
  readonly peer: string;
  /**
   * Called once, by the payer. `onMessage` borrows the bytes for the call; `onError` hears of faults the socket
   * survives (nothing listens at the peer).
   */
  listen(onMessage: (bytes: Uint8Array) => void, onError: (error: Error) => void): void;
  /** Sends one datagram; `sent` says when the bytes may be written again. */
  send(bytes: Uint8Array, offset: number, length: number, sent: (error?: Error | null) => void): void;
  /** Nothing is heard or sent any more. */
  close(): Promise<void>;
}
