/**
 * Channels of a group that an ordinary claim has to follow for: because the exposure of leaves is used up, because another node holds them,
 * or because their payer says so. Meanwhile no leaf of the channel is signed. Payer's thread.
 */
import { U64_MAX } from '../../../protocol/layout.ts';
import { ClaimwireError } from '../../errors.ts';
import type { Flow } from '../flow.ts';
import type { Inflight } from '../inflight.ts';
import { type ClaimAck, isUpTo } from '../waiter-queue.ts';
import { isAtLeast, readPair, writePair } from './amounts.ts';
import { WAITS } from './group-root.ts';
import type { Wave } from './wave.ts';
import type { Waves } from './waves.ts';

const U64_WORD_MAX = 0xffff_ffff;

export interface OrdinaryClaimsParts {
  readonly flows: readonly Flow[];
  readonly inflight: Inflight;
  readonly waves: Waves;
  readonly key: { sequence: number };
  /** Resolves when all that is claimed now is in the payer's state. */
  readonly kept: () => Promise<unknown>;
  /** Waves may have ended. */
  readonly changed: () => void;
}

export class OrdinaryClaims {
  readonly #parts: OrdinaryClaimsParts;
  /** By channel: the highest amount that a leaf may have, in pairs; and the claim that is on its way. */
  readonly #limits: Uint32Array;
  readonly #following = new Map<number, Promise<ClaimAck>>();

  constructor(parts: OrdinaryClaimsParts) {
    this.#parts = parts;
    this.#limits = new Uint32Array(2 * parts.flows.length).fill(U64_WORD_MAX);
    for (const index of parts.flows.keys()) this.#learnLimit(index);
  }

  /** Whether an amount may be a leaf. Where it may not, an ordinary claim follows. */
  takesLeaf(wave: Wave, index: number): boolean {
    if (this.#following.size > 0 && this.#following.has(index)) return false;
    const limits = this.#limits;
    if (isAtLeast(limits[2 * index]!, limits[2 * index + 1]!, wave.amounts, index)) return true;
    this.follow(index).catch(() => {});
    return false;
  }

  isFollowing(index: number): boolean {
    return this.#following.has(index);
  }

  /** Pays all that a channel claims by an ordinary claim. Rejects as PaymentChannel.cover; the waves that it was for fail the same way. */
  follow(index: number): Promise<ClaimAck> {
    const under = this.#following.get(index);
    if (under !== undefined) return under;
    this.#parts.waves.retract(index);
    const following = this.#pay(index).finally(() => {
      this.#following.delete(index);
      const { flows, key } = this.#parts;
      const { lastSequence } = flows[index]!;
      if (!isUpTo(lastSequence, key.sequence)) key.sequence = lastSequence;
      this.#learnLimit(index);
      this.#parts.changed();
    });
    this.#following.set(index, following);
    return following;
  }

  /** Does that where leaves have paid more than ordinary claims, and returns whether it did. */
  async cover(index: number): Promise<boolean> {
    await this.#following.get(index)?.catch(() => {});
    const { roots } = this.#parts.flows[index]!;
    if (readPair(this.#parts.waves.standing, index) <= roots!.ordinary) return false;
    await this.follow(index);
    return true;
  }

  /** Tells the channel's flow what leaves have paid. */
  read(index: number): void {
    const { waves, flows } = this.#parts;
    const flow = flows[index]!;
    flow.claimed = readPair(waves.claimed, index);
    flow.committed = readPair(waves.committed, index);
  }

  /** The same, so that its next ordinary claim comes after them. */
  adopt(index: number): void {
    this.read(index);
    const { waves, key, flows } = this.#parts;
    const flow = flows[index]!;
    const standing = readPair(waves.standing, index);
    if (standing <= flow.standing) return;
    flow.adoptLeaf(standing, isUpTo(flow.lastSequence, key.sequence) ? key.sequence : flow.lastSequence, 0, 0);
  }

  async #pay(index: number): Promise<ClaimAck> {
    const { inflight, waves, kept, flows } = this.#parts;
    const flow = flows[index]!;
    const fails = (wave: Wave) => (wave.flags[index]! & WAITS) !== 0;
    let ack: ClaimAck;
    try {
      do {
        const amount = readPair(waves.claimed, index);
        await kept();
        this.adopt(index);
        ack = await inflight.request(flow, amount, undefined, true);
        if (amount > readPair(waves.standing, index)) writePair(waves.standing, index, amount);
        // Waves that were gathered meanwhile went without the channel. A later one's leaf pays for them too.
      } while (waves.live.some(fails) && !waves.live.some((wave) => fails(wave) && wave.madeTo <= index));
    } catch (error) {
      const isRefused = error instanceof ClaimwireError && error.code === 'CLAIM_REFUSED';
      const isLower = flow.claimed < readPair(waves.claimed, index);
      for (const wave of waves.live) if (fails(wave)) waves.fail(wave, index, error as Error);
      if (isLower) waves.fallBack(index, !isRefused);
      throw error;
    }
    return ack;
  }

  #learnLimit(index: number): void {
    const { exposure, ordinary } = this.#parts.flows[index]!.roots!;
    if (exposure === undefined) return;
    let limit = ordinary + exposure;
    if (limit > U64_MAX) limit = U64_MAX;
    writePair(this.#limits, index, limit);
  }
}
