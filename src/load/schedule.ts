/**
 * When claims are meant to leave: an open loop's schedule does not know of acks, and never waits for one. Schedules run
 * on the generator thread; times are milliseconds of its clock.
 */
import type { Random } from './random.ts';

/** `constant`: at even times; `poisson`: as many independent payers would; `burst`: `size` claims at once, at even times. */
export type Arrivals = { kind: 'constant' } | { kind: 'poisson' } | { kind: 'burst'; size: number };

export interface Schedule {
  /** When the next claim is meant to leave; Infinity when there are no more. */
  readonly due: number;
  advance(): void;
}

const BURST_MAX = 1_000_000;
const RAMP_STEPS_MAX = 1_000;

/** Undefined where the text is none of constant, poisson, burst:N. */
export function parseArrivals(text: string): Arrivals | undefined {
  if (text === 'constant' || text === 'poisson') return { kind: text };
  const size = Number(/^burst:(\d{1,7})$/.exec(text)?.[1]);
  return size >= 1 && size <= BURST_MAX ? { kind: 'burst', size } : undefined;
}

export function arrivalsName(arrivals: Arrivals): string {
  return arrivals.kind === 'burst' ? `burst:${arrivals.size}` : arrivals.kind;
}

/** FROM:TO:STEP in claims a second, TO included where a step meets it. Undefined where the text is no ramp. */
export function parseRamp(text: string): number[] | undefined {
  const parts = /^(\d{1,9}):(\d{1,9}):(\d{1,9})$/.exec(text);
  if (parts === null) return undefined;
  const [from, to, step] = parts.slice(1).map(Number) as [number, number, number];
  if (from < 1 || to < from || step < 1 || (to - from) / step >= RAMP_STEPS_MAX) return undefined;
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

export class RateSchedule implements Schedule {
  due: number;
  readonly #startMs: number;
  readonly #gapMs: number;
  readonly #burst: number;
  /** Only for `poisson`. */
  readonly #random: Random | undefined;
  #claims = 0;

  /** @param rate claims a second */
  constructor(arrivals: Arrivals, rate: number, startMs: number, random: Random) {
    this.#startMs = startMs;
    this.#gapMs = 1_000 / rate;
    this.#burst = arrivals.kind === 'burst' ? arrivals.size : 1;
    this.#random = arrivals.kind === 'poisson' ? random : undefined;
    this.due = startMs;
    if (this.#random !== undefined) this.advance();
  }

  advance(): void {
    this.#claims += 1;
    // Multiplied, since a sum of millions of rounded gaps would drift. Random gaps can only be summed.
    if (this.#random !== undefined) this.due -= Math.log(1 - this.#random.next()) * this.#gapMs;
    else this.due = this.#startMs + Math.floor(this.#claims / this.#burst) * this.#burst * this.#gapMs;
  }
}

/** The times of a capture: claim n is due `offsets[n]` after the start. */
export function listedSchedule(offsets: Float64Array, startMs: number): Schedule {
  let next = 0;
  return {
    get due() {
      return next < offsets.length ? startMs + offsets[next]! : Number.POSITIVE_INFINITY;
    },
    advance() {
      next += 1;
    },
  };
}
