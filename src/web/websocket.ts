/** Peers by WebSocket: a binary message is what a datagram is. Web process. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import { WEB_PROTOCOL } from '../../protocol/web.ts';
import type { WebSocketLibrary } from '../optional-libraries.ts';
import { MESSAGE_BYTES_MAX } from './limits.ts';
import type { PeerSocket } from './peer.ts';
import type { Peers } from './peers.ts';

/** RFC 6455: going away; a message of a kind that is not taken. */
const GOING_AWAY = 1001;
const UNSUPPORTED_DATA = 1003;

export class WebSocketPeers {
  readonly #server: WebSocketServer;
  readonly #peers: Peers;

  constructor({ WebSocketServer: Server }: WebSocketLibrary, peers: Peers) {
    this.#peers = peers;
    this.#server = new Server({
      noServer: true,
      clientTracking: false,
      maxPayload: MESSAGE_BYTES_MAX,
      // A compressed message of a few bytes may become a large one, and claims do not compress.
      perMessageDeflate: false,
      // Signatures of claims are what is checked; a text is not taken at all.
      skipUTF8Validation: true,
      handleProtocols: (offered) => (offered.has(WEB_PROTOCOL) ? WEB_PROTOCOL : false),
    });
  }

  /** Answers a sound request to upgrade. False where there is no room: the caller then refuses it. */
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): boolean {
    const peer = this.#peers.admit('websocket', request.socket.remoteAddress ?? '', () => stream.destroy());
    if (peer === undefined) return false;
    stream.once('close', () => peer.gone());
    this.#server.handleUpgrade(request, stream, head, (socket) => {
      socket.binaryType = 'nodebuffer';
      socket.on('error', () => peer.cut('cutUnsound'));
      socket.on('close', () => peer.gone());
      socket.on('message', (data, isBinary) => {
        if (isBinary) peer.message(data as Buffer);
        else {
          socket.close(UNSUPPORTED_DATA);
          peer.cut('cutUnsound');
        }
      });
      peer.open(peerSocket(socket));
    });
    return true;
  }
}

function peerSocket(socket: WebSocket): PeerSocket {
  return {
    get unsentBytes() {
      return socket.bufferedAmount;
    },
    send: (bytes) => socket.send(bytes),
    pause: (isPaused) => (isPaused ? socket.pause() : socket.resume()),
    end: () => {
      socket.resume();
      socket.close(GOING_AWAY);
    },
    cut: () => socket.terminate(),
  };
}
