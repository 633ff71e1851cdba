/**
 * The bottleneck over several looks: one look of a busy machine may meet what others do there for a moment. Pure.
 */
import type { Bottleneck } from '../../src/metrics/bottleneck.ts';

/** A bottleneck, and in how many of the looks it was named. */
export interface SteadyBottleneck extends Bottleneck {
  readonly looks: number;
  readonly named: number;
}

/**
 * What more than half of the looks name, with the evidence of the last of them. Where no cause has so many, `whole`, which is
 * over the time of all looks; its evidence says so.
 */
export function steadyBottleneck(looks: readonly Bottleneck[], whole: Bottleneck): SteadyBottleneck {
  const counts = new Map<string, number>();
  for (const { kind } of looks) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const steady = looks.findLast(({ kind }) => counts.get(kind)! > looks.length / 2);
  const chosen = steady ?? whole;
  const named = counts.get(chosen.kind) ?? 0;
  const others = [...counts].filter(([kind]) => kind !== chosen.kind).map(([kind, count]) => `${kind} ${count}`);
  const rest = others.length === 0 ? '' : `; the others: ${others.join(', ')}`;
  const alone = steady === undefined ? 'no cause in most of the looks; over all of them this one, ' : '';
  const line = `${alone}named in ${named} of ${looks.length} looks${rest}`;
  return { ...chosen, evidence: [...chosen.evidence, line], looks: looks.length, named };
}
