/**
 * What the machine shows of a running node besides its own counters: the cores that it used, waited for, and left to others.
 *
 * Linux, from /proc; elsewhere the figures that need it are 0, and the rules that use them stay silent. Any thread; a look
 * reads a file for each thread of the process.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { NodeStats } from '../control/node-control.ts';

export interface MachineFigures {
  /** Cores that the process may use. */
  readonly cores: number;
  /** Threads that verify: lanes, or verifiers. */
  readonly threads: number;
  /** Threads that commit, each of which waits for its own syncs. */
  readonly committers: number;
  /** Cores that the process used, that all other processes (and the hypervisor) used, and that its threads waited for. */
  readonly ownCores: number;
  readonly otherCores: number;
  readonly waitedCores: number;
  /** Look-ups of key tables a second, those that found none, and tables given up for others. */
  readonly keyTables: { readonly lookups: number; readonly misses: number; readonly evictions: number };
  /** Milliseconds that a sync took on average, where that is known. */
  readonly syncMeanMs?: number | undefined;
  /** The most that the disk was measured to write, where that is known. */
  readonly diskBytesPerSecondMax?: number | undefined;
  /** How late the main thread's events are at p99, where that is known. */
  readonly mainDelayMs?: number | undefined;
}

/** Counts of processor time since the machine or the process began, in seconds. */
export interface ProcessorLook {
  /** When it was made, by a monotonic clock. */
  readonly atSeconds: number;
  /** Of the process's threads: running, and ready without a core. */
  readonly ran: number;
  readonly waited: number;
  /** Of the whole machine, steal included. */
  readonly machineBusy: number;
}

const NS = 1e9;
const CLOCK_TICKS_PER_SECOND = 100;
/** Fields of the first line of /proc/stat that are not idle time: user, nice, system, irq, softirq, steal. */
const BUSY_FIELDS = [1, 2, 3, 6, 7, 8];

/** Processor time so far of process `pid` and of the machine; zeros where the system does not say. */
export function lookAtProcessors(pid: number | 'self' = 'self'): ProcessorLook {
  let ran = 0;
  let waited = 0;
  for (const task of unlessGone(() => readdirSync(`/proc/${pid}/task`)) ?? []) {
    // Nanoseconds on a core, nanoseconds on its queue.
    const fields = unlessGone(() => readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8'))?.split(' ');
    ran += Number(fields?.[0] ?? 0) / NS;
    waited += Number(fields?.[1] ?? 0) / NS;
  }
  const [total = ''] = (unlessGone(() => readFileSync('/proc/stat', 'utf8')) ?? '').split('\n');
  const fields = total.split(/\s+/);
  const machineBusy = BUSY_FIELDS.reduce((sum, at) => sum + Number(fields[at] ?? 0), 0) / CLOCK_TICKS_PER_SECOND;
  return { atSeconds: performance.now() / 1_000, ran, waited, machineBusy };
}

/** Cores used and waited for between two looks. A thread that ended in between takes its time with it. */
export function coresBetween(
  before: ProcessorLook,
  after: ProcessorLook,
): Pick<MachineFigures, 'cores' | 'ownCores' | 'otherCores' | 'waitedCores'> {
  const seconds = Math.max(1e-9, after.atSeconds - before.atSeconds);
  const own = Math.max(0, after.ran - before.ran) / seconds;
  return {
    cores: availableParallelism(),
    ownCores: own,
    otherCores: Math.max(0, (after.machineBusy - before.machineBusy) / seconds - own),
    waitedCores: Math.max(0, after.waited - before.waited) / seconds,
  };
}

/** A node and its machine at one moment. */
interface NodeLook {
  readonly stats: NodeStats;
  readonly processors: ProcessorLook;
}

type TableCount = 'hitsHuge' | 'hitsLarge' | 'hitsSmall' | 'hitsTiny' | 'misses' | 'evictions';

/** What the rules need besides a sample, between two looks at a node. */
export function figuresBetween(before: NodeLook, after: NodeLook): MachineFigures {
  const { verifiers, layout, counters, keyTables } = after.stats;
  const seconds = Math.max(1e-9, after.processors.atSeconds - before.processors.atSeconds);
  const grown = (name: string) => Number(counters[name] ?? 0) - Number(before.stats.counters[name] ?? 0);
  const tables = (...names: TableCount[]) => {
    const rise = (name: TableCount) => (keyTables?.[name] ?? 0) - (before.stats.keyTables?.[name] ?? 0);
    return names.reduce((sum, name) => sum + rise(name), 0) / seconds;
  };
  const misses = tables('misses');
  const lookups = misses + tables('hitsHuge', 'hitsLarge', 'hitsSmall', 'hitsTiny');
  const syncs = grown('syncs');
  return {
    ...coresBetween(before.processors, after.processors),
    threads: verifiers,
    committers: layout === 'lanes' ? verifiers : 1,
    keyTables: { lookups, misses, evictions: tables('evictions') },
    syncMeanMs: syncs > 0 ? grown('syncWaitUs') / syncs / 1_000 : undefined,
  };
}

/** Undefined where a thread has ended, or the system has no such file. */
function unlessGone<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
