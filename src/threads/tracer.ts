/** Starts the threads of traces, and ends them. Main thread. While there is no trace, there is no thread. */
import { Worker } from 'node:worker_threads';
import type { TraceOptions, TraceSummary } from '../control/inspect-control.ts';
import { ClaimwireError } from '../errors.ts';
import type { Arena } from '../ring/arena.ts';
import type { TraceMessage, TraceStart } from './trace-thread.ts';

/** Each takes a part of a core. */
const TRACES_MAX = 2;

export class Tracer {
  readonly #arena: Arena;
  readonly #stops = new Set<() => void>();
  #isOver = false;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Follows the claims of a row of the channel table. Throws NODE_BUSY for one trace too many. */
  trace(row: number, { seconds, signal, onClaims }: TraceOptions): Promise<TraceSummary> {
    if (this.#isOver) throw new ClaimwireError('NODE_STOPPING', 'node: expected it running, got it stopping');
    if (this.#stops.size >= TRACES_MAX)
      throw new ClaimwireError('NODE_BUSY', `traces: expected at most ${TRACES_MAX} at a time, got one more`);
    const stop = new SharedArrayBuffer(4);
    const { memory, plan } = this.#arena;
    const workerData: TraceStart = { memory, shape: plan.shape, row, seconds, stop };
    const worker = new Worker(new URL('./trace-thread.js', import.meta.url), { workerData, name: 'trace' });
    const end = () => {
      Atomics.store(new Int32Array(stop), 0, 1);
      Atomics.notify(new Int32Array(stop), 0);
    };
    this.#stops.add(end);
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
    return new Promise<TraceSummary>((resolve, reject) => {
      worker.on('message', (message: TraceMessage) => {
        if ('claims' in message) onClaims(message.claims);
        else resolve(message.summary);
      });
      worker.once('error', (error) => reject(failed(error.message)));
      // After its summary this changes nothing.
      worker.once('exit', (code) => reject(failed(`its thread ended with code ${code}`)));
    }).finally(() => {
      this.#stops.delete(end);
      signal?.removeEventListener('abort', end);
    });
  }

  /** Ends all traces: the node stops. */
  stop(): void {
    this.#isOver = true;
    for (const end of this.#stops) end();
  }
}

function failed(reason: string): ClaimwireError {
  return new ClaimwireError('NODE_FAILED', `trace: expected it to run on, got: ${reason}`);
}
