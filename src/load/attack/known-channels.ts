/**
 * Channels for attacks that name channels: throw-away ones, whose keys the run has, or those that a node has anyway.
 *
 * Attack's thread.
 */
import { CLAIM_AMOUNT, CLAIM_BYTES, CLAIM_CHANNEL_ID, FRAME_CLAIM } from '../../../protocol/layout.ts';
import { assert, ClaimwireError } from '../../errors.ts';
import type { AdminClient } from '../../http/client.ts';
import { SLOT_ROW } from '../../ring/slot.ts';
import type { LoadChannels } from '../channels.ts';
import { KernelSigner } from '../signer.ts';
import type { KnownChannels } from './datagrams.ts';

/** How far above what is committed forged amounts lie: no run's well signed claims come so far. */
const FORGED_ABOVE = 2 ** 40;

/** Throw-away channels of the run, open at the node. */
export class ThrowawayKnown implements KnownChannels {
  readonly count: number;
  readonly #channels: LoadChannels;
  readonly #signer: KernelSigner;

  constructor(channels: LoadChannels, seed: number, keys: number) {
    this.#channels = channels;
    this.count = channels.count;
    this.#signer = new KernelSigner(seed, keys, channels);
  }

  handleHigh(channel: number): number {
    return this.#channels.handleHigh(channel);
  }
  handleLow(channel: number): number {
    return this.#channels.handleLow(channel);
  }
  nextAmount(channel: number): number {
    const amount = this.#channels.signed(channel) + 1;
    this.#channels.setSigned(channel, amount);
    return amount;
  }
  forgedAmount(channel: number): number {
    return this.#channels.signed(channel) + FORGED_ABOVE;
  }
  /** What is acknowledged: the run commits it before it begins. */
  committed(channel: number): number {
    return this.#channels.acknowledged(channel);
  }

  sign(channels: readonly number[], amounts: readonly number[], out: (claim: Uint8Array, index: number) => void): void {
    const { arena, ring } = this.#channels;
    const { view, words, bytes } = arena;
    const most = this.#signer.batchMax;
    for (let first = 0; first < channels.length; first += most) {
      const count = Math.min(most, channels.length - first);
      for (let index = 0; index < count; index++) {
        const slot = ring.slot(index);
        const channel = channels[first + index]!;
        const amount = amounts[first + index]!;
        bytes.fill(0, slot, slot + CLAIM_BYTES);
        view.setUint8(slot, FRAME_CLAIM);
        view.setUint32(slot + CLAIM_CHANNEL_ID, this.handleHigh(channel));
        view.setUint32(slot + CLAIM_CHANNEL_ID + 4, this.handleLow(channel));
        view.setUint32(slot + CLAIM_AMOUNT, Math.floor(amount / 2 ** 32));
        view.setUint32(slot + CLAIM_AMOUNT + 4, amount >>> 0);
        words[(slot + SLOT_ROW) >>> 2] = channel;
      }
      this.#signer.sign(count);
      for (let index = 0; index < count; index++) {
        const slot = ring.slot(index);
        out(bytes.subarray(slot, slot + CLAIM_BYTES), first + index);
      }
    }
  }
}

/** Open channels of the node, whose keys nobody here has. */
export class NodeKnown implements KnownChannels {
  readonly #handles: readonly bigint[];
  readonly #amounts: readonly number[];

  private constructor(handles: readonly bigint[], amounts: readonly number[]) {
    this.#handles = handles;
    this.#amounts = amounts;
  }

  /** At most `most` of them. Throws INPUT_INVALID where there is none. */
  static async read(admin: Pick<AdminClient, 'channels'>, most: number): Promise<NodeKnown> {
    const handles: bigint[] = [];
    const amounts: number[] = [];
    for await (const { channelId, committed, capacity } of admin.channels('open')) {
      if (handles.length === most) break;
      if (BigInt(capacity) <= BigInt(committed)) continue;
      handles.push(BigInt(channelId));
      amounts.push(Number(capacity));
    }
    if (handles.length === 0)
      throw new ClaimwireError(
        'INPUT_INVALID',
        'channels: expected a node with open channels, got none; open some first',
      );
    return new NodeKnown(handles, amounts);
  }

  get count(): number {
    return this.#handles.length;
  }
  handleHigh(channel: number): number {
    return Number(this.#handles[channel]! >> 32n);
  }
  handleLow(channel: number): number {
    return Number(this.#handles[channel]! & 0xffff_ffffn);
  }
  nextAmount(channel: number): number {
    return this.#amounts[channel]!;
  }
  forgedAmount(channel: number): number {
    return this.#amounts[channel]!;
  }
  committed(): number {
    return 0;
  }
  sign(): void {
    assert(false, 'nothing is signed for channels of others');
  }
}
