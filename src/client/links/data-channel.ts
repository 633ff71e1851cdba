/**
 * Opens a WebRTC data channel for a MessageLink: unordered and without retransmissions, since a newer claim replaces a lost
 * one. The offer goes to the node in one HTTP POST, and the answer comes back with all candidates inside. The classes are
 * handed in: a page's own, or those of a library.
 */
import { SDP_TYPE, WEB_PROTOCOL } from '../../../protocol/web.ts';
import type { DataChannelLike, IceServer, MessageEventLike, PeerConnectionLike } from '../web-globals.ts';
import type { MessageSocketEvents, OpenMessageSocket } from './message-link.ts';

/** 1,395 bytes: two packets of SCTP at most. */
export const DATA_CHANNEL_CLAIMS_MAX = 15;
/** Candidates that a STUN or TURN server has not answered with by then are left out. */
const GATHERING_MS_MAX = 1_500;
const SIGNALLING_MS_MAX = 5_000;
const ANSWER_CHARACTERS_MAX = 65_536;

export interface DataChannelParts {
  readonly PeerConnection: new (options: { iceServers: IceServer[] }) => PeerConnectionLike;
  readonly fetch: typeof fetch;
  readonly iceServers: IceServer[];
}

/** @param url where offers are posted, `http://HOST:PORT/rtc` */
export function dataChannelOpener(url: string, parts: DataChannelParts): OpenMessageSocket {
  return (events) => {
    const attempt = new Attempt(events);
    void attempt.connect(url, parts);
    return attempt;
  };
}

class Attempt {
  readonly #events: MessageSocketEvents;
  readonly #abort = new AbortController();
  #connection: PeerConnectionLike | undefined;
  #channel: DataChannelLike | undefined;
  #isOver = false;

  constructor(events: MessageSocketEvents) {
    this.#events = events;
  }

  get bufferedAmount(): number {
    return this.#channel?.bufferedAmount ?? 0;
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    // It throws where the channel closes just now; `onclose` follows.
    if (this.#channel?.readyState === 'open') this.#channel.send(bytes);
  }

  close(): void {
    this.#isOver = true;
    this.#abort.abort();
    this.#connection?.close();
  }

  async connect(url: string, { PeerConnection, fetch, iceServers }: DataChannelParts): Promise<void> {
    // So that no event comes before the opener has returned.
    await Promise.resolve();
    try {
      if (this.#isOver) return;
      const connection = new PeerConnection({ iceServers });
      this.#connection = connection;
      this.#listen(connection);
      await connection.setLocalDescription();
      await gathered(connection);
      const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(SIGNALLING_MS_MAX)]);
      const headers = { 'content-type': SDP_TYPE };
      const body = connection.localDescription!.sdp;
      const response = await fetch(url, { method: 'POST', headers, body, signal });
      const sdp = await response.text();
      if (!response.ok) throw new Error(`expected an answer to the offer, got ${response.status} ${sdp.slice(0, 200)}`);
      if (sdp.length > ANSWER_CHARACTERS_MAX) throw new Error(`expected an answer, got ${sdp.length} characters`);
      await connection.setRemoteDescription({ type: 'answer', sdp });
    } catch (error) {
      this.#closed(error as Error);
    }
  }

  #listen(connection: PeerConnectionLike): void {
    const options = { ordered: false, maxRetransmits: 0, protocol: WEB_PROTOCOL };
    const channel = connection.createDataChannel('claims', options);
    this.#channel = channel;
    channel.binaryType = 'arraybuffer';
    channel.onopen = () => {
      if (!this.#isOver) this.#events.opened();
    };
    channel.onmessage = ({ data }: MessageEventLike) => {
      if (!this.#isOver && data instanceof ArrayBuffer) this.#events.message(new Uint8Array(data));
    };
    channel.onclose = () => this.#closed(new Error('the data channel was closed'));
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === 'failed') this.#closed(new Error('no path of WebRTC gets through'));
    };
  }

  #closed(error: Error): void {
    if (this.#isOver) return;
    this.close();
    this.#events.closed(error);
  }
}

/** All candidates of the offer are known, or time is up. */
async function gathered(connection: PeerConnectionLike): Promise<void> {
  if (connection.iceGatheringState === 'complete') return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, GATHERING_MS_MAX);
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState !== 'complete') return;
      clearTimeout(timer);
      resolve();
    };
  });
}
