/** The values that a setting is tried at: few enough that each step makes a difference that can be measured. Pure. */
import type { Setting, SettingName } from '../control/tune-control.ts';

/** The least above 0 of settings that may be 0. */
const FIRST: Partial<Record<SettingName, number>> = { idleSpins: 256 };

/** Ascending: powers of two within the bounds, the bounds themselves, and the present value. */
export function ladderOf({ name, value, min, max }: Setting): number[] {
  const values = new Set([min, max, value]);
  for (let at = FIRST[name] ?? 1; at < max; at *= 2) if (at > min) values.add(at);
  return [...values].sort((left, right) => left - right);
}
