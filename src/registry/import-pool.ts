/**
 * The pool of import workers: checks lines off the main thread, which stays free to answer.
 *
 * Main thread. A block given to `parse` is transferred and must not be used again.
 */
import { Piscina } from 'piscina';
import { FairQueue } from './fair-queue.ts';
import type { ParsedLines } from './import-lines.ts';

/** Checks blocks of NDJSON lines; several may be under way at once, and each importer has its turn. */
export interface LineParser {
  parse(block: Uint8Array<ArrayBuffer>, importer: object): Promise<ParsedLines>;
  close(): Promise<void>;
}

/** Importing is rare: a thread starts at the first block and ends after idling. */
const IDLE_MS = 5_000;

/** @param threads worker threads at most, 1.. */
export function importPool(threads: number): LineParser {
  const pool = new Piscina<Uint8Array, ParsedLines>({
    filename: new URL('./import-worker.js', import.meta.url).href,
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: IDLE_MS,
  });
  const queue = new FairQueue(threads, (block: Uint8Array<ArrayBuffer>) =>
    pool.run(block, { transferList: [block.buffer] }),
  );
  return {
    parse: (block, importer) => queue.run(importer, block),
    close: () => pool.destroy(),
  };
}
