/**
 * Which of the operations get a span. A node may make 20,000 charges a second; of these a share is taken, and never more than
 * so many in a second. Main thread.
 */
import type { Clock } from '../system/system.ts';
import type { TraceContext } from './trace-context.ts';

export interface SamplingSettings {
  /** Share of the operations without a caller's decision that get a span, 0 to 1. */
  ratio: number;
  /** Most spans begun in a second, over all operations but rare ones; children of these not counted. */
  perSecondMax: number;
}

export class SpanSampler {
  readonly #settings: SamplingSettings;
  readonly #chance: () => number;
  /** What the second has left. */
  #left: number;
  /** Operations that their share or their caller chose, and that the limit left out. */
  limited = 0;
  /** Ends the counting of seconds. */
  readonly stop: () => void;

  /** @param chance from 0 to below 1 */
  constructor(settings: SamplingSettings, clock: Pick<Clock, 'every'>, chance: () => number) {
    this.#settings = settings;
    this.#chance = chance;
    this.#left = settings.perSecondMax;
    // A timer, since to ask the clock would be most of what a charge without a span costs.
    this.stop = clock.every(1_000, () => {
      this.#left = settings.perSecondMax;
    });
  }

  /** A caller that takes spans decides for us as well, within the limit. */
  takes(caller: TraceContext | undefined): boolean {
    if (caller === undefined ? this.#chance() >= this.#settings.ratio : !caller.isSampled) return false;
    if (this.#left > 0) {
      this.#left--;
      return true;
    }
    this.limited++;
    return false;
  }
}
