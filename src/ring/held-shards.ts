/**
 * Which shards of a cluster's channels this node does not hold, and the version of the map that says so. The main thread
 * writes; receiving and committing threads read, and only where a claim would be refused since its channel is not here.
 *
 * All zero, as an arena begins, means that every shard is held: a node without a cluster never writes. The bits and the
 * version are read together: the first word is odd while they change, and another one afterwards.
 */
import { SHARDS, shardOf } from '../../protocol/shard.ts';
import { type Arena, SHARD_BYTES } from './arena.ts';

const CHANGE = 0;
const VERSION_HIGH = 1;
const VERSION_LOW = 2;
/** When the database last confirmed the node's right to write, in milliseconds, and for how long that stands; 0 for ever. */
const CONFIRMED = 3;
const STANDS_MS = 4;
/** A bit for each shard, in its own line: 1 where another node holds it. */
const BITS = 32;

export class HeldShards {
  /** Of the last `isElsewhere`, in halves. */
  versionHigh = 0;
  versionLow = 0;
  readonly #ints: Int32Array;

  constructor(arena: Arena) {
    this.#ints = arena.ints.subarray(arena.plan.shards.offset >>> 2, (arena.plan.shards.offset + SHARD_BYTES) >>> 2);
  }

  /** Whether another node holds the shard of the channel with this handle; sets the version. Allocates nothing. */
  isElsewhere(channelHigh: number, channelLow: number): boolean {
    const ints = this.#ints;
    const shard = shardOf(channelHigh, channelLow);
    for (;;) {
      const change = Atomics.load(ints, CHANGE);
      const bits = Atomics.load(ints, BITS + (shard >>> 5));
      this.versionHigh = Atomics.load(ints, VERSION_HIGH) >>> 0;
      this.versionLow = Atomics.load(ints, VERSION_LOW) >>> 0;
      if ((change & 1) === 0 && Atomics.load(ints, CHANGE) === change) return ((bits >>> (shard & 31)) & 1) !== 0;
    }
  }

  /**
   * Whether the shards may have been given to others meanwhile, since the database has confirmed nothing for as long as they
   * wait; sets the version. What this node knows of its channels may be old then: it says nothing final of them.
   * @param nowMs by the monotonic clock
   */
  isInDoubt(nowMs: number): boolean {
    const ints = this.#ints;
    const standsMs = Atomics.load(ints, STANDS_MS);
    if (standsMs === 0) return false;
    this.versionHigh = Atomics.load(ints, VERSION_HIGH) >>> 0;
    this.versionLow = Atomics.load(ints, VERSION_LOW) >>> 0;
    // Both wrap around after 50 days, and their difference does not.
    return ((Math.floor(nowMs) | 0) - Atomics.load(ints, CONFIRMED)) >>> 0 >= standsMs;
  }

  /** Main thread: what was asked of the database at this time of the monotonic clock was confirmed, and stands for so long. */
  confirm(askedAtMs: number, standsMs: number): void {
    Atomics.store(this.#ints, CONFIRMED, Math.floor(askedAtMs) | 0);
    Atomics.store(this.#ints, STANDS_MS, standsMs);
  }

  /** Main thread: from now on exactly these shards are held, by the map of this version (a whole number to 2^53). */
  hold(shards: Iterable<number>, version: number): void {
    const bits = new Int32Array(SHARDS / 32).fill(-1);
    for (const shard of shards) bits[shard >>> 5]! &= ~(1 << (shard & 31));
    const ints = this.#ints;
    Atomics.add(ints, CHANGE, 1);
    bits.forEach((word, index) => {
      Atomics.store(ints, BITS + index, word);
    });
    Atomics.store(ints, VERSION_HIGH, Math.floor(version / 2 ** 32) | 0);
    Atomics.store(ints, VERSION_LOW, version | 0);
    Atomics.add(ints, CHANGE, 1);
  }
}
