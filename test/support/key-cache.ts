/**
 * What the key-cache tests share: crowds of keys with their tuples, and a cache with two threads on it
 * (key-cache-worker.mjs). Test's thread; the arena is the cache's, tuples are shared with the threads as copies.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Arena } from '../../src/ring/arena.ts';
import { VERDICT_INVALID, VERDICT_VALID } from '../../src/ring/slot.ts';
import type { Kernel, KernelStats, TableKind } from '../../src/verify/kernel.ts';
import { backendBytes, createKernel } from '../../src/verify/select.ts';
import { ORDER, publicKey, scalar, sign, type Tuple } from './curve.ts';
import { random } from './random.ts';
import { type PackedTuples, packTuples } from './tuples.ts';

/** The smallest cache there is. */
const CACHE_BYTES = 1;
/** Two threads verify; the test's own looks on. */
export const WORKERS = 2;

export const from = random(4_711);
export const signer = () => (scalar(from.bytes(32)) % (ORDER - 1n)) + 1n;

/** A valid tuple, or one whose digest is another. */
export function tupleOf(privateKey: bigint, key: Uint8Array, isValid: boolean): Tuple {
  const digest = from.bytes(32);
  const signature = sign(digest, privateKey);
  if (!isValid) digest[from.below(32)]! ^= 1;
  return { digest, signature, key };
}

/** Tuples of `each` a key, valid and invalid ones in turn. */
export class Crowd {
  readonly tuples: Tuple[] = [];
  readonly each: number;
  constructor(keys: number, each: number) {
    this.each = each;
    for (let index = 0; index < keys; index++) {
      const privateKey = signer();
      const key = publicKey(privateKey);
      for (let turn = 0; turn < each; turn++) this.tuples.push(tupleOf(privateKey, key, turn % 2 === 0));
    }
  }
  /** Runs with each key's tuples in a call of its own. */
  get runs(): [number, number][] {
    return Array.from({ length: this.tuples.length / this.each }, (_, key) => [key * this.each, this.each]);
  }
  /** Verdicts of a run that are wrong. */
  wrong([first, count]: [number, number], verdicts: Uint8Array): number {
    let wrong = verdicts.length === count ? 0 : 1;
    for (let index = 0; index < count; index++) {
      const isValid = ((first + index) % this.each) % 2 === 0;
      if (verdicts[index] !== (isValid ? VERDICT_VALID : VERDICT_INVALID)) wrong++;
    }
    return wrong;
  }
}

export type Rounds = [number, number][][];
interface Outcome {
  wrong: number;
  /** What the counters rose by; bytes and bytesUsed as they are at the end. */
  rise: KernelStats;
  samples: KernelStats[];
}

/** A backend's cache: an arena, the test's own kernel on it, and two threads beside it. */
export class Cache {
  readonly arena: Arena;
  readonly kernel: Kernel;
  readonly #workers: Worker[];

  constructor(backend: 'native' | 'wasm') {
    const start = { cacheBytes: CACHE_BYTES, threads: WORKERS + 1 };
    const kernelBytes = backendBytes(backend, start);
    this.arena = Arena.create({ kernelBytes, rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 8 });
    this.kernel = createKernel(backend, this.arena, { ...start, thread: 0 })!;
    const { memory, plan } = this.arena;
    const file = new URL('./key-cache-worker.mjs', import.meta.url);
    this.#workers = Array.from({ length: WORKERS }, (_, index) => {
      const workerData = { backend, memory, shape: plan.shape, start: { ...start, thread: index + 1 } };
      return new Worker(file, { workerData });
    });
  }

  async ready(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => message(worker)));
  }
  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  /**
   * Lets the threads go through their rounds of runs, each round at the same time, and looks on.
   * @param kind of the tables that keys get at the end of a call; undefined: what they earn
   */
  async together(crowd: Crowd, rounds: [Rounds, Rounds], kind?: TableKind): Promise<Outcome> {
    const before = this.kernel.stats();
    const samples: KernelStats[] = [];
    const tuples = inSharedMemory(packTuples(crowd.tuples));
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const answers = Promise.all(
      this.#workers.map((worker, index) => {
        worker.postMessage({ tuples, gate, workers: WORKERS, rounds: rounds[index], kind });
        return message<Uint8Array[][]>(worker);
      }),
    );
    let isDone = false;
    void answers.finally(() => {
      isDone = true;
    });
    while (!isDone) {
      samples.push(this.kernel.stats());
      await sleep(1);
    }
    let wrong = 0;
    for (const [index, verdicts] of (await answers).entries())
      for (const [round, runs] of rounds[index]!.entries())
        for (const [at, run] of runs.entries()) wrong += crowd.wrong(run, verdicts[round]![at]!);
    return { wrong, samples, rise: risen(before, this.kernel.stats()) };
  }
}

function inSharedMemory(tuples: PackedTuples): PackedTuples {
  const shared = (bytes: Uint8Array) => {
    const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
    copy.set(bytes);
    return copy;
  };
  return { digests: shared(tuples.digests), signatures: shared(tuples.signatures), keys: shared(tuples.keys) };
}

function message<Answer>(worker: Worker): Promise<Answer> {
  return new Promise((done, fail) => {
    worker.once('message', done);
    worker.once('error', fail);
  });
}

const LEVELS = new Set(['bytes', 'bytesUsed']);
export function risen(before: KernelStats, after: KernelStats): KernelStats {
  const names = Object.keys(after) as (keyof KernelStats)[];
  return Object.fromEntries(
    names.map((name) => [name, after[name] - (LEVELS.has(name) ? 0 : before[name])]),
  ) as unknown as KernelStats;
}
export const lookups = ({ hitsHuge, hitsLarge, hitsSmall, hitsTiny, misses }: KernelStats) =>
  hitsHuge + hitsLarge + hitsSmall + hitsTiny + misses;
