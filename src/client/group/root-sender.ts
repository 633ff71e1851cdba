/**
 * Sends the frames of signed roots while the window has room, and those again whose leaves nobody has acknowledged in time. A frame of which
 * a newer wave has every leaf is not sent again. Payer's thread.
 */
import { MERKLE_BLOCK_LEAVES, MERKLE_FRAME_BYTES_MAX } from '../../../protocol/layout.ts';
import { writeFrame } from '../../../protocol/merkle-frame.ts';
import type { Clock } from '../clock.ts';
import type { PayerCounters } from '../counters.ts';
import type { PeerLink } from '../links/peer-link.ts';
import { BACKOFF_DOUBLINGS_ALIVE_MAX } from '../rto.ts';
import type { SendPath } from '../send-path.ts';
import { type GroupRoot, SENT, WAITS } from './group-root.ts';
import type { Wave } from './wave.ts';
import type { Waves } from './waves.ts';

/** How often it is looked whether something is due, of a timeout of retransmission and in milliseconds. */
const LOOKS = 1 / 4;
const LOOK_MS_MIN = 5;
const AGAIN_MAX = 255;

export interface RootSenderParts {
  readonly link: PeerLink;
  readonly path: SendPath;
  readonly clock: Clock;
  readonly random: () => number;
  readonly counters: PayerCounters;
  readonly waves: Waves;
  /** A wave may have run out of time. */
  readonly looked: (now: number) => void;
}

export class RootSender {
  readonly #parts: RootSenderParts;
  readonly #frame = new Uint8Array(MERKLE_FRAME_BYTES_MAX);
  /** Roots with frames that never left. */
  readonly #line: { readonly wave: Wave; readonly root: GroupRoot }[] = [];
  #cancel: (() => void) | undefined;

  constructor(parts: RootSenderParts) {
    this.#parts = parts;
  }

  add(wave: Wave, root: GroupRoot): void {
    this.#line.push({ wave, root });
    this.send();
    this.watch();
  }

  /** Sends as many frames as the window has room for. */
  send(): void {
    const { path, clock } = this.#parts;
    if (this.#line.length === 0) return;
    const now = clock.now();
    for (let first = this.#line[0]; first !== undefined; first = this.#line[0]) {
      const { wave, root } = first;
      for (; root.next < root.blocks && wave.isLive; root.next++) {
        const { used, limit } = path.window;
        if (used > 0 && used + MERKLE_BLOCK_LEAVES > limit) return;
        this.#sendBlock(wave, root, root.next, now);
      }
      this.#line.shift();
    }
  }

  /** Looks from now on, while a wave is under way, whether something was lost or takes too long. */
  watch(): void {
    if (this.#cancel !== undefined || this.#parts.waves.live.length === 0) return;
    const { clock, path } = this.#parts;
    this.#cancel = clock.after(Math.max(LOOK_MS_MIN, path.rtt.rtoMs * LOOKS), () => {
      // After a stall of this thread the acks that came meanwhile are read first.
      clock.afterInput(() => this.#look());
    });
  }

  /** What was sent may be lost. */
  sendAllAgain(): void {
    const now = this.#parts.clock.now();
    for (const wave of this.#parts.waves.live)
      for (const root of wave.roots)
        for (let block = 0; block < root.next; block++) this.#sendAgain(wave, root, block, now);
  }

  close(): void {
    this.#cancel?.();
    this.#line.length = 0;
  }

  #look(): void {
    this.#cancel = undefined;
    const { clock, path, waves, looked } = this.#parts;
    const now = clock.now();
    for (const wave of waves.live)
      for (const root of wave.roots)
        for (let block = 0; block < root.next; block++)
          if (now >= root.sentAt[block]! + path.rtt.delayMs(root.again[block]!, root.jitter[block]!))
            this.#sendAgain(wave, root, block, now);
    looked(now);
    this.send();
    this.watch();
  }

  #sendBlock(wave: Wave, root: GroupRoot, block: number, now: number): void {
    const { waves, counters } = this.#parts;
    const { members } = root;
    let leaves = 0;
    for (let at = root.startOf(block); at < root.endOf(block); at++) {
      const index = members[at]!;
      if (wave.flags[index] !== WAITS) continue;
      waves.sent(wave, index);
      leaves += 1;
    }
    if (leaves === 0) root.sentAt[block] = Number.POSITIVE_INFINITY;
    else if (this.#transmit(root, block, now)) counters.claimsSent += leaves;
  }

  #sendAgain(wave: Wave, root: GroupRoot, block: number, now: number): void {
    const { waves, counters, path } = this.#parts;
    const { members } = root;
    let leaves = 0;
    let waiting = 0;
    for (let at = root.startOf(block); at < root.endOf(block); at++) {
      const index = members[at]!;
      if ((wave.flags[index]! & SENT) === 0) continue;
      waiting += 1;
      if (wave.isOpen(index, waves.live)) leaves += 1;
    }
    if (waiting === 0) root.sentAt[block] = Number.POSITIVE_INFINITY;
    if (leaves === 0) return;
    const again = Math.min(root.again[block]! + 1, AGAIN_MAX);
    root.again[block] = path.progressAt > root.sentAt[block]! ? Math.min(again, BACKOFF_DOUBLINGS_ALIVE_MAX) : again;
    counters.retransmits += leaves;
    if (this.#transmit(root, block, now)) counters.claimsSent += leaves;
  }

  #transmit(root: GroupRoot, block: number, now: number): boolean {
    const { link, random } = this.#parts;
    root.sentAt[block] = now;
    root.jitter[block] = random();
    const size = writeFrame(root, block, this.#frame, 0);
    return link.sendFrame!(this.#frame, 0, size);
  }
}
