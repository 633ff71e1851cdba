/**
 * One process per kernel (verify-child.mjs), as the differential tests see it. Runs in the test's thread; what is sent
 * and what comes back are copies.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestContext } from 'vitest';
import type { ArenaShape } from '../../src/ring/arena.ts';
import { KERNEL_PATHS, type KernelStats, type TableKind } from '../../src/verify/kernel.ts';
import type { PackedTuples } from './tuples.ts';

/** Every kernel there is, and the lanes of each: the sums that a single signature is spread over. */
export const KERNEL_LANES = { avx512ifma: 8, avx512f: 8, avx2: 4, neon: 4, scalar: 1, wasm: 4 } as const;
export type KernelName = keyof typeof KERNEL_LANES;

/** Another machine's: `make test-platforms` names its Node.js under an emulator, and a copy of this tree with its addon. */
interface Emulated {
  command: string[];
  root: string;
}
const emulated: Emulated | undefined =
  process.env.CLAIMWIRE_TEST_EMULATED && JSON.parse(process.env.CLAIMWIRE_TEST_EMULATED);
const OF_X64 = ['avx512ifma', 'avx512f', 'avx2', 'scalar', 'wasm'] as const;
const OF_ARM64 = ['neon', 'scalar', 'wasm'] as const;
/** Those that there are for this architecture. */
export const KERNELS: readonly KernelName[] = emulated
  ? ['neon', 'scalar']
  : process.arch === 'arm64'
    ? OF_ARM64
    : OF_X64;

/** Roads through the kernel, `complete` among them: what a collision takes, for every signature. */
export type PathName = keyof typeof KERNEL_PATHS;

const CACHE_BYTES = 64 * 2 ** 20;
/** What a machine may lack: a C compiler, an instruction set. Any other fault is a failure. */
const LACKING = /expected build\/claimwire\.node, got none|expected a kernel this CPU can run/;

interface Judged {
  verdicts: Uint8Array;
  stats: KernelStats;
}

/** 32 bytes a key row of each. */
export interface ThrowawayKeys {
  privateKeys: Uint8Array;
  nonceSeeds: Uint8Array;
}

export class KernelProcess {
  readonly name: KernelName;
  readonly #child: ChildProcess;
  /** One call at a time: answers come in the order of the calls. */
  readonly #waiting: { resolve: (answer: never) => void; reject: (error: Error) => void }[] = [];
  #end: Error | undefined;

  private constructor(name: KernelName, cacheBytes: number) {
    this.name = name;
    const isWasm = name === 'wasm';
    const [execPath = process.execPath, ...execArgv] = emulated?.command ?? [];
    this.#child = fork(
      emulated === undefined
        ? fileURLToPath(new URL('./verify-child.mjs', import.meta.url))
        : join(emulated.root, 'test/support/verify-child.mjs'),
      [isWasm ? 'wasm' : 'native', String(cacheBytes)],
      {
        serialization: 'advanced',
        env: { ...process.env, CLAIMWIRE_KERNEL: isWasm ? '' : name },
        ...(emulated && { execPath, execArgv }),
      },
    );
    this.#child.on('message', (message) => this.#waiting.shift()?.resolve(message as never));
    this.#child.once('exit', (code, signal) => {
      this.#end = new Error(`kernel ${name}: the process ended with ${code ?? signal}`);
      for (const { reject } of this.#waiting.splice(0)) reject(this.#end);
    });
  }

  /** The process once its kernel stands, or why this machine has none. Throws Error on any other fault. */
  static async start(name: KernelName, cacheBytes: number = CACHE_BYTES): Promise<KernelProcess | string> {
    const process = new KernelProcess(name, cacheBytes);
    const { kernel, fault } = await process.#answer<{ kernel?: string; fault?: string }>();
    if (kernel === name) return process;
    process.stop();
    if (fault !== undefined && LACKING.test(fault)) return fault;
    throw new Error(`kernel ${name}: expected it to run, got ${fault ?? kernel}`);
  }

  /** Every tuple's verdict, in calls of `sizes` over and over, and the counters afterwards. */
  judge(tuples: PackedTuples, path: PathName, sizes: readonly number[], kind?: TableKind): Promise<Judged> {
    return this.#call({ call: 'tuples', ...tuples, sizes, path: KERNEL_PATHS[path], kind });
  }
  /**
   * An arena's content after `calls` of [first sequence, count]. `bytes` begins where the arena's regions do.
   * @param tables keys of 33 bytes that have a table before, by its kind
   */
  async slots(
    shape: ArenaShape,
    bytes: Uint8Array,
    calls: [number, number][],
    tables: readonly Uint8Array[],
  ): Promise<Uint8Array> {
    const answer = await this.#call<{ bytes: Uint8Array }>({ call: 'slots', shape, bytes, calls, tables });
    return answer.bytes;
  }
  /** An arena's content after throw-away signing in `calls`, and how many slots each call signed. */
  sign(
    shape: ArenaShape,
    bytes: Uint8Array,
    { privateKeys, nonceSeeds }: ThrowawayKeys,
    calls: [number, number][],
  ): Promise<{ bytes: Uint8Array; counts: number[] }> {
    return this.#call({ call: 'sign', shape, bytes, privateKeys, nonceSeeds, calls });
  }
  async keysValid(keys: Uint8Array[]): Promise<boolean[]> {
    return (await this.#call<{ valid: boolean[] }>({ call: 'keys', keys })).valid;
  }
  stop(): void {
    this.#child.kill();
  }

  /** Throws Error with what the kernel threw, or when its process has ended. */
  async #call<Answer>(message: object): Promise<Answer> {
    if (this.#end !== undefined) throw this.#end;
    this.#child.send(message);
    const answer = await this.#answer<Answer & { fault?: string }>();
    if (answer.fault !== undefined) throw new Error(answer.fault);
    return answer;
  }
  #answer<Answer>(): Promise<Answer> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }
}

/** A process per kernel, started together; a string says why this machine lacks one. */
export class KernelProcesses {
  readonly #all = new Map<KernelName, KernelProcess | string>();

  static async start(cacheBytes?: number): Promise<KernelProcesses> {
    const processes = new KernelProcesses();
    const started = await Promise.all(KERNELS.map((name) => KernelProcess.start(name, cacheBytes)));
    KERNELS.forEach((name, index) => {
      processes.#all.set(name, started[index]!);
    });
    return processes;
  }

  /** The kernel's process; where the machine lacks it, says so loudly and skips the test. */
  get(name: KernelName, context: TestContext): KernelProcess {
    const found = this.#all.get(name);
    if (found instanceof KernelProcess) return found;
    const message = `KERNEL ${name} NOT TESTED HERE: ${found}`;
    console.warn(message);
    context.skip(message);
    throw new Error(message);
  }
  running(): KernelProcess[] {
    return [...this.#all.values()].filter((found) => found instanceof KernelProcess);
  }
  stop(): void {
    for (const process of this.running()) process.stop();
  }
}
