/** What happened, for people: lines with their virtual times. Only the last of them are kept, and none unless asked for. */
import type { Scheduler } from './scheduler.ts';

const LINES_MAX = 20_000;

export class Trace {
  readonly isOn: boolean;
  readonly #scheduler: Scheduler;
  #lines: string[] = [];
  #digest = 0;

  constructor(scheduler: Scheduler, isOn: boolean) {
    this.#scheduler = scheduler;
    this.isOn = isOn;
  }

  note(line: () => string): void {
    if (!this.isOn) return;
    const { now, current } = this.#scheduler;
    this.#lines.push(`${now.toFixed(3).padStart(11)} ${current.name.padEnd(10)} ${line()}`);
    if (this.#lines.length > 2 * LINES_MAX) this.#lines = this.#lines.slice(-LINES_MAX);
  }

  /** Takes note of what was told to the outside, so that two runs of a seed can be compared. */
  digest(value: number): void {
    this.#digest = (Math.imul(this.#digest ^ value, 0x9e3779b1) ^ (this.#digest >>> 15)) >>> 0;
  }

  get sum(): number {
    return this.#digest;
  }

  last(count: number): string[] {
    return this.#lines.slice(-count);
  }
}
