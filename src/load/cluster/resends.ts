/**
 * Claims that are sent once more because their channel's shard moved: of each channel the newest one, as amounts are cumulative.
 *
 * Generator thread. A channel gets here when a claim of it was answered MOVED, or when the map names another node while claims
 * of it have no answer. Its newest claim is signed again and sent to the node of the present deal, again and again, until
 * nothing of the channel waits: a node's answers MOVED are limited, and the node that gets a shard serves it a little later.
 */
import { CLAIM_SEQUENCE, CLAIM_TIMESTAMP } from '../../../protocol/layout.ts';
import { BATCH_CLAIMS_MAX } from '../batch.ts';
import type { LoadChannels } from '../channels.ts';
import type { LoadLink } from '../links/link.ts';
import type { Outstanding } from '../outstanding.ts';
import type { Recorder } from '../recorder.ts';
import type { SignedSource } from '../source.ts';
import type { Deal } from './deal.ts';

/** Between two sends of a channel. A planned move refuses its claims for some 0.2 s. */
export const AGAIN_MS = 50;
/** Milliseconds since 1970 at 0 of the generator's clock. */
const CLOCK_ORIGIN = performance.timeOrigin;

export interface ResendParts {
  channels: LoadChannels;
  outstanding: Outstanding;
  link: LoadLink;
  source: SignedSource;
  deal: Deal;
  perDatagram: number;
  /** Called for each answer MOVED. */
  onMoved: () => void;
}

export class Resends {
  recorder: Recorder;
  /** Claims handed to the link. */
  claims = 0;
  readonly #parts: ResendParts;
  /** When each channel's turn is, in the order of these times. */
  #due = new Map<number, number>();
  readonly #picked = new Uint32Array(BATCH_CLAIMS_MAX);
  /** The slots of a datagram. */
  readonly #slots: Uint32Array;

  constructor(parts: ResendParts, recorder: Recorder) {
    this.#parts = parts;
    this.recorder = recorder;
    this.#slots = new Uint32Array(parts.perDatagram);
  }

  /** A claim of the channel was answered MOVED: a newer map may come first. */
  moved(channel: number, now: number): void {
    this.#parts.onMoved();
    if (this.recorder.isMeasured(now)) this.recorder.counts.moved += 1;
    if (!this.#due.has(channel)) this.#due.set(channel, now + AGAIN_MS);
  }

  /** The channels have another node. What they wait for goes there now, before what others wait for. */
  redealt(channels: readonly number[]): void {
    const before = this.#due;
    this.#due = new Map();
    for (const channel of channels) if (this.#parts.outstanding.waiting(channel) >= 0) this.#due.set(channel, 0);
    for (const [channel, due] of before) if (!this.#due.has(channel)) this.#due.set(channel, due);
  }

  /** Sends what has its turn, a batch at most. The ring's first slots are free meanwhile. */
  send(now: number): void {
    if (this.#due.size === 0) return;
    const { outstanding, source, deal } = this.#parts;
    const picked = this.#picked;
    let count = 0;
    for (const [channel, due] of this.#due) {
      if (due > now || count === source.batchMax) break;
      this.#due.delete(channel);
      if (outstanding.waiting(channel) >= 0) picked[count++] = channel;
    }
    if (count === 0) return;
    // Those of one socket follow each other, and share datagrams.
    picked.subarray(0, count).sort((one, other) => deal.socketOf(one) - deal.socketOf(other));
    source.repeat(picked, count);
    for (let first = 0; first < count; ) first = this.#datagram(first, count, now);
    for (const channel of picked.subarray(0, count)) this.#due.set(channel, now + AGAIN_MS);
  }

  /** Sends a datagram of the claims from `first` on; one that its socket has no room for has its turn again. Returns the next. */
  #datagram(first: number, count: number, now: number): number {
    const { channels, outstanding, link, deal, perDatagram } = this.#parts;
    const { arena, ring } = channels;
    const socket = deal.socketOf(this.#picked[first]!);
    let end = first;
    for (; end < count && end < first + perDatagram; end++) {
      const channel = this.#picked[end]!;
      if (deal.socketOf(channel) !== socket) break;
      const slot = ring.slot(end);
      // An answer leads back to the channel's newest claim, of which this is a copy.
      arena.view.setUint32(slot + CLAIM_SEQUENCE, outstanding.waiting(channel) >>> 0);
      arena.view.setFloat64(slot + CLAIM_TIMESTAMP, CLOCK_ORIGIN + now);
      this.#slots[end - first] = slot;
    }
    if (!link.send(socket, this.#slots, end - first)) return end;
    this.claims += end - first;
    if (!this.recorder.isMeasured(now)) return end;
    this.recorder.counts.resent += end - first;
    this.recorder.counts.datagrams += 1;
    return end;
  }
}
