/**
 * Claims of many channels, sound and otherwise, signed ahead: what a run sends, in order. Test's thread.
 *
 * A claim's sequence is its number in the plan, so every ack says which claim it is about.
 */

import { random } from '../../support/random.ts';
import { CLAIM_SIZE, ThrowawayChannel, withBadSignature } from '../../support/throwaway-claims.ts';

export const SOUND = 0;
export const FORGED = 1;
export const TOO_MUCH = 2;
export const STRANGE = 3;
export const NOTHING = 4;

/** Above every sound amount; a forged claim may ask for all of it. */
export const PLAN_CAPACITY = 1n << 40n;
/** In a hundred, by kind; the rest is sound and above the channel's last, but for the late ones. */
const FORGED_SHARE = 4;
const TOO_MUCH_SHARE = 2;
const STRANGE_SHARE = 2;
const NOTHING_SHARE = 1;
const LATE_SHARE = 3;
/** Handles no other case comes to. */
const FIRST_CHANNEL = 1n << 32n;

export class ClaimPlan {
  readonly channels: readonly ThrowawayChannel[];
  readonly claims: number;
  readonly kinds: Uint8Array;
  readonly amounts: BigUint64Array;
  readonly #stranger = new ThrowawayChannel(FIRST_CHANNEL - 1n);
  readonly #channels: Uint16Array;
  readonly #bytes: Uint8Array;

  constructor(claims: number, channels: number, seed: number) {
    this.claims = claims;
    this.channels = Array.from({ length: channels }, (_, index) => new ThrowawayChannel(FIRST_CHANNEL + BigInt(index)));
    this.kinds = new Uint8Array(claims);
    this.amounts = new BigUint64Array(claims);
    this.#channels = new Uint16Array(claims);
    this.#bytes = new Uint8Array(claims * CLAIM_SIZE);
    const from = random(seed);
    const last = new Array<bigint>(channels).fill(0n);
    for (let number = 0; number < claims; number++) {
      const channel = from.below(channels);
      this.#channels[number] = channel;
      const { kind, amount } = this.#draw(from.below(100), last[channel]!, BigInt(1 + from.below(1_000)));
      if (kind === SOUND && amount > last[channel]!) last[channel] = amount;
      this.#write(number, kind, amount);
    }
  }

  #draw(chance: number, last: bigint, step: bigint): { kind: number; amount: bigint } {
    let bound = FORGED_SHARE;
    if (chance < bound) return { kind: FORGED, amount: PLAN_CAPACITY - step };
    bound += TOO_MUCH_SHARE;
    if (chance < bound) return { kind: TOO_MUCH, amount: PLAN_CAPACITY + step };
    bound += STRANGE_SHARE;
    if (chance < bound) return { kind: STRANGE, amount: step };
    bound += NOTHING_SHARE;
    if (chance < bound) return { kind: NOTHING, amount: 0n };
    bound += LATE_SHARE;
    if (chance < bound && last > step) return { kind: SOUND, amount: last - step };
    return { kind: SOUND, amount: last + step };
  }

  #write(number: number, kind: number, amount: bigint): void {
    this.kinds[number] = kind;
    this.amounts[number] = amount;
    const channel = kind === STRANGE ? this.#stranger : this.channels[this.#channels[number]!]!;
    const offset = number * CLAIM_SIZE;
    channel.writeClaim(this.#bytes, offset, amount, { sequence: number, timestampBits: this.timestampBits(number) });
    if (kind === FORGED) this.#bytes.set(withBadSignature(this.#bytes.subarray(offset, offset + CLAIM_SIZE)), offset);
  }

  timestampBits(number: number): bigint {
    return 0x4278_0000_0000_0000n + BigInt(number) * 0x1_0001n;
  }
  /** Index of the channel a claim is of, or undefined for a stranger's and for a number that is no claim's. */
  channelOf(number: number): number | undefined {
    return number < this.claims && this.kinds[number] !== STRANGE ? this.#channels[number] : undefined;
  }
  channelId(number: number): bigint {
    const channel = this.channelOf(number);
    return (channel === undefined ? this.#stranger : this.channels[channel]!).channelId;
  }
  /** Claims `first` to `end`, back to back. */
  payload(first: number, end: number): Uint8Array {
    return this.#bytes.subarray(first * CLAIM_SIZE, end * CLAIM_SIZE);
  }
}
