/**
 * A ramp's rates, and its knee. Main thread.
 */
import type { LoadResult, LoadStep } from './result.ts';

const STEPS_MAX = 1_000;

/** FROM:TO:STEP in claims a second, TO included where a step meets it. Undefined for what is no ramp. */
export function parseRamp(text: string): number[] | undefined {
  const parts = /^(\d{1,9}):(\d{1,9}):(\d{1,9})$/.exec(text);
  if (parts === null) return undefined;
  const [from, to, step] = parts.slice(1).map(Number) as [number, number, number];
  if (from < 1 || to < from || step < 1 || (to - from) / step >= STEPS_MAX) return undefined;
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}

/** Refusals that no fault of the run's own explains. */
export function unexpectedRefusals({ refused, expectedRefusals }: LoadStep): number {
  return Object.values(refused).reduce((sum, count) => sum + count, 0) - expectedRefusals;
}

/** Whether a rate was held: everything due left and was answered, nothing was turned away, and p99 is within the SLO. */
function holds(step: LoadStep, sloMs: number): boolean {
  const isAnswered = step.acked > 0 && step.unanswered === 0 && step.late.unsent === 0;
  return isAnswered && unexpectedRefusals(step) === 0 && step.latency.p99Ms <= sloMs;
}

/** The highest rate that holds; null where none does. */
export function kneeOf(steps: readonly LoadStep[], sloMs: number): LoadResult['knee'] {
  let knee: LoadResult['knee'] = null;
  for (const step of steps) {
    const { requestedRate, ackedRate, latency } = step;
    if (requestedRate === null || !holds(step, sloMs)) continue;
    if (knee === null || requestedRate > knee.requestedRate) knee = { requestedRate, ackedRate, p99Ms: latency.p99Ms };
  }
  return knee;
}
