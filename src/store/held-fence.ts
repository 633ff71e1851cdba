/**
 * The fence that a node holds, as each of its threads sees it: the name and the epoch stay for the node's life, `holding` rises
 * in shared words with each shard that the main thread gives away.
 *
 * While shards are handed over a write may be refused for a fence that this very node has just left behind. No claim of such
 * a shard can be in that write, since the main thread had the committers pass a fence before; so it is made again.
 */
import { ClaimwireError } from '../errors.ts';
import type { Fence } from './claim-database.ts';

const HOLDING_WORD = 0;
const CHANGES_WORD = 1;
const WORDS = 2;
/** How often a write looks whether a handover is over. */
const PAUSE_MS = 1;

/** A fence for other threads: plain data, and words that they share. */
export interface FenceStart {
  readonly node: string;
  readonly epoch: number;
  readonly words: SharedArrayBuffer;
}

export class HeldFence {
  readonly start: FenceStart;
  readonly #words: Int32Array;

  constructor(start: FenceStart) {
    this.start = start;
    this.#words = new Int32Array(start.words);
  }

  /** For the node that has just entered. */
  static of({ node, epoch, holding }: Fence): HeldFence {
    const held = new HeldFence({ node, epoch, words: new SharedArrayBuffer(WORDS * 4) });
    Atomics.store(held.#words, HOLDING_WORD, holding);
    return held;
  }

  get fence(): Fence {
    const { node, epoch } = this.start;
    return { node, epoch, holding: Atomics.load(this.#words, HOLDING_WORD) };
  }

  /** Makes a write under the fence; again, where the refusal is that of a fence left behind. */
  async write<T>(call: (fence: Fence) => Promise<T>): Promise<T> {
    for (;;) {
      while (this.#isChanging) await pause();
      const fence = this.fence;
      try {
        return await call(fence);
      } catch (error) {
        const isFenced = error instanceof ClaimwireError && error.code === 'STORE_FENCED';
        while (isFenced && this.#isChanging) await pause();
        if (!isFenced || this.fence.holding === fence.holding) throw error;
      }
    }
  }

  /** Main thread: makes a call that gives shards away; writes of all threads wait for its answer. */
  async change(call: (fence: Fence) => Promise<Fence>): Promise<void> {
    Atomics.add(this.#words, CHANGES_WORD, 1);
    try {
      const { holding } = await call(this.fence);
      Atomics.store(this.#words, HOLDING_WORD, holding);
    } finally {
      Atomics.sub(this.#words, CHANGES_WORD, 1);
    }
  }

  get #isChanging(): boolean {
    return Atomics.load(this.#words, CHANGES_WORD) > 0;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
