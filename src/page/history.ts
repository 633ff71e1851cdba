/** The samples of the last ten minutes, as columns that a chart can draw. */
import type { Sample } from '../metrics/sample.ts';

const KEPT_MAX = 600;
/** A longer silence is a gap in a chart, not a line across it. */
const GAP_MS = 3_500;

export class History {
  readonly #samples: Sample[] = [];
  /** Seconds shown. */
  window = 300;

  get last(): Sample | undefined {
    return this.#samples.at(-1);
  }

  clear(): void {
    this.#samples.length = 0;
  }

  /** A sample from before the last one means that the node's clock was set back; charts need times that rise. */
  add(sample: Sample): void {
    if (this.last !== undefined && sample.at <= this.last.at) this.clear();
    this.#samples.push(sample);
    if (this.#samples.length > KEPT_MAX) this.#samples.shift();
  }

  /** Those within the window. */
  get shown(): readonly Sample[] {
    const { last } = this;
    if (last === undefined) return [];
    const from = last.at - this.window * 1e3;
    return this.#samples.filter(({ at }) => at > from);
  }

  /** Times in Unix seconds and a row of values for each of `picks`; a gap is a null between two samples. */
  columns(picks: readonly ((sample: Sample) => number | null)[]): [number[], ...(number | null)[][]] {
    const times: number[] = [];
    const values: (number | null)[][] = picks.map(() => []);
    let before: number | undefined;
    for (const sample of this.shown) {
      if (before !== undefined && sample.at - before > GAP_MS) {
        times.push((before + 1_000) / 1e3);
        for (const row of values) row.push(null);
      }
      times.push(sample.at / 1e3);
      picks.forEach((pick, index) => {
        values[index]!.push(pick(sample));
      });
      before = sample.at;
    }
    return [times, ...values];
  }

  /** What came to pass within the window, of rates a second by reason. */
  totals(pick: (sample: Sample) => Readonly<Record<string, number>>): Map<string, number> {
    const totals = new Map<string, number>();
    for (const sample of this.shown)
      for (const [reason, rate] of Object.entries(pick(sample)))
        totals.set(reason, (totals.get(reason) ?? 0) + rate * sample.seconds);
    return totals;
  }
}
