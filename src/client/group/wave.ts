/**
 * What a group is asked to pay at once: an amount of each channel, and which of them are still waited for. The memory of a wave is used
 * again by a later one. Payer's thread.
 */
import { MERKLE_LEAF_BYTES } from '../../../protocol/layout.ts';
import { type GroupRoot, SENT, WAITS, type WaveLeaves } from './group-root.ts';

export class Wave implements WaveLeaves {
  /** Cumulative, in pairs (amounts.ts). */
  readonly amounts: Uint32Array;
  readonly flags: Uint8Array;
  /** Channels of its leaves by their numbers, and the leaves as on the wire: of one root after the other. */
  readonly members: Uint32Array;
  readonly wire: Uint8Array;
  /** Signed, in the order of their channels. */
  readonly roots: GroupRoot[] = [];
  /** Channels given up, and why. */
  failures: { readonly index: number; readonly error: Error }[] = [];
  /** Channels that it pays, and those of them that are waited for. */
  claims = 0;
  left = 0;
  startedAt = 0;
  deadline = 0;
  isLive = false;
  /** Its roots are made up to this channel, and have so many leaves; they are signed up to that channel. */
  madeTo = 0;
  gathered = 0;
  signedTo = 0;
  /** What uses its memory besides: roots being made or signed. */
  users = 0;
  settle: (failure: Error | undefined) => void = () => {};

  /** @param channels of the group */
  constructor(channels: number) {
    this.amounts = new Uint32Array(2 * channels);
    this.flags = new Uint8Array(channels);
    this.members = new Uint32Array(channels);
    this.wire = new Uint8Array(channels * MERKLE_LEAF_BYTES);
  }

  get isFree(): boolean {
    return !this.isLive && this.users === 0;
  }

  /** Whether the leaf of a channel waits for an ack, and no newer wave has sent another. */
  isOpen(index: number, live: readonly Wave[]): boolean {
    if ((this.flags[index]! & WAITS) === 0) return false;
    for (let at = live.length - 1; at >= 0 && live[at] !== this; at--)
      if ((live[at]!.flags[index]! & SENT) !== 0) return false;
    return true;
  }

  /** The signed root that has the channel's leaf, if one has. */
  rootOf(index: number): GroupRoot | undefined {
    return this.roots.find(({ end }) => index < end);
  }
}
