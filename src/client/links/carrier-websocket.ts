/** A WebSocket as a carrier: the browser's own, or that of the library `ws`. Payer's thread; no modules of Node. */
import { WEB_PROTOCOL } from '../../../protocol/web.ts';
import type { Carrier, ConnectCarrier } from './carrier.ts';

/** What is used of a WebSocket. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

const OPEN_MS_MAX = 10_000;

/**
 * @param open makes a WebSocket with this subprotocol, e.g. `(protocol) => new WebSocket('wss://node.example/', protocol)`
 */
export function webSocketCarrier(open: (protocol: string) => WebSocketLike): ConnectCarrier {
  return (events) =>
    new Promise<Carrier>((resolve, reject) => {
      const socket = open(WEB_PROTOCOL);
      socket.binaryType = 'arraybuffer';
      const timer = setTimeout(() => socket.close(), OPEN_MS_MAX);
      let fault = 'a connection that was refused';
      socket.onmessage = ({ data }: { data: unknown }) => {
        if (data instanceof ArrayBuffer) events.message(new Uint8Array(data));
      };
      socket.onerror = (event: { message?: string }) => {
        fault = event.message || fault;
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new Error(fault));
        events.closed();
      };
      socket.onopen = () => {
        clearTimeout(timer);
        resolve({
          get unsentBytes() {
            return socket.bufferedAmount;
          },
          send: (bytes) => socket.send(bytes),
          close: () => socket.close(),
        });
      };
    });
}
