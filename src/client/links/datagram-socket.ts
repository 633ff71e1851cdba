/** What a payer's UdpLink needs of a socket, without Node's modules. */
import type { PeerLink } from './peer-link.ts';

/** A socket with one peer: a UDP socket, or one of a test or simulator. */
export interface DatagramSocket {
  /** The other end, for messages, e.g. `127.0.0.1:9393`. */
  readonly peer: string;
  /**
   * Called once, by the payer. `onMessage` borrows the bytes for the call, by default all of them; `onError` gets errors that the socket survives,
   * such as that nothing listens at the peer. `onOpen` says that a connection was replaced: what it carried may be lost.
   */
  listen(
    onMessage: (bytes: Uint8Array, start?: number, end?: number) => void,
    onError: (error: Error) => void,
    onOpen: () => void,
  ): void;
  /** Sends one datagram; calls `sent` when the bytes may be written again. */
  send(bytes: Uint8Array, offset: number, length: number, sent: (error?: Error | null) => void): void;
  /** Asks the node, where the socket carries requests too. */
  ask?: PeerLink['ask'];
  /** Nothing is heard or sent any more. */
  close(): Promise<void>;
}
