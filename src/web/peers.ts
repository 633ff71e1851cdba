/** The table of a web process's peers: their shares of it, their time-outs, and their ways to the node's threads and back. */
import { randomInt } from 'node:crypto';
import { ACK_BYTES } from '../../protocol/layout.ts';
import { AddressCounts } from '../transport/tcp-admission.ts';
import { eachRecord } from '../transport/web-batch.ts';
import { ControlDesk } from './control.ts';
import type { WebCounts } from './counters.ts';
import { Feeds, type SendBatch } from './feed.ts';
import type { WebLimits } from './limits.ts';
import type { WebCall } from './messages.ts';
import { Peer, type PeerHost, type PeerKind } from './peer.ts';

export interface PeersOptions {
  limits: WebLimits;
  counts: WebCounts;
  /** Threads that take claims. */
  rings: number;
  /** Given batches as in transport/web-batch.ts for one of them. */
  send: SendBatch;
  /** Passes a control message to the node, which answers by `control.answer`. */
  ask: (call: WebCall) => void;
  /** Milliseconds of a monotonic clock. */
  clock: () => number;
}

export class Peers implements PeerHost {
  readonly limits: WebLimits;
  readonly counts: WebCounts;
  readonly control: ControlDesk;
  readonly #clock: () => number;
  readonly #feeds: Feeds;
  readonly #addresses: AddressCounts;
  /** By slot. */
  readonly #peers: (Peer | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  /** Begins anywhere, so that an ack for a peer of a process that ended meets none of this one. */
  #generation = randomInt(2 ** 32);
  #rtcCount = 0;
  peerCount = 0;
  #isReceiving = true;

  constructor({ limits, counts, rings, send, ask, clock }: PeersOptions) {
    this.control = new ControlDesk(counts, ask);
    this.limits = limits;
    this.counts = counts;
    this.#clock = clock;
    this.#addresses = new AddressCounts(limits.peersPerAddressMax);
    this.#feeds = new Feeds(rings, send);
  }

  get now(): number {
    return this.#clock();
  }

  /**
   * A peer that connects, or undefined where there is no room for it, which is counted.
   * @param onCut called when it is over before it has connected
   */
  admit(kind: PeerKind, address: string, onCut: () => void): Peer | undefined {
    const { peersMax, rtcPeersMax } = this.limits;
    if (!this.#isReceiving || this.peerCount >= peersMax || (kind === 'webrtc' && this.#rtcCount >= rtcPeersMax)) {
      this.counts.refusedFull++;
      return undefined;
    }
    if (!this.#addresses.add(address)) {
      this.counts.refusedAddress++;
      return undefined;
    }
    this.#generation = (this.#generation + 1) >>> 0;
    const slot = this.#freeSlots.pop() ?? this.#peers.length;
    const feed = this.#feeds.of(slot);
    const peer = new Peer(this, { slot, generation: this.#generation, kind, address, feed }, onCut);
    this.#peers[slot] = peer;
    this.peerCount++;
    if (kind === 'webrtc') this.#rtcCount++;
    return peer;
  }

  remove({ place: { slot, kind, address } }: Peer): void {
    this.#peers[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#addresses.release(address);
    this.peerCount--;
    if (kind === 'webrtc') this.#rtcCount--;
  }

  /** What thread `ring` has taken, and acks as in transport/web-batch.ts. */
  answers(ring: number, taken: number, acks: Uint8Array): void {
    this.#feeds.taken(ring, taken);
    eachRecord(acks, (slot, generation, start, end) => {
      const peer = this.#peers[slot];
      if (peer?.generation === generation) peer.acks(acks.subarray(start, end));
      else this.counts.acksGone += (end - start) / ACK_BYTES;
    });
  }

  tick(): void {
    for (const peer of this.#peers) peer?.tick();
  }

  /** Nothing more goes to the node; acks still leave. */
  stopReceiving(): void {
    this.#isReceiving = false;
    for (const peer of this.#peers) peer?.stopReceiving();
  }

  close(): void {
    this.stopReceiving();
    for (const peer of this.#peers) peer?.end();
  }
}
