/**
 * Runs `claimwire load` against a node under test, and checks that all the claims it counts as acknowledged were verified and
 * committed. Main thread of the bench; the load is a process of its own.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { NodeStats } from '../../src/control/node-control.ts';
import { assert } from '../../src/errors.ts';
import type { LoadResult, LoadStep } from '../../src/load/result.ts';
import { endsWithBench, type NodeUnderTest, processorSeconds, treeSeconds } from '../node-under-test.ts';

const WARM_SECONDS = 2;

/** A line of progress, printed at the end of each second. */
export const SECOND = /^\s*\d+ s {2}sent \d+\/s/;

/** Differences of the node's counters over a run. */
export interface NodeWork {
  verified: number;
  superseded: number;
  committed: number;
  groups: number;
  syncs: number;
  datagrams: number;
  already: number;
  socketDrops: number;
  overloaded: number;
  /** Processor time of its threads by stage, where the system reports it; `sync` is the wall time that groups waited. */
  stageUs: Record<string, number>;
}

export interface ProvenLoad {
  result: LoadResult;
  step: LoadStep;
  work: NodeWork;
  /**
   * Claims a second that were acknowledged and verified by the node. A claim that the system dropped, or that came
   * after a later one of its channel, which covers it, is acknowledged, but is not counted.
   */
  perSecond: number;
  /** Drops committed on the node so far, as a checksum. */
  committedDrops: number;
  /** Processor time per claim of the generator's process and the node's, over whole seconds; NaN if there are too few. */
  generatorNs: number;
  nodeNs: number;
}

/**
 * Runs the load to its end and checks it. Throws where an acknowledged amount is missing, or was not verified.
 * @param isLossy whether claims may be lost where the node does not count them, and be covered by a newer one's ack
 */
export async function provenLoad(
  node: NodeUnderTest,
  flags: readonly string[],
  dropsBefore = 0,
  isLossy = false,
): Promise<ProvenLoad> {
  const before = await node.stats();
  const { result, cost } = await runLoad(node, flags);
  const after = await node.stats();
  const work = difference(before, after);
  const { reconciliation } = result;
  const step = result.steps[0];
  assert(step !== undefined && step.acked > 0, `something is acknowledged: ${result.verdict.join(' ')}`);
  assert(reconciliation !== null && reconciliation.short === 0, `nothing is missing: ${result.verdict.join(' ')}`);
  const acknowledged = Number(reconciliation.acknowledgedDrops) - dropsBefore;
  const committedDrops = Number(reconciliation.committedDrops);
  assert(committedDrops - dropsBefore >= acknowledged, 'what is acknowledged is committed');
  const done = Math.min(work.verified, work.committed) + work.superseded;
  if (done < acknowledged && work.socketDrops + work.overloaded + work.already === 0 && !isLossy)
    throw new Error(`expected the ${acknowledged} claims acknowledged to be verified, got ${JSON.stringify(work)}`);
  const verifiedShare = Math.min(1, done / acknowledged);
  return { result, step, work, perSecond: step.ackedRate * verifiedShare, committedDrops, ...cost };
}

/** A maximum rate makes every key's table; then half of it, or what `rate` says, meets warm keys, as in a node that has run a while. */
export async function warmHalfLoad(
  node: NodeUnderTest,
  rate: number,
  { half, halfWarmup }: { half: number; halfWarmup: number },
): Promise<ProvenLoad> {
  const warm = await provenLoad(node, ['--rate', 'max', '--duration', String(WARM_SECONDS), '--warmup', '0']);
  const flags = ['--rate', `${rate}`, '--duration', String(half), '--warmup', String(halfWarmup)];
  return await provenLoad(node, flags, warm.committedDrops);
}

/** What the machine itself did to threads meanwhile. */
export function hiccupsText({ hiccups }: LoadStep): string {
  const text = (of: 'generator' | 'node') => {
    const seen = hiccups?.[of];
    return seen ? `${of} p99 ${seen.p99Ms.toFixed(2)}, max ${seen.maxMs.toFixed(2)} ms` : `${of} unknown`;
  };
  return `hiccups: ${text('generator')}; ${text('node')}`;
}

export function difference(before: NodeStats, after: NodeStats): NodeWork {
  const counter = (name: string) => counted(after, name) - counted(before, name);
  const stages = Object.keys(after.counters.busyUs ?? {});
  return {
    verified: counter('verified'),
    superseded: counter('superseded'),
    committed: counter('committed'),
    groups: counter('groupCommits'),
    syncs: counter('syncs'),
    datagrams: counter('datagrams'),
    already: counter('already'),
    socketDrops: counter('dropped.socketBuffer'),
    overloaded: counter('refused.overloaded'),
    stageUs: Object.fromEntries([
      ...stages.map((stage) => [stage, counter(`busyUs.${stage}`)]),
      ['sync', counter('syncWaitUs')],
    ]),
  };
}

function counted({ counters }: NodeStats, name: string): number {
  const [group, reason] = name.split('.') as [string, string | undefined];
  const value = reason === undefined ? counters[group] : (counters[group] as Record<string, number>)?.[reason];
  assert(typeof value === 'number', `the node counts ${name}`);
  return value;
}

/** Processor time of both at the end of a second. */
interface Sample {
  generator: number;
  node: number;
}

/** What runs beside a load of another process. */
export interface LoadSteering {
  /** A command that the load is run with, as `nice`. */
  within?: readonly string[];
  /** Called when it has been started. */
  onStart?: (pid: number) => void;
  /** Called when a second has been measured, with what ends the load early. */
  onSecond?: (stop: () => void) => void;
}

/** Exit code 1 says that the load found a fault. The result names it, and the caller decides what it means. */
export async function runLoad(
  node: NodeUnderTest,
  flags: readonly string[],
  { within = [], onStart, onSecond }: LoadSteering = {},
): Promise<{ result: LoadResult; cost: { generatorNs: number; nodeNs: number } }> {
  // The channels are kept, since a later run on the same folder continues from their amounts.
  const { load, options } = node.program;
  const [command = '', ...args] = [...within, ...load, ...node.loadFlags, '--json', '--keep-channels', ...flags];
  const child = endsWithBench(spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] }));
  onStart?.(child.pid!);
  const samples: Sample[] = [];
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += String(text);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    stderr += `${line}\n`;
    if (!SECOND.test(line)) return;
    samples.push({ generator: treeSeconds(child.pid!), node: processorSeconds(node.pid) });
    onSecond?.(() => child.kill('SIGINT'));
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const line = stdout.trimEnd().split('\n').at(-1)!;
  if (!line.includes('"steps"'))
    throw new Error(`claimwire load ${flags.join(' ')}: expected a result, got exit code ${code}, ${line}\n${stderr}`);
  const result = JSON.parse(line) as LoadResult;
  return { result, cost: costOf(samples, result) };
}

function costOf(samples: readonly Sample[], { steps }: LoadResult): { generatorNs: number; nodeNs: number } {
  const [begin, ...intervals] = steps[0]?.intervals ?? [];
  const end = intervals.at(-1);
  const [first, last] = [samples[0], samples[intervals.length]];
  if (begin === undefined || end === undefined || first === undefined || last === undefined)
    return { generatorNs: Number.NaN, nodeNs: Number.NaN };
  const seconds = end.atSeconds - begin.atSeconds;
  const claims = (seconds * intervals.reduce((sum, { ackedPerSecond }) => sum + ackedPerSecond, 0)) / intervals.length;
  const each = (before: number, after: number) => ((after - before) * 1e9) / claims;
  return { generatorNs: each(first.generator, last.generator), nodeNs: each(first.node, last.node) };
}
