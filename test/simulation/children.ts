/** Seeds run in child processes, one seed at a time in each: globals are replaced there, and a seed that hangs hangs alone. */
import { type ChildProcess, fork } from 'node:child_process';
import type { SeedOptions, SeedResult } from './simulate.ts';

/** Real time: a seed takes a tenth of a second of the processor's. */
const SEED_SECONDS_MAX = 120;

export type RunOptions = Omit<SeedOptions, 'hasNative'>;

export class Child {
  readonly #process: ChildProcess;

  constructor(worker: string) {
    this.#process = fork(worker, { execArgv: ['--enable-source-maps', '--no-warnings'], serialization: 'advanced' });
  }

  /** Runs one seed. Rejects where the process ends by itself, or the seed takes too long. */
  run(seed: number, options: RunOptions = {}, secondsMax = SEED_SECONDS_MAX): Promise<SeedResult> {
    const child = this.#process;
    return new Promise<SeedResult>((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        child.removeAllListeners();
      };
      const fail = (reason: string) => {
        done();
        this.end();
        reject(new Error(`seed ${seed}: ${reason}`));
      };
      const late = `expected an end within ${secondsMax} s, got none`;
      const timer = setTimeout(() => fail(late), secondsMax * 1_000);
      child.on('exit', (code, signal) => fail(`the process has ended with ${code ?? signal}`));
      child.on('message', (result: SeedResult) => {
        done();
        resolve(result);
      });
      child.send({ seed, ...options });
    });
  }

  end(): void {
    this.#process.kill();
  }
}

export interface ChildrenOptions extends RunOptions {
  worker: string;
  seeds: Iterable<number | readonly [seed: number, options: RunOptions]>;
  count: number;
  onResult: (result: SeedResult) => void;
  /** Looked at before each seed. */
  isEnough?: () => boolean;
}

/** Resolves when all seeds have run. Rejects where a child ends by itself, or a seed takes too long. */
export async function runSeeds(options: ChildrenOptions): Promise<void> {
  const { worker, seeds, count, onResult, isEnough = () => false, ...how } = options;
  const left = seeds[Symbol.iterator]();
  const work = async () => {
    const child = new Child(worker);
    try {
      for (let next = left.next(); !next.done && !isEnough(); next = left.next()) {
        const [seed, own] = typeof next.value === 'number' ? [next.value, {}] : next.value;
        onResult(await child.run(seed, { ...how, ...own }));
      }
    } finally {
      child.end();
    }
  };
  await Promise.all(Array.from({ length: count }, work));
}
