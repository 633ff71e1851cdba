/** What the optimiser goes by: the processor time of a claim, while the targets are kept. Pure. */

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

/** What intervals are compared by. */
export interface Score {
  /** Claims for a second of processor time: more is better. */
  readonly perCpuSecond: number;
  readonly p99Ms: number;
  /** By what factor targets are missed; 1 where none is. */
  readonly excess: number;
}

export function scoreOf({ committed, cpu, p99Ms }: Observation, targets: Targets): Score {
  const late = Math.max(1, p99Ms / targets.p99Ms);
  const heavy = targets.cpu === undefined ? 1 : Math.max(1, cpu / targets.cpu);
  return { perCpuSecond: committed / cpu, p99Ms, excess: late * heavy };
}
