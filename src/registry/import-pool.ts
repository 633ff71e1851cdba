/**
 * The pool of import workers, which parse the lines of bulk imports so that the main thread stays free. Main thread.
 */
import { Piscina } from 'piscina';
import { FairQueue } from './fair-queue.ts';
import type { ParsedLines } from './import-lines.ts';

/** Parses blocks of NDJSON lines, one block of each importer in turn. */
export interface LineParser {
  /** The block is transferred: the caller must not use it again. */
  parse(block: Uint8Array<ArrayBuffer>, importer: object): Promise<ParsedLines>;
  close(): Promise<void>;
}

/** Imports are rare: a thread starts with the first block and ends after so much idle time. */
const IDLE_MS = 5_000;

/** @param threads most worker threads, 1 or more */
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
