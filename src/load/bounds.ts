/**
 * The bounds a run is judged by, and how its figures compare with them. Pure, any thread.
 *
 * Loss is what never reached the node, by its own count, or was never answered, whichever is more: acks are cumulative,
 * so a lost claim may well be covered by the ack of a newer one, and only the node's count tells.
 */
import type { Delivery, LoadCheck, LoadResult, LoadStep } from './result.ts';

/** Of all claims sent, one in a thousand; of a local network without a fault one expects none. */
const LOSS_MAX_DEFAULT = 0.001;
/** A node that turns claims away is past what it can do. */
const REFUSED_MAX_DEFAULT = 0;
const SLO_MS_DEFAULT = 100;
/** A ramp looks for the rate up to which the node answers without a queue. */
const RAMP_SLO_MS_DEFAULT = 10;

export interface LoadBounds {
  /** Shares of the claims sent, 0..1. */
  lossMax: number;
  refusedMax: number;
  /** p99 of the corrected latency, milliseconds. */
  sloMs: number;
}

export function boundsFor(given: Partial<LoadBounds>, isRamp: boolean): LoadBounds {
  return {
    lossMax: given.lossMax ?? LOSS_MAX_DEFAULT,
    refusedMax: given.refusedMax ?? REFUSED_MAX_DEFAULT,
    sloMs: given.sloMs ?? (isRamp ? RAMP_SLO_MS_DEFAULT : SLO_MS_DEFAULT),
  };
}

/** Refusals that no fault of the run's own explains. */
export function unexpectedRefusals({ refused, expectedRefusals }: LoadStep): number {
  return Object.values(refused).reduce((sum, count) => sum + count, 0) - expectedRefusals;
}

/** Claims that left and never reached the node. */
export function lostOf({ sent, received }: Delivery): number {
  return Math.max(0, sent - received);
}

/** The share of claims that were lost or not answered. */
function lossOf(steps: readonly LoadStep[]): number {
  const unanswered = share(
    sum(steps, (step) => step.unanswered),
    sum(steps, (step) => step.sent),
  );
  const known = steps.flatMap(({ delivery }) => delivery ?? []);
  return Math.max(
    unanswered,
    share(
      sum(known, lostOf),
      sum(known, ({ sent }) => sent),
    ),
  );
}

/** Steps against the bounds: all of them together, and the slowest. */
export function checksOf(steps: readonly LoadStep[], { lossMax, refusedMax, sloMs }: LoadBounds): LoadCheck[] {
  const refused = share(
    sum(steps, unexpectedRefusals),
    sum(steps, ({ sent }) => sent),
  );
  const loss = lossOf(steps);
  const measured = steps.filter(({ latency }) => latency.count > 0).map(({ latency }) => latency.p99Ms);
  const p99Ms = measured.length === 0 ? null : Math.max(...measured);
  return [
    { name: 'loss', unit: 'share', value: loss, bound: lossMax, held: loss <= lossMax },
    { name: 'refused', unit: 'share', value: refused, bound: refusedMax, held: refused <= refusedMax },
    { name: 'p99', unit: 'ms', value: p99Ms, bound: sloMs, held: p99Ms !== null && p99Ms <= sloMs },
  ];
}

/** Whether a rate was held: everything due left, and all bounds were kept. */
function holds(step: LoadStep, bounds: LoadBounds): boolean {
  return step.late.unsent === 0 && checksOf([step], bounds).every(({ held }) => held);
}

/** The highest rate that holds; null where none does. */
export function kneeOf(steps: readonly LoadStep[], bounds: LoadBounds): LoadResult['knee'] {
  let knee: LoadResult['knee'] = null;
  for (const step of steps) {
    const { requestedRate, ackedRate, latency } = step;
    if (requestedRate === null || !holds(step, bounds)) continue;
    if (knee === null || requestedRate > knee.requestedRate) knee = { requestedRate, ackedRate, p99Ms: latency.p99Ms };
  }
  return knee;
}

/** "loss 0.02 % (at most 0.1 %)". */
export function checkText({ name, unit, value, bound }: LoadCheck): string {
  const figure = (number: number) => (unit === 'ms' ? `${short(number)} ms` : `${short(number * 100)} %`);
  return `${name} ${value === null ? 'unknown' : figure(value)} (at most ${figure(bound)})`;
}

/** Three digits, and never a zero for what is none. */
function short(value: number): string {
  return value === 0 ? '0' : String(Number(value.toPrecision(3)));
}

function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
