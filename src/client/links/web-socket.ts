/** Opens a WebSocket for a MessageLink. The class is handed in: a page's own, or that of the library `ws`. */
import { WEB_PROTOCOL } from '../../../protocol/web.ts';
import type { MessageEventLike, WebGlobals } from '../web-globals.ts';
import type { OpenMessageSocket } from './message-link.ts';

/** As many claims as a message over TCP has. */
export const WEB_SOCKET_CLAIMS_MAX = 45;

/** @param url `ws://HOST:PORT` or `wss://HOST:PORT` */
export function webSocketOpener(url: string, WebSocketClass: WebGlobals['WebSocket']): OpenMessageSocket {
  return ({ opened, message, closed }) => {
    const socket = new WebSocketClass(url, WEB_PROTOCOL);
    socket.binaryType = 'arraybuffer';
    socket.onopen = opened;
    socket.onmessage = ({ data }: MessageEventLike) => {
      // A text is no message of a node, which sends bytes alone.
      if (data instanceof ArrayBuffer) message(new Uint8Array(data));
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => closed(new Error(`the WebSocket to ${url} closed (${code} ${reason})`));
    return {
      get bufferedAmount() {
        return socket.bufferedAmount;
      },
      send: (bytes) => socket.send(bytes),
      close() {
        socket.onopen = null;
        socket.onmessage = null;
        socket.onclose = null;
        socket.close();
      },
    };
  };
}
