/** Reads what the threads have measured, ring by ring, from the shared memory. Main thread; the threads are not asked. */
import { type Distribution, type LaneMeasures, STAGES, type Stage } from '../control/measure-control.ts';
import type { Arena } from '../ring/arena.ts';
import type { ClaimRing } from '../ring/claim-ring.ts';
import { MEASURE, readHistogram } from '../ring/histogram.ts';

const US_PER_SECOND = 1e6;

/** @param rings of the arena, in their order */
export function readMeasures(arena: Arena, rings: readonly ClaimRing[]): LaneMeasures[] {
  return rings.map((ring, number) => {
    const times = (measure: number): Distribution => readHistogram(arena, number, measure, US_PER_SECOND);
    return {
      ringDepth: ring.depth,
      ringSlots: ring.size,
      ack: times(MEASURE.whole),
      stages: Object.fromEntries(STAGES.map((stage) => [stage, times(MEASURE[stage])])) as Record<Stage, Distribution>,
      sync: times(MEASURE.journalSync),
      group: readHistogram(arena, number, MEASURE.group),
    };
  });
}
