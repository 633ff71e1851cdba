/** What the optimiser goes by: one number for how a node does. Pure. */

/** What the operator wants. A target that is left out is none. */
export interface Targets {
  /** The 99th percentile of the time from a claim's arrival to its ack, milliseconds. */
  readonly p99Ms: number;
  /** Cores that the whole process may use. */
  readonly cpu?: number | undefined;
  /** Bytes that the process may have in memory. Bounds the key cache, the only setting that takes much. */
  readonly memoryBytes?: number | undefined;
}

/** How a node did over an interval. */
export interface Observation {
  /** Claims that became durable, a second. */
  readonly committed: number;
  /** Cores that the process was busy with: its processor time over the interval's. */
  readonly cpu: number;
  readonly p99Ms: number;
  /** Bytes of the process in memory, and of these the key tables in use. */
  readonly resident: number;
  readonly tables: number;
}

/** Fewer a second say nothing of a setting: the process's own work beside the path would be most of the processor time. */
const COMMITTED_MIN = 1_000;

export function isTelling({ committed, cpu }: Observation): boolean {
  return committed >= COMMITTED_MIN && cpu > 0;
}

/** Microseconds of processor time for a claim. */
export function cpuUsOf({ committed, cpu }: Observation): number {
  return (cpu * 1e6) / committed;
}

/** Claims for a second of processor time, and less by the factor by which a target is missed. More is better. */
export function scoreOf(observation: Observation, { p99Ms, cpu }: Targets): number {
  const late = Math.min(1, p99Ms / Math.max(observation.p99Ms, Number.MIN_VALUE));
  const heavy = cpu === undefined ? 1 : Math.min(1, cpu / observation.cpu);
  return (observation.committed / observation.cpu) * late * heavy;
}
