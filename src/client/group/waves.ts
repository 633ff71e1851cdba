/**
 * The amounts of a group's channels, and the waves under way: what is asked for, signed, and durable. Everything is in typed arrays, by
 * the channel's number in the group, so that an ack allocates nothing. Payer's thread.
 */
import { STATUS } from '../../../protocol/layout.ts';
import type { SendWindow } from '../send-window.ts';
import { addTo, type Drops, isAtLeast, raise, readPair, setPair } from './amounts.ts';
import { SENT, WAITS } from './group-root.ts';
import { Wave } from './wave.ts';

export class Waves {
  readonly channels: number;
  /** Highest amounts asked for and not refused; signed and not refused; and known to be durable. In pairs. */
  readonly claimed: Uint32Array;
  readonly standing: Uint32Array;
  readonly committed: Uint32Array;
  /** Oldest first. */
  readonly live: Wave[] = [];
  /** Leaves on their way that were acknowledged or given up since `takeGone`. */
  #gone = 0;
  readonly #memory: Wave[];
  readonly #window: SendWindow;

  constructor(channels: number, most: number, window: SendWindow) {
    this.channels = channels;
    this.claimed = new Uint32Array(2 * channels);
    this.standing = new Uint32Array(2 * channels);
    this.committed = new Uint32Array(2 * channels);
    this.#memory = Array.from({ length: most }, () => new Wave(channels));
    this.#window = window;
  }

  /** Room for one more, or undefined. */
  free(): Wave | undefined {
    return this.#memory.find(({ isFree }) => isFree);
  }

  /** Adds drops to what every channel claims. Returns the first channel whose sum is no u64, and then nothing has changed; else -1. */
  begin(wave: Wave, drops: Drops): number {
    const { amounts, flags } = wave;
    wave.claims = 0;
    for (let index = 0; index < this.channels; index++) {
      const [high, low] = [drops.high(index), drops.low(index)];
      if (!addTo(this.claimed, index, high, low, amounts)) return index;
      const pays = high !== 0 || low !== 0;
      flags[index] = pays ? WAITS : 0;
      if (pays) wave.claims += 1;
    }
    this.claimed.set(amounts);
    wave.left = wave.claims;
    wave.failures = [];
    wave.roots.length = 0;
    wave.madeTo = 0;
    wave.gathered = 0;
    wave.signedTo = 0;
    wave.isLive = true;
    this.live.push(wave);
    return -1;
  }

  /** So much of a channel is durable. */
  durable(index: number, high: number, low: number): void {
    const { claimed, committed, live } = this;
    // An ack could be forged: no more is believed than was asked for.
    const isAll = isAtLeast(high, low, claimed, index);
    const durableHigh = isAll ? claimed[2 * index]! : high;
    const durableLow = isAll ? claimed[2 * index + 1]! : low;
    if (isMore(durableHigh, durableLow, committed, index)) setPair(committed, index, durableHigh, durableLow);
    for (let at = 0; at < live.length; at++) {
      const wave = live[at]!;
      if (wave.flags[index] !== 0 && isAtLeast(high, low, wave.amounts, index)) this.#release(wave, index);
    }
  }

  /**
   * A refusal with this sequence, which is final for the leaves that its status concerns (as WaiterQueue.takeRefused): `error` makes the
   * error of each. Returns whether it concerned any.
   */
  refuse(
    index: number,
    status: number,
    sequence: number,
    high: number,
    low: number,
    error: (amount: bigint, startedAt: number) => Error,
  ): boolean {
    let concerns = false;
    for (const wave of this.live) {
      if ((wave.flags[index]! & SENT) === 0) continue;
      const sent = wave.rootOf(index)?.sequence;
      if (sent === undefined || ((sequence - sent) | 0) < 0) continue;
      const { amounts } = wave;
      const isUpTo = isAtLeast(high, low, amounts, index);
      const isEqual = amounts[2 * index] === high && amounts[2 * index + 1] === low;
      if (status === STATUS.OVER_CAPACITY && isUpTo) continue;
      if (status === STATUS.BAD_AMOUNT && !isEqual) continue;
      if ((status === STATUS.CHANNEL_CLOSED || status === STATUS.BAD_SIGNATURE) && !isUpTo) continue;
      this.fail(wave, index, error(readPair(amounts, index), wave.startedAt));
      concerns = true;
    }
    if (concerns) this.fallBack(index, false);
    return concerns;
  }

  /** Gives a channel of a wave up. */
  fail(wave: Wave, index: number, error: Error): void {
    wave.failures.push({ index, error });
    this.#release(wave, index);
  }

  /** After a failure: what is claimed is what somebody waits for yet, what is durable, and, where it stands, what was signed. */
  fallBack(index: number, stands: boolean): void {
    const { claimed, standing, committed } = this;
    setPair(claimed, index, committed[2 * index]!, committed[2 * index + 1]!);
    if (stands) raise(claimed, index, standing);
    for (const wave of this.live) if ((wave.flags[index]! & WAITS) !== 0) raise(claimed, index, wave.amounts);
    if (!stands && !isAtLeast(claimed[2 * index]!, claimed[2 * index + 1]!, standing, index))
      setPair(standing, index, claimed[2 * index]!, claimed[2 * index + 1]!);
  }

  /** A wave is no longer waited for: what it has on its way counts as gone. */
  end(wave: Wave): void {
    for (let index = 0; wave.left > 0 && index < this.channels; index++)
      if (wave.flags[index] !== 0) this.#release(wave, index);
    wave.isLive = false;
    this.live.splice(this.live.indexOf(wave), 1);
  }

  /** The channel's leaf of a wave was signed. */
  stand(wave: Wave, index: number): void {
    raise(this.standing, index, wave.amounts);
  }

  /** A leaf leaves, for the first time. */
  sent(wave: Wave, index: number): void {
    wave.flags[index] = WAITS | SENT;
    this.#window.used += 1;
  }

  /** The channel's leaves are not waited for any more, but an ordinary claim for as much. */
  retract(index: number): void {
    for (const wave of this.live) {
      if ((wave.flags[index]! & SENT) === 0) continue;
      wave.flags[index] = WAITS;
      this.#window.used -= 1;
      this.#gone += 1;
    }
  }

  /** Leaves that are on their way no more since it was called last. */
  takeGone(): number {
    const gone = this.#gone;
    this.#gone = 0;
    return gone;
  }

  #release(wave: Wave, index: number): void {
    if ((wave.flags[index]! & SENT) !== 0) {
      this.#window.used -= 1;
      this.#gone += 1;
    }
    wave.flags[index] = 0;
    wave.left -= 1;
  }
}

function isMore(high: number, low: number, words: Uint32Array, index: number): boolean {
  const other = words[2 * index]!;
  return high > other || (high === other && low > words[2 * index + 1]!);
}
