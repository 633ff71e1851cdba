/**
 * What all cores could verify if they did nothing else: the kernel alone over claims in slots, as bench:verify measures it with two
 * threads. Main thread of the bench; the node's share of it is `path.shareOfVerify`.
 */
import { availableParallelism } from 'node:os';
import { createBackend } from '../../src/verify/select.ts';
import { KEY_CACHE_BYTES, SignedRing, VerdictSum } from '../verify/claims.ts';
import { measureThreads } from '../verify/threads.ts';

const WARM_SECONDS = 2;
/** Threads that measureThreads runs. */
const THREADS = 2;

/** Measures with tables of `keys` keys that are warm. They are signed and warmed once, by the first call. */
export class BothCores {
  readonly #keys: number;
  #signed: SignedRing | undefined;

  constructor(keys: number) {
    this.#keys = keys;
  }

  /** Signatures a second of all cores. */
  async perSecond(note: (line: string) => void): Promise<number> {
    if (this.#signed === undefined) {
      this.#signed = new SignedRing(new VerdictSum(), this.#keys, 0);
      const start = { cacheBytes: KEY_CACHE_BYTES, threads: 1, thread: 0 };
      const open = ({ arena, ring, table }: SignedRing) => createBackend('native', arena, ring, table, start);
      this.#signed.warm(open, this.#keys, WARM_SECONDS);
    }
    const { perSecond } = await measureThreads(this.#signed, note);
    return (perSecond / THREADS) * availableParallelism();
  }
}
