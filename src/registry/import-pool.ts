/**
 * The pool of import workers, which parse the lines of bulk imports so that the main thread stays free. Main thread.
 */
import type { Piscina } from 'piscina';
import type { ParsedLines } from './import-lines.ts';

/** Parses blocks of NDJSON lines, one block of each importer in turn. */
export interface LineParser {
  /** The block is transferred: the caller must not use it again. */
  parse(block: Uint8Array<ArrayBuffer>, importer: object): Promise<ParsedLines>;
  close(): Promise<void>;
}

/** Imports are rare: a thread starts with the first block and ends after so much idle time. */
const IDLE_MS = 5_000;

type Pool = Piscina<Uint8Array, ParsedLines>;

/** @param threads most worker threads, 1 or more */
export function importPool(threads: number): LineParser {
  let pool: Promise<Pool> | undefined;
  const queue = new FairQueue(threads, async (block: Uint8Array<ArrayBuffer>) => {
    pool ??= openPool(threads);
    return (await pool).run(block, { transferList: [block.buffer] });
  });
  return {
    parse: (block, importer) => queue.run(importer, block),
    close: async () => (await pool)?.destroy(),
  };
}

/** The library is loaded with the first import: most nodes see none between a start and a stop. */
async function openPool(threads: number): Promise<Pool> {
  const { Piscina } = await import('piscina');
  return new Piscina({
    filename: new URL('./import-worker.js', import.meta.url).href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: IDLE_MS,
  });
}

interface Waiting<Input, Output> {
  input: Input;
  resolve(output: Output): void;
  reject(error: unknown): void;
}

/** Shares a few workers among several owners of work: one piece of each owner in turn. */
export class FairQueue<Input, Output> {
  readonly #workers: number;
  readonly #work: (input: Input) => Promise<Output>;
  /** The waiting pieces by owner; the next owner is first. */
  readonly #waiting = new Map<object, Waiting<Input, Output>[]>();
  #running = 0;

  /** @param workers most pieces that run at once */
  constructor(workers: number, work: (input: Input) => Promise<Output>) {
    this.#workers = workers;
    this.#work = work;
  }

  /** Runs a piece of work; the pieces of one owner start in the order of these calls. */
  run(owner: object, input: Input): Promise<Output> {
    return new Promise((resolve, reject) => {
      const own = this.#waiting.get(owner);
      const piece = { input, resolve, reject };
      if (own === undefined) this.#waiting.set(owner, [piece]);
      else own.push(piece);
      this.#begin();
    });
  }

  #begin(): void {
    while (this.#running < this.#workers) {
      const turn = this.#waiting.entries().next().value;
      if (turn === undefined) return;
      const [owner, own] = turn;
      const { input, resolve, reject } = own.shift()!;
      this.#waiting.delete(owner);
      if (own.length > 0) this.#waiting.set(owner, own);
      this.#running++;
      this.#work(input)
        .then(resolve, reject)
        .finally(() => {
          this.#running--;
          this.#begin();
        });
    }
  }
}
