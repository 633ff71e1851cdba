/**
 * A ramp's rates. Main thread.
 */
const STEPS_MAX = 1_000;

/** FROM:TO:STEP in claims a second, TO included where a step meets it. Undefined for what is no ramp. */
export function parseRamp(text: string): number[] | undefined {
  const parts = /^(\d{1,9}):(\d{1,9}):(\d{1,9})$/.exec(text);
  if (parts === null) return undefined;
  const [from, to, step] = parts.slice(1).map(Number) as [number, number, number];
  if (from < 1 || to < from || step < 1 || (to - from) / step >= STEPS_MAX) return undefined;
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
}
