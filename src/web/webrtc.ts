/**
 * Peers by WebRTC: a message of a data channel, unordered and never sent again, is what a datagram is. Web process.
 *
 * All peers share one UDP port (ICE-UDP mux). An exception in a callback of the library would end the process, so none
 * may leave one.
 */
import type { DataChannel, IceUdpMuxListener, PeerConnection, RtcConfig } from 'node-datachannel';
import { WEB_PROTOCOL } from '../../protocol/web.ts';
import type { HostPort } from '../host-port.ts';
import type { DataChannelLibrary } from '../optional-libraries.ts';
import { MESSAGE_BYTES_MAX } from './limits.ts';
import type { Peer, PeerSocket } from './peer.ts';
import type { Peers } from './peers.ts';

/** The answer waits for the node's candidates this long: those of the host are there at once, a STUN server's later. */
const GATHER_MS_MAX = 3_000;
/** Of the offer's candidates, where the node is to try them. */
const CANDIDATES_MAX = 8;

export class WebRtcPeers {
  readonly #library: DataChannelLibrary;
  readonly #peers: Peers;
  readonly #config: RtcConfig;
  /** Holds the port, also while there is no peer. */
  readonly #listener: IceUdpMuxListener;
  readonly #reachesOut: boolean;

  /** Throws where the UDP port is taken. */
  constructor(library: DataChannelLibrary, peers: Peers, { host, port }: HostPort, iceServers: readonly string[]) {
    this.#library = library;
    this.#peers = peers;
    this.#reachesOut = iceServers.length > 0;
    const isAny = host === '0.0.0.0' || host === '::';
    this.#listener = new library.IceUdpMuxListener(port, ...(isAny ? [] : [host]));
    this.#config = {
      iceServers: [...iceServers],
      ...(isAny ? {} : { bindAddress: host }),
      enableIceUdpMux: true,
      portRangeBegin: port,
      portRangeEnd: port,
      maxMessageSize: MESSAGE_BYTES_MAX,
    };
  }

  /**
   * The answer to an offer, with all candidates; 'full' where there is no room for the peer, and 'unsound' where the
   * library cannot read the offer. Both are counted.
   */
  async answer(offer: string, address: string): Promise<string> {
    let connection: PeerConnection | undefined;
    const peer = this.#peers.admit('webrtc', address, () => connection?.close());
    if (peer === undefined) return 'full';
    try {
      connection = new this.#library.PeerConnection(WEB_PROTOCOL, this.#config);
      const opened = connection;
      opened.onDataChannel((channel) => safely(() => this.#begin(peer, opened, channel)));
      opened.onStateChange((state) => {
        if (state === 'closed' || state === 'failed' || state === 'disconnected') safely(() => peer.gone());
      });
      const gathered = new Promise<void>((resolve) => {
        opened.onGatheringStateChange((state) => state === 'complete' && resolve());
        setTimeout(resolve, GATHER_MS_MAX).unref();
      });
      opened.setRemoteDescription(this.#admissible(offer), 'offer');
      await gathered;
      const answer = opened.localDescription();
      if (answer?.type === 'answer' && !peer.isOver) {
        this.#peers.counts.offers++;
        return answer.sdp;
      }
    } catch {
      // What the library says of an unsound offer is of no use to who made it.
    }
    peer.cut('refusedOffer');
    return 'unsound';
  }

  close(): void {
    safely(() => this.#listener.stop());
  }

  #begin(peer: Peer, connection: PeerConnection, channel: DataChannel): void {
    if (channel.getProtocol() !== WEB_PROTOCOL) {
      peer.cut('cutUnsound');
      return;
    }
    channel.onClosed(() => safely(() => peer.gone()));
    channel.onError(() => safely(() => peer.gone()));
    channel.onMessage((message) =>
      safely(() => (typeof message === 'string' ? peer.cut('cutUnsound') : peer.message(bytesOf(message)))),
    );
    peer.open(peerSocket(connection, channel));
  }

  /**
   * Without its candidates: the node answers to where a peer's packets come from. Otherwise anybody could make it send
   * packets to any address. Where the node asks a STUN server itself, it has to reach out through its own NAT.
   */
  #admissible(offer: string): string {
    let left = this.#reachesOut ? CANDIDATES_MAX : 0;
    const isKept = (line: string) => !line.startsWith('a=candidate:') || left-- > 0;
    return offer.split(/\r?\n/).filter(isKept).join('\r\n');
  }
}

function bytesOf(message: Buffer | ArrayBuffer): Uint8Array {
  return message instanceof Uint8Array ? message : new Uint8Array(message);
}

function peerSocket(connection: PeerConnection, channel: DataChannel): PeerSocket {
  const close = () => safely(() => connection.close());
  return {
    get unsentBytes() {
      return channel.bufferedAmount();
    },
    send: (bytes) => safely(() => channel.sendMessageBinary(bytes)),
    end: close,
    cut: close,
  };
}

/** The library throws where a peer has gone meanwhile, and ends the process for what a callback throws. */
function safely(work: () => unknown): void {
  try {
    work();
  } catch {}
}
