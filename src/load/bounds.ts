/**
 * The bounds that decide whether a run passes, and how its figures compare with them. Pure, any thread.
 *
 * Loss is the larger of two shares: of claims that never reached the node, by its own count, and of claims that were never
 * answered. Acks are cumulative, so the ack of a newer claim may cover a lost one, and only the node's count shows it.
 */
import type { Delivery, LoadCheck, LoadResult, LoadStep } from './result.ts';
import type { LoadBounds } from './settings.ts';

/** One claim in a thousand; a sound local network loses none. */
const LOSS_MAX_DEFAULT = 0.001;
/** A node that refuses sound claims is overloaded. */
const REFUSED_MAX_DEFAULT = 0;
const SLO_MS_DEFAULT = 100;
/** Lower for a ramp, which looks for the highest rate that the node answers without a queue. */
const RAMP_SLO_MS_DEFAULT = 10;

export function boundsFor(given: Partial<LoadBounds>, isRamp: boolean): LoadBounds {
  return {
    lossMax: given.lossMax ?? LOSS_MAX_DEFAULT,
    refusedMax: given.refusedMax ?? REFUSED_MAX_DEFAULT,
    sloMs: given.sloMs ?? (isRamp ? RAMP_SLO_MS_DEFAULT : SLO_MS_DEFAULT),
  };
}

/** All refusals of a step, by whatever reason. */
export function refusalsOf({ refused }: LoadStep): number {
  return sumOf(Object.values(refused), (count) => count);
}

/** Refusals that no fault of the run's own explains. */
export function unexpectedRefusals(step: LoadStep): number {
  return refusalsOf(step) - step.expectedRefusals;
}

/** Claims that left and never reached the node. */
export function lostOf({ sent, received }: Delivery): number {
  return Math.max(0, sent - received);
}

/** Compares steps with the bounds: loss and refusals of all steps together, the p99 of the slowest. */
export function checksOf(steps: readonly LoadStep[], { lossMax, refusedMax, sloMs }: LoadBounds): LoadCheck[] {
  const sent = sumOf(steps, (step) => step.sent);
  const known = steps.flatMap(({ delivery }) => delivery ?? []);
  const unanswered = share(
    sumOf(steps, (step) => step.unanswered),
    sent,
  );
  const lost = share(
    sumOf(known, lostOf),
    sumOf(known, (delivery) => delivery.sent),
  );
  const loss = Math.max(unanswered, lost);
  const refused = share(sumOf(steps, unexpectedRefusals), sent);
  const measured = steps.filter(({ latency }) => latency.count > 0).map(({ latency }) => latency.p99Ms);
  const p99Ms = measured.length === 0 ? null : Math.max(...measured);
  return [
    { name: 'loss', unit: 'share', value: loss, bound: lossMax, held: loss <= lossMax },
    { name: 'refused', unit: 'share', value: refused, bound: refusedMax, held: refused <= refusedMax },
    { name: 'p99', unit: 'ms', value: p99Ms, bound: sloMs, held: p99Ms !== null && p99Ms <= sloMs },
  ];
}

/** The highest rate at which every claim due was sent and all bounds were kept; null where there is none. */
export function kneeOf(steps: readonly LoadStep[], bounds: LoadBounds): LoadResult['knee'] {
  let knee: LoadResult['knee'] = null;
  for (const step of steps) {
    const { requestedRate, ackedRate, latency, late } = step;
    if (requestedRate === null || requestedRate <= (knee?.requestedRate ?? 0) || late.unsent > 0) continue;
    const isHeld = checksOf([step], bounds).every(({ held }) => held);
    if (isHeld) knee = { requestedRate, ackedRate, p99Ms: latency.p99Ms };
  }
  return knee;
}

/** A check as text, such as "loss 0.02 % (at most 0.1 %)". */
export function checkText({ name, unit, value, bound }: LoadCheck): string {
  const figure = (number: number) => (unit === 'ms' ? `${short(number)} ms` : `${short(number * 100)} %`);
  return `${name} ${value === null ? 'unknown' : figure(value)} (at most ${figure(bound)})`;
}

/** Three significant digits, so that only 0 reads as 0. */
function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

export function sumOf<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
