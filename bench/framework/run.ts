/**
 * A run of `claimwire bench`: measures the parts one after the other, and puts the report together. Main thread; everything that
 * is measured runs in processes of its own.
 */
import { rmSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { ClaimwireError } from '../../src/errors.ts';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { NativeKernel } from '../../src/verify/native.ts';
import { benchFolder } from '../node-under-test.ts';
import { measureLatency } from '../path/latency.ts';
import { curvesOf } from './curves.ts';
import { extrapolate } from './extrapolation.ts';
import { FIGURES, nodeFigures, RATIOS } from './figures.ts';
import { figuresOf, type Values } from './measure.ts';
import { NodePart, type NodeResult } from './node-part.ts';
import { optimisationsOf } from './optimisations.ts';
import { type PartArgs, type PartName, runPart } from './part.ts';
import { Clock, FULL, type Plan, QUICK } from './plan.ts';
import { readiness } from './readiness.ts';
import { type BenchReport, type FigureReport, SCHEMA_VERSION } from './schema.ts';
import { summarize } from './statistics.ts';

export interface BenchOptions {
  quick: boolean;
  seed: number;
  /** Where data is written: a disk, since a sync to memory costs nothing. */
  progress(text: string): void;
}

/** A part that hangs is ended after so many times its seconds, and a start. */
const LATE = 4;
const START_SECONDS = 20;

const FILESYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  2035054128: 'overlayfs',
  16914836: 'tmpfs (memory: a sync costs nothing here)',
};

/** Throws BACKEND_UNAVAILABLE without the native addon: nearly all that is measured here is in it. */
export async function runBench({ quick, seed, progress }: BenchOptions): Promise<BenchReport> {
  const fault = nativeUdpFault();
  if (fault !== undefined)
    throw new ClaimwireError('BACKEND_UNAVAILABLE', `bench: expected the native addon, got none: ${fault}`);
  const plan = quick ? QUICK : FULL;
  const startedAt = new Date().toISOString();
  const [loadBefore = 0] = loadavg();
  const clock = new Clock(plan.totalSeconds, progress);
  const folder = benchFolder('report');
  const { type: filesystem } = statfsSync(folder);
  const values = await measureParts(plan, clock, folder, quick);
  const latency = await clock.part('one claim at a time', START_SECONDS / 2, () => measureLatency(folder, quick));
  const node = await new NodePart(folder, plan, clock).measure();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const figures = figuresFrom(values, node, latency ?? {}, seed);
  const curves = curvesOf(values, node, seed);
  return {
    schema: SCHEMA_VERSION,
    kind: 'claimwire bench',
    startedAt,
    seconds: clock.seconds,
    quick,
    seed,
    machine: {
      processor: cpus()[0]?.model.trim() ?? 'unknown',
      cores: availableParallelism(),
      memoryGiB: totalmem() / 2 ** 30,
      system: `${type()} ${release()}`,
      node: process.version,
      kernel: new NativeKernel(1).kernelName,
      filesystem: FILESYSTEMS[filesystem] ?? `type 0x${filesystem.toString(16)}`,
      loadBefore,
    },
    figures,
    optimisations: optimisationsOf(values, node.runs, seed),
    curves,
    extrapolation: extrapolate(curves, figures, availableParallelism()),
    readiness: readiness(),
    bottleneck: node.bottleneck ?? null,
    skipped: clock.skipped,
    notes: notesOf(values, loadBefore),
  };
}

/** The parts in processes of their own, in the order of a claim's way; their values by name. */
async function measureParts(plan: Plan, clock: Clock, folder: string, quick: boolean): Promise<Values> {
  const values: Values = new Map();
  const { micro, microSeconds, ringSeconds, scanSeconds } = plan;
  const scan = { ...micro, seconds: scanSeconds };
  const parts: [PartName, PartArgs['effort'], number, string?][] = [
    ['codec', micro, microSeconds],
    ['ring', { ...micro, roundsMax: 7 }, ringSeconds],
    ['table', micro, microSeconds],
    ['verify', { ...micro, seconds: micro.seconds * 1.5 }, microSeconds],
    ['keyTables', { ...micro, seconds: micro.seconds * 3, roundsMax: 15 }, microSeconds],
    ['sockets', micro, microSeconds],
    ['acks', micro, microSeconds],
    ['disk', { ...micro, seconds: micro.seconds * 1.5 }, microSeconds * 3],
    ['threads', scan, microSeconds],
    ['keys', scan, microSeconds],
    ['tableSize', scan, microSeconds * 2, 'table.size'],
  ];
  for (const [name, effort, seconds] of parts) {
    const args: PartArgs = { effort, seconds, quick, folder: join(folder, name) };
    const secondsMax = Math.min(clock.left, effort.seconds * LATE + START_SECONDS);
    const result = await clock.part(name, effort.seconds, () => runPart(name, args, secondsMax));
    for (const [figure, list] of Object.entries(result ?? {})) values.set(nameOf(name, figure), list);
  }
  return values;
}

/** Scans name their values alike; what is measured in turns has names of its own. */
function nameOf(part: PartName, figure: string): string {
  if (part === 'keys') return figure === 'perSecond' ? 'verify.keysPerSecond' : figure;
  if (part !== 'tableSize') return figure;
  return figure === 'perSecond' ? 'table.sizePerSecond' : figure === 'residentBytes' ? 'table.sizeBytes' : figure;
}

function figuresFrom(values: Values, node: NodeResult, latency: Record<string, number>, seed: number): FigureReport[] {
  const parts = [...new Set(FIGURES.map(({ part }) => part))];
  const has = (name: string) => (values.get(name)?.length ?? 0) > 0;
  const measured = parts.flatMap((part) => {
    const own = FIGURES.filter((figure) => figure.part === part && has(figure.name));
    const ratios = RATIOS.filter((ratio) => ratio.part === part && has(ratio.of) && has(ratio.to));
    return figuresOf(part, own, values, ratios, seed);
  });
  const single = Object.entries(latency).map(([name, value]) => ({
    part: 'one claim at a time',
    name,
    unit: name.includes('VsFloor') ? 'times the floor' : 'µs',
    better: 'lower' as const,
    ...summarize([value], seed, name),
  }));
  return [...measured, ...single, ...nodeFigures(node, values, availableParallelism(), seed)];
}

function notesOf(values: Values, loadBefore: number): string[] {
  const notes = [
    'Figures of single threads are per second of processor time, so that other programs on the machine count little; whole nodes, disks and rings with threads are by wall time.',
    'Intervals are bootstrap intervals (95 %) of the median, from a seed: the same values give the same interval.',
    'A figure with few runs has an interval that is not worth much; the column says how many there were.',
  ];
  if (loadBefore > 0.5)
    notes.push(
      `Other programs were at work when the run began (load ${loadBefore.toFixed(1)}): figures of whole nodes are too low, and intervals wide.`,
    );
  const objectBytes = values.get('objectBytes')?.[0];
  if (objectBytes !== undefined)
    notes.push(
      `A channel as an object of its own took ${Math.round(objectBytes)} bytes of memory (structure of arrays: see the curve of memory).`,
    );
  return notes;
}
