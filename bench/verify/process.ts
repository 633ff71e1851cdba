/**
 * bench:verify in a process of its own, since the kernel and the size of its cache are chosen once per process.
 *
 * `HotKeys` is the side that runs it, in the main process; when started as a program this file is the other side.
 * Between them: one `Start`, then 'measure' and `HotRates` as often as asked.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assert } from '../../src/errors.ts';
import type { VerifyBackend } from '../../src/verify/backend.ts';
import { NativeKernel } from '../../src/verify/native.ts';
import { createBackend } from '../../src/verify/select.ts';
import { KEY_CACHE_BYTES, median, REPEATS_MAX, SignedRing, VerdictSum } from './claims.ts';
import { peerPass, verifyBySecp256k1 } from './peers.ts';

const file = fileURLToPath(import.meta.url);
const ROUNDS = 5;
const PASS_CLAIMS = 8_192;
const PEER_CLAIMS = 512;
/** More than the tables of 10,000 keys take: 12 s were too few where memory is slow to come, and a part of the time is for building. */
const WARM_SECONDS = 40;
/** So that each of them is seen, earns a table, and gets it. */
const WARM_SECONDS_MANY = 15;
const MANY_KEYS = 50_000;

export interface HotRates {
  kernel: string;
  perSecond: number;
  peerPerSecond: number;
  /** Percent of the look-ups since the start that found a large table, and that found any. */
  largePercent: number;
  hitPercent: number;
  /** The rate of keys never seen, while others fill the cache; undefined where none were asked for. */
  coldPerSecond: number | undefined;
  verdicts: string;
}
/** What a process reports once: that it is ready, or why its kernel cannot run on this machine. */
type Start = { ready: true } | { unavailable: string };

interface Task {
  /** How many keys are hot. */
  keys: number;
  /** How many keys are seen once; other ones in each answer. */
  coldKeys: number;
  /** Default the node's. */
  cacheBytes?: number;
}

/** A process that verifies claims of hot keys, then of cold ones, with the kernel given or the best one. */
export class HotKeys {
  /** Why it cannot measure; set by `ready`. */
  unavailable: string | undefined;
  readonly #process: ChildProcess;

  constructor({ keys, coldKeys, cacheBytes = KEY_CACHE_BYTES }: Task, kernel?: string) {
    const cache = { CLAIMWIRE_BENCH_KEY_CACHE: String(cacheBytes) };
    const env = { ...process.env, ...cache, ...(kernel !== undefined && { CLAIMWIRE_KERNEL: kernel }) };
    this.#process = fork(file, [String(keys), String(coldKeys)], { env });
  }

  /** Resolves when its keys are hot. */
  async ready(): Promise<void> {
    const start = (await this.#answer()) as Start;
    if ('unavailable' in start) this.unavailable = start.unavailable;
  }

  async measure(): Promise<HotRates> {
    this.#process.send('measure');
    return (await this.#answer()) as HotRates;
  }

  stop(): void {
    if (this.#process.connected) this.#process.disconnect();
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) =>
        reject(new Error(`expected an answer of a process, got exit code ${code}`));
      this.#process.once('exit', onExit);
      this.#process.once('message', (message) => {
        this.#process.off('exit', onExit);
        resolve(message);
      });
    });
  }
}

function nativeBackend({ arena, ring, table }: SignedRing): VerifyBackend {
  return createBackend('native', arena, ring, table, { cacheBytes: KEY_CACHE_BYTES, threads: 1, thread: 0 });
}

class Bench {
  readonly #task: Task;
  readonly #kernel: NativeKernel;
  readonly #sum = new VerdictSum();
  readonly #signed: SignedRing;
  #answers = 0;

  constructor(task: Task, kernel: NativeKernel) {
    this.#task = task;
    this.#kernel = kernel;
    this.#signed = new SignedRing(this.#sum, task.keys, REPEATS_MAX * task.coldKeys);
    const seconds = task.keys > MANY_KEYS ? WARM_SECONDS_MANY : WARM_SECONDS;
    this.#signed.warm(nativeBackend, task.keys, seconds, () => {
      const { buildsLarge, buildsHuge } = kernel.stats();
      return buildsLarge + buildsHuge;
    });
  }

  rates(): HotRates {
    const own: number[] = [];
    const peer: number[] = [];
    const { keys, coldKeys } = this.#task;
    if (coldKeys > 0 && this.#answers > 0) this.#signed.signHot(keys);
    const backend = nativeBackend(this.#signed);
    this.#signed.settle(backend);
    const before = this.#kernel.stats();
    for (let round = 0; round < ROUNDS; round++) {
      own.push(this.#signed.pass(backend, backend.batchMax, PASS_CLAIMS));
      peer.push(peerPass(verifyBySecp256k1, this.#signed.sample(PEER_CLAIMS)));
    }
    const after = this.#kernel.stats();
    const large = after.hitsLarge - before.hitsLarge;
    const huge = after.hitsHuge - before.hitsHuge;
    const small = after.hitsSmall - before.hitsSmall + after.hitsTiny - before.hitsTiny;
    const lookUps = huge + large + small + after.misses - before.misses;
    return {
      kernel: this.#kernel.kernelName,
      perSecond: median(own),
      peerPerSecond: median(peer),
      largePercent: (100 * (large + huge)) / lookUps,
      hitPercent: (100 * (large + huge + small)) / lookUps,
      coldPerSecond: coldKeys > 0 ? this.#coldPerSecond() : undefined,
      verdicts: this.#sum.toString(),
    };
  }

  /** Measures cold keys in one pass, since afterwards they are known. */
  #coldPerSecond(): number {
    const { keys, coldKeys } = this.#task;
    assert(this.#answers < REPEATS_MAX, 'there are keys never seen left');
    this.#signed.signInOrder(coldKeys, keys + this.#answers++ * coldKeys);
    const backend = nativeBackend(this.#signed);
    return this.#signed.pass(backend, backend.batchMax, coldKeys);
  }
}

/** The kernel, or why the one asked for cannot run here. */
function startKernel(): NativeKernel | string {
  try {
    return new NativeKernel(KEY_CACHE_BYTES);
  } catch (error) {
    return (error as Error).message;
  }
}

function serve(task: Task): void {
  const kernel = startKernel();
  if (typeof kernel === 'string') {
    process.send!({ unavailable: kernel } satisfies Start);
    return;
  }
  const bench = new Bench(task, kernel);
  process.on('message', () => process.send!(bench.rates()));
  process.send!({ ready: true } satisfies Start);
}

if (process.argv[1] === file) serve({ keys: Number(process.argv[2]), coldKeys: Number(process.argv[3]) });
