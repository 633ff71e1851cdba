/**
 * bench:verify: signatures a second of every backend on claims in ring slots, digest included, beside libsecp256k1.
 *
 * Claims come in calls as large as a lane's under load, unless said. Rates are per second of processor time (claims.ts), those of two
 * threads per second of wall time. This process measures 1,000 hot keys, batch sizes, cold keys, latency, wasm, noble, two threads and
 * forced collisions; other processes measure the kernels that are not this CPU's best and other numbers of keys. A peer's figure is its
 * verify call alone, given digest, signature and key; ours includes taking claims from the ring, finding the channel, hashing and
 * writing the verdict. Both judge the same claims in turns.
 */
import type { BackendName, VerifyBackend } from '../../src/verify/backend.ts';
import type { KernelStart } from '../../src/verify/kernel.ts';
import { NativeKernel } from '../../src/verify/native.ts';
import { backendBytes, createBackend } from '../../src/verify/select.ts';
import { type BenchContext, type BenchOptions, type Figures, runBench } from '../harness.ts';
import { hasAddon, KEY_CACHE_BYTES, median, REPEATS_MAX, SignedRing, VerdictSum } from './claims.ts';
import { measureCollisions } from './collisions.ts';
import { peerPass, peerVersions, verifyBySecp256k1, verifyByTinySecp256k1 } from './peers.ts';
import { HotKeys } from './process.ts';
import { measureThreads } from './threads.ts';

const HOT_KEYS = 1_000;
/** Numbers of keys that have a process of their own: few get larger tables, which would stay among those of HOT_KEYS. */
const OTHER_KEYS = [1, 100, 10_000, 100_000];
/** With so many keys, ones never seen find the cache full. */
const CACHE_FILLED = 100_000;
const BATCHES = [1, 8, 32, 64, 128, 256];
const OTHER_KERNELS = ['scalar', 'avx2', 'avx512f'];
/** How many keys are seen once in each repeat; every repeat has its own. */
const COLD_KEYS = 4_096;
/** CACHE_FILLED keys are measured in a cache that their tables fill. */
const FILLED = { coldKeys: COLD_KEYS, cacheBytes: 2 ** 30 };
const ROUNDS = 7;
const ROUNDS_QUICK = 5;
const WARM_SECONDS = 5;
const NATIVE_CLAIMS = 8_192;
const WASM_CLAIMS = 2_048;
const NOBLE_CLAIMS = 64;
const SECP256K1_CLAIMS = 512;
const TINY_CLAIMS = 128;
const START: KernelStart = { cacheBytes: KEY_CACHE_BYTES, threads: 1, thread: 0 };

function backendOf(name: BackendName): (signed: SignedRing) => VerifyBackend {
  return ({ arena, ring, table }) => createBackend(name, arena, ring, table, START);
}

/** The medians of `rounds` rounds, each of which runs every measurement once. */
function inTurns(rounds: number, ...measurements: (() => number)[]): number[] {
  const results = measurements.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [index, measure] of measurements.entries()) results[index]!.push(measure());
  return results.map(median);
}

class VerifyBench {
  readonly sum = new VerdictSum();
  readonly #rounds: number;
  readonly #native: SignedRing;
  readonly #wasm: SignedRing;
  readonly #wasmBackend: VerifyBackend;
  readonly #processes = new Map<string, HotKeys>();

  constructor(isQuick: boolean) {
    this.#rounds = isQuick ? ROUNDS_QUICK : ROUNDS;
    if (hasAddon) {
      for (const keys of OTHER_KEYS)
        this.#processes.set(`${keys}`, new HotKeys({ keys, ...(keys < CACHE_FILLED ? { coldKeys: 0 } : FILLED) }));
      for (const kernel of OTHER_KERNELS)
        this.#processes.set(kernel, new HotKeys({ keys: HOT_KEYS, coldKeys: 0 }, kernel));
    }
    this.#wasm = new SignedRing(this.sum, HOT_KEYS, 0, backendBytes('wasm', START));
    const wasm = backendOf('wasm')(this.#wasm);
    this.#wasmBackend = this.#wasm.warm(() => wasm, HOT_KEYS, WARM_SECONDS);
    this.#native = new SignedRing(this.sum, HOT_KEYS, hasAddon ? REPEATS_MAX * COLD_KEYS : 0);
  }

  /** Until the other processes' keys are hot too. */
  async ready(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((process) => process.ready()));
  }

  async measure({ repeat, note }: BenchContext): Promise<Figures> {
    const figures = hasAddon ? await this.#measureNative(repeat, note) : {};
    return { ...figures, ...this.#measurePortable() };
  }

  stop(): void {
    for (const process of this.#processes.values()) process.stop();
  }

  async #measureNative(repeat: number, note: (line: string) => void): Promise<Figures> {
    const hot = this.#measureHot();
    const threads = await measureThreads(this.#native, note);
    const collisions = measureCollisions(new NativeKernel(KEY_CACHE_BYTES), this.#native.sample(NATIVE_CLAIMS), note);
    const others = await this.#measureOtherKeys(note);
    const warm = hot[`verify.native.perSecond.${HOT_KEYS}`]!;
    return {
      ...hot,
      ...others,
      'verify.tenThousandKeysRatio': others['verify.native.perSecond.10000']! / warm,
      'verify.hundredThousandKeysRatio': others['verify.native.perSecond.100000']! / warm,
      'verify.coldVsWarm': others['verify.native.coldPerSecond']! / warm,
      ...(await this.#measureOtherKernels(note)),
      'verify.native.coldAtFirstPerSecond': this.#measureColdAtFirst(repeat),
      'verify.native.twoThreadsPerSecond': threads.perSecond,
      'verify.native.twoThreadsRatio': threads.ratio,
      ...collisions,
      'verify.signThrowaway.perSecond': this.#native.ring.size / this.#native.signSeconds,
    };
  }

  #measureHot(): Figures {
    const signed = this.#native;
    const backend = signed.warm(backendOf('native'), HOT_KEYS, WARM_SECONDS);
    const sample = signed.sample(SECP256K1_CLAIMS);
    signed.settle(backend);
    const [native, peer] = inTurns(
      this.#rounds,
      () => signed.pass(backend, backend.batchMax, NATIVE_CLAIMS),
      () => peerPass(verifyBySecp256k1, sample),
    ) as [number, number];
    const batches = inTurns(
      this.#rounds,
      ...BATCHES.map((batch) => () => signed.pass(backend, batch, batch === 1 ? NATIVE_CLAIMS / 4 : NATIVE_CLAIMS)),
    );
    return {
      [`verify.native.perSecond.${HOT_KEYS}`]: native,
      'verify.native.vsSecp256k1': native / peer,
      'verify.secp256k1.perSecond': peer,
      ...Object.fromEntries(BATCHES.map((batch, index) => [`verify.native.batchPerSecond.${batch}`, batches[index]!])),
      'verify.native.singleUs': median(signed.latencies(backend, NATIVE_CLAIMS / 2)),
    };
  }

  /** While the cache fills, each table touches new memory. One pass only: afterwards the keys are known. */
  #measureColdAtFirst(repeat: number): number {
    this.#native.signInOrder(COLD_KEYS, HOT_KEYS + repeat * COLD_KEYS);
    const backend = backendOf('native')(this.#native);
    return this.#native.pass(backend, backend.batchMax, COLD_KEYS);
  }

  async #measureOtherKeys(note: (line: string) => void): Promise<Figures> {
    const figures: Figures = {};
    for (const keys of OTHER_KEYS) {
      const rates = await this.#processes.get(`${keys}`)!.measure();
      const { perSecond, hitPercent, largePercent, coldPerSecond, verdicts } = rates;
      figures[`verify.native.perSecond.${keys}`] = perSecond;
      if (coldPerSecond !== undefined) figures['verify.native.coldPerSecond'] = coldPerSecond;
      const found = `${hitPercent.toFixed(1)} % of look-ups found a table, ${largePercent.toFixed(1)} % a large one`;
      const cacheBytes = keys < CACHE_FILLED ? KEY_CACHE_BYTES : FILLED.cacheBytes;
      note(`${keys} keys, cache of ${cacheBytes / 2 ** 20} MiB: ${found}; ${verdicts}`);
    }
    return figures;
  }

  async #measureOtherKernels(note: (line: string) => void): Promise<Figures> {
    const figures: Figures = {};
    for (const kernel of OTHER_KERNELS) {
      const process = this.#processes.get(kernel)!;
      if (process.unavailable !== undefined) {
        note(`SKIPPED: kernel ${kernel} has no figures here: ${process.unavailable}`);
        continue;
      }
      const rates = await process.measure();
      figures[`verify.${kernel}.perSecond`] = rates.perSecond;
      figures[`verify.${kernel}.vsSecp256k1`] = rates.perSecond / rates.peerPerSecond;
      note(`kernel ${kernel}: ${rates.largePercent.toFixed(1)} % large tables; ${rates.verdicts}`);
    }
    const [wide, narrow] = ['avx512f', 'avx2'].map((kernel) => figures[`verify.${kernel}.perSecond`]);
    if (wide !== undefined && narrow !== undefined) figures['verify.avx512f.vsAvx2'] = wide / narrow;
    return figures;
  }

  #measurePortable(): Figures {
    const signed = this.#wasm;
    const noble = backendOf('noble')(signed);
    const sample = signed.sample(SECP256K1_CLAIMS);
    const [wasm, tiny] = inTurns(
      this.#rounds,
      () => signed.pass(this.#wasmBackend, this.#wasmBackend.batchMax, WASM_CLAIMS),
      () => peerPass(verifyByTinySecp256k1, sample.slice(0, TINY_CLAIMS)),
    ) as [number, number];
    return {
      'verify.wasm.perSecond': wasm,
      'verify.wasm.vsTinySecp256k1': wasm / tiny,
      'verify.tinySecp256k1.perSecond': tiny,
      'verify.noble.perSecond': signed.pass(noble, noble.batchMax, NOBLE_CLAIMS),
    };
  }
}

const options: BenchOptions = { name: 'verify' };
let bench: VerifyBench | undefined;
await runBench(options, async (context) => {
  if (bench === undefined) {
    const native = hasAddon ? `native ${new NativeKernel(KEY_CACHE_BYTES).kernelName}` : 'native ABSENT';
    options.backend = `${native}, wasm, noble; peers ${peerVersions()}`;
    if (!hasAddon)
      context.note('ABSENT: no native kernel (build/claimwire.node): its figures are missing; make native builds it');
    bench = new VerifyBench(context.quick);
    await bench.ready();
  }
  const figures = await bench.measure(context);
  context.note(`verdicts so far: ${bench.sum}`);
  return figures;
});
bench?.stop();
