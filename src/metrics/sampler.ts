/**
 * Looks at a node once a second while somebody wants to know, and tells all of them the same: GET /feed, `claimwire top`, the
 * optimiser. Main thread.
 *
 * Nothing is looked at while nobody listens. The last ten minutes of looking are kept, so that who comes second begins with
 * a chart.
 */
import type { ExposureTotals } from '../control/exposure.ts';
import type { LedgerControl } from '../control/ledger-control.ts';
import type { LaneMeasures, MeasureControl } from '../control/measure-control.ts';
import type { NodeControl, NodeStats } from '../control/node-control.ts';
import type { Clock } from '../system/system.ts';
import { type Look, sampleOf } from './look.ts';
import type { ProcessorLook } from './machine-figures.ts';
import type { Sample } from './sample.ts';

const SAMPLE_MS = 1_000;
/** Ten minutes: some 1.5 MB. */
export const HISTORY_MAX = 600;

export interface SamplerOptions {
  control: Pick<NodeControl, 'stats' | 'ready'>;
  /** Left out: latencies are not measured, and shown as none. */
  measures?: MeasureControl | undefined;
  /** Left out: exposure is shown as none. */
  exposure?: { exposure(): Pick<ExposureTotals, 'drops'> } | undefined;
  ledger?: Pick<LedgerControl, 'health'> | undefined;
  clock: Clock;
  /** Of this process and its machine, or container. */
  memory(): Sample['memory'];
  /** Left out: what holds the node back is not named. */
  processors?(): ProcessorLook;
}

/** A sample with its number, which counts up by one, and its JSON, which is made once for all readers. */
export interface NumberedSample {
  readonly number: number;
  readonly sample: Sample;
  readonly text: string;
}

export class Sampler {
  readonly #options: SamplerOptions;
  readonly #listeners = new Set<(sample: NumberedSample) => void>();
  readonly #history: NumberedSample[] = [];
  #last: Look | undefined;
  #end: (() => void) | undefined;
  #next = 0;

  constructor(options: SamplerOptions) {
    this.#options = options;
  }

  /** The samples that are kept, the oldest first. */
  get history(): readonly NumberedSample[] {
    return this.#history;
  }
  /** The number that the next sample will have. */
  get next(): number {
    return this.#next;
  }

  /** Calls `listener` with each sample from now on. Returns a function that ends it; with the last one the looking ends. */
  listen(listener: (sample: NumberedSample) => void): () => void {
    this.#listeners.add(listener);
    if (this.#end === undefined) {
      // What happened while nobody looked is in no sample.
      this.#last = this.#look();
      this.#end = this.#options.clock.every(SAMPLE_MS, () => this.#tick());
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#end?.();
      this.#end = undefined;
    };
  }

  #tick(): void {
    const before = this.#last!;
    const look = this.#look();
    // Two timers that fell due together: there is nothing between them to tell.
    if (look.monotonic <= before.monotonic) return;
    this.#last = look;
    const sample = sampleOf(before, look);
    const numbered = { number: this.#next++, sample, text: JSON.stringify(sample) };
    this.#history.push(numbered);
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    for (const listener of this.#listeners) listener(numbered);
  }

  #look(): Look {
    const { control, measures, exposure, ledger, clock, memory, processors } = this.#options;
    const stats: NodeStats = control.stats();
    const lanes: LaneMeasures[] = measures?.measures() ?? [];
    return {
      wall: clock.wall(),
      monotonic: clock.monotonic(),
      ready: control.ready,
      stats,
      lanes,
      exposureDrops: exposure?.exposure().drops ?? 0n,
      memory: memory(),
      ledger: ledger?.health() ?? null,
      processors: processors?.(),
    };
  }
}
