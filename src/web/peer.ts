/** One peer of a web process, whatever carries its messages. */
import { ACK_BYTES, PAYLOAD_CONTROL } from '../../protocol/layout.ts';
import { type ControlDesk, PeerControl } from './control.ts';
import type { WebCounterName, WebCounts } from './counters.ts';
import type { Feed, FeedSource } from './feed.ts';
import { unsentBytesMax, WAITING_BYTES_MAX, WAITING_OVERHEAD_BYTES, type WebLimits } from './limits.ts';

export type PeerKind = 'websocket' | 'webrtc';

/** What carries a peer's messages. */
export interface PeerSocket {
  /** Bytes of acks that it has not sent yet. */
  readonly unsentBytes: number;
  send(bytes: Uint8Array): void;
  /** Stops and resumes reading; absent where that cannot be. */
  pause?: (isPaused: boolean) => void;
  /** Ends it after what was sent. */
  end(): void;
  /** Ends it now. */
  cut(): void;
}

/** What a peer needs of the table it is in. */
export interface PeerHost {
  readonly limits: WebLimits;
  readonly counts: WebCounts;
  readonly peerCount: number;
  readonly control: ControlDesk;
  /** Milliseconds of the monotonic clock. */
  readonly now: number;
  remove(peer: Peer): void;
}

/** Where a peer is in the table. */
export interface PeerPlace {
  slot: number;
  generation: number;
  kind: PeerKind;
  address: string;
  feed: Feed;
}

export class Peer implements FeedSource {
  readonly place: PeerPlace;
  readonly waiting: Uint8Array[] = [];
  waitingBytes = 0;
  readonly #host: PeerHost;
  /** Undefined while it connects. */
  #socket: PeerSocket | undefined;
  readonly #onCut: () => void;
  #control: PeerControl | undefined;
  #hasSpoken = false;
  #spokeAt: number;
  #isPaused = false;
  #isReceiving = true;
  #isOver = false;

  /** @param onCut ends what is there before the socket */
  constructor(host: PeerHost, place: PeerPlace, onCut: () => void) {
    this.#host = host;
    this.place = place;
    this.#onCut = onCut;
    this.#spokeAt = host.now;
  }

  get slot(): number {
    return this.place.slot;
  }
  get generation(): number {
    return this.place.generation;
  }
  get isOver(): boolean {
    return this.#isOver;
  }

  /** It is connected. */
  open(socket: PeerSocket): void {
    if (this.#isOver || this.#socket !== undefined) {
      socket.cut();
      return;
    }
    this.#socket = socket;
    const { counts } = this.#host;
    counts.accepted++;
    counts[this.place.kind === 'webrtc' ? 'webrtcAccepted' : 'websocketAccepted']++;
  }

  // --- in ---

  /** Takes a message, in memory that stays as it is. */
  message(bytes: Uint8Array): void {
    if (this.#isOver || !this.#isReceiving) return;
    const { counts, now } = this.#host;
    this.#hasSpoken = true;
    this.#spokeAt = now;
    if (bytes[0] === PAYLOAD_CONTROL) {
      this.#control ??= new PeerControl(this.#host.control, (reply) => this.#reply(reply));
      this.#control.message(bytes, now);
      return;
    }
    const pause = this.#socket?.pause;
    if (pause === undefined && this.waitingBytes + bytes.length + WAITING_OVERHEAD_BYTES > WAITING_BYTES_MAX) {
      counts.messagesDropped++;
      return;
    }
    counts.messages++;
    this.place.feed.add(this, bytes);
    if (pause === undefined || this.#isPaused || this.waitingBytes <= WAITING_BYTES_MAX / 2) return;
    this.#isPaused = true;
    counts.paused++;
    pause(true);
  }

  /** What it sends from now on is dropped, and what waits is not sent on. */
  stopReceiving(): void {
    this.#isReceiving = false;
    this.place.feed.leave(this);
  }

  drained(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    // A peer that waits for the node is not silent.
    this.#spokeAt = this.#host.now;
    this.#socket?.pause?.(false);
  }

  // --- out ---

  /** Sends acks, or drops them where the peer does not read: a newer one covers them. */
  acks(bytes: Uint8Array): void {
    const { counts, peerCount } = this.#host;
    const socket = this.#socket;
    if (socket === undefined || this.#isOver) counts.acksGone += bytes.length / ACK_BYTES;
    else if (socket.unsentBytes > unsentBytesMax(peerCount)) counts.acksDropped += bytes.length / ACK_BYTES;
    else socket.send(bytes);
  }

  /** Sends a reply, or drops it where the peer does not read: it asks again. */
  #reply(bytes: Uint8Array): void {
    const { counts, peerCount } = this.#host;
    const socket = this.#socket;
    if (socket === undefined || this.#isOver || socket.unsentBytes > unsentBytesMax(peerCount)) counts.controlDropped++;
    else socket.send(bytes);
  }

  // --- end ---

  /** Called about once a second. */
  tick(): void {
    const { now, limits } = this.#host;
    const silentMs = now - this.#spokeAt;
    if (!this.#hasSpoken && silentMs > limits.helloMsMax) this.cut('cutSilent');
    else if (silentMs > limits.idleMsMax && !this.#isPaused) this.cut('cutIdle');
  }

  /** Ends it now, and counts the reason. */
  cut(reason: WebCounterName): void {
    if (this.#isOver) return;
    this.#host.counts[reason]++;
    this.gone();
  }

  /** Ends it after what was sent. */
  end(): void {
    if (this.#isOver) return;
    const socket = this.#socket;
    if (socket === undefined) this.gone();
    else {
      this.#leave();
      socket.end();
    }
  }

  /** It has ended, or ends now. */
  gone(): void {
    if (this.#isOver) return;
    this.#leave();
    if (this.#socket !== undefined) this.#socket.cut();
    else this.#onCut();
  }

  #leave(): void {
    this.#isOver = true;
    this.place.feed.leave(this);
    if (this.#socket !== undefined) {
      this.#host.counts.closed++;
      if (this.place.kind === 'websocket') this.#host.counts.websocketClosed++;
    }
    this.#host.remove(this);
  }
}
