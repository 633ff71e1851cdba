/** Seeds run in child processes, one seed at a time in each: globals are replaced there, and a seed that hangs hangs alone. */
import { type ChildProcess, fork } from 'node:child_process';
import type { SeedResult } from './simulate.ts';

/** Real time: a seed takes a tenth of a second of the processor's. */
const SEED_SECONDS_MAX = 120;

export interface ChildrenOptions {
  worker: string;
  seeds: Iterable<number>;
  count: number;
  traceLines?: number;
  without?: readonly string[];
  onResult: (result: SeedResult) => void;
  /** Looked at before each seed. */
  isEnough?: () => boolean;
}

/** Resolves when all seeds have run. Rejects where a child ends by itself, or a seed takes too long. */
export async function runSeeds(options: ChildrenOptions): Promise<void> {
  const left = options.seeds[Symbol.iterator]();
  await Promise.all(Array.from({ length: options.count }, () => runChild(left, options)));
}

function runChild(
  left: Iterator<number>,
  { worker, traceLines = 0, without = [], onResult, isEnough = () => false }: ChildrenOptions,
): Promise<void> {
  const child = fork(worker, { execArgv: ['--enable-source-maps', '--no-warnings'], serialization: 'advanced' });
  return new Promise<void>((resolve, reject) => {
    let seed = -1;
    let timer: NodeJS.Timeout | undefined;
    const fail = (reason: string) => {
      end(child, timer);
      reject(new Error(`seed ${seed}: ${reason}`));
    };
    const next = () => {
      clearTimeout(timer);
      const step = isEnough() ? undefined : left.next();
      if (step === undefined || step.done) {
        end(child, timer);
        resolve();
        return;
      }
      seed = step.value;
      timer = setTimeout(
        () => fail(`expected an end within ${SEED_SECONDS_MAX} s, got none`),
        SEED_SECONDS_MAX * 1_000,
      );
      child.send({ seed, traceLines, without });
    };
    child.on('message', (result: SeedResult) => {
      onResult(result);
      next();
    });
    child.on('exit', (code, signal) => fail(`the process has ended with ${code ?? signal}`));
    next();
  });
}

function end(child: ChildProcess, timer: NodeJS.Timeout | undefined): void {
  clearTimeout(timer);
  child.removeAllListeners();
  child.kill();
}
