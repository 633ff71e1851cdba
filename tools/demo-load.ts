/**
 * The second half of `claimwire demo`: the generator of `claimwire load` loads the node fully, and a table shows the result,
 * what limited it and what would make it faster on this machine. Main thread of the demo's process.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, type CpuInfo, cpus } from 'node:os';
import type { NodeStats } from '../src/control/node-control.ts';
import { ClaimwireError } from '../src/errors.ts';
import type { AdminClient } from '../src/http/client.ts';
import { type LoadWatcher, runLoad } from '../src/load/run.ts';
import { LOAD_DEFAULTS, type LoadSettings } from '../src/load/settings.ts';
import { addonFault } from '../src/native/addon.ts';
import { hostPort } from './args.ts';
import type { ReadyLine } from './demo-node.ts';
import { loadWatcher } from './load-watcher.ts';
import { Progress } from './progress.ts';
import { countText, durationText } from './units.ts';

/** The share of all cores' time, used by any program, above which the processor is the limit. */
const BUSY_SHARE = 0.85;
/** The share used by other programs that is worth mentioning. */
const OTHERS_SHARE = 0.2;
/** The share of the syncing threads' time above which the disk is the limit. */
const SYNC_SHARE = 0.3;
/** Clock ticks of /proc; 100 wherever Node runs. */
const TICK_MS = 10;

/** Prints a row for people: a label and its text. */
export type Say = (label: string, text: string) => void;

/** Processor time and counters at one moment. */
interface Sample {
  at: number;
  /** Null where the system does not report it. */
  nodeMs: number | null;
  generatorMs: number;
  /** The sum over all cores and all programs. */
  busyMs: number;
  idleMs: number;
  syncWaitMs: number;
  syncs: number;
}

export interface FullLoad {
  claimsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  backend: string;
  kernel: string | null;
  sockets: string;
  layout: string;
  /** What signed the claims: native or wasm. */
  signer: string;
  limitedBy: string;
  fasterWith: string[];
}

/** Runs the load and prints the table. Throws NODE_FAILED when an acknowledged amount is missing at the node. */
export async function fullLoad(ready: ReadyLine, admin: AdminClient, durationMs: number, say: Say): Promise<FullLoad> {
  // The first is replaced until claims are sent; from then on there is one a second.
  const take = () => {
    const taken = sample(ready.pid, admin);
    // It is awaited only after the load; where that fails first, its error is the one to tell.
    taken.catch(() => {});
    return taken;
  };
  let first = take();
  const samples: Promise<Sample>[] = [];
  const watcher = loadWatcher(1, durationMs, new Progress());
  const sampling: LoadWatcher = {
    ...watcher,
    progress: () => {
      if (samples.length === 0) first = take();
    },
    interval: (interval, waiting) => {
      samples.push(take());
      watcher.interval(interval, waiting);
    },
  };
  const bounds = { lossMax: 1, refusedMax: 1, sloMs: Number.POSITIVE_INFINITY };
  const { result } = await runLoad(
    {
      settings: settingsFor(ready, durationMs),
      to: `udp://${ready.udp}`,
      bounds,
      isRamp: false,
      replayFile: undefined,
      keepChannels: false,
      admins: [admin],
      seeds: undefined,
    },
    sampling,
  );
  const [step] = result.steps;
  if (step === undefined || result.reconciliation?.short !== 0)
    throw new ClaimwireError(
      'NODE_FAILED',
      `load: expected every acknowledged drop at the node, got: ${result.verdict.join(' ')}`,
    );
  const limit = limitOf(ready, await first, await (samples.at(-1) ?? first));
  const full: FullLoad = {
    claimsPerSecond: Math.round(step.ackedRate),
    p50Ms: step.latency.p50Ms,
    p99Ms: step.latency.p99Ms,
    backend: ready.backend,
    kernel: ready.kernel,
    sockets: ready.sockets,
    layout: ready.layout,
    signer: result.signer,
    ...limit,
  };
  for (const [label, text] of table(full, durationMs)) say(label, text);
  return full;
}

function settingsFor(ready: ReadyLine, durationMs: number): LoadSettings {
  // A new seed each time, since claims with an earlier run's amounts would be replays.
  const seed = Math.floor(Math.random() * 2 ** 32);
  return {
    ...LOAD_DEFAULTS,
    rates: [null],
    target: { protocol: 'udp', ...hostPort(ready.udp, 'udp') },
    seed,
    durationMs,
    // A short load is a look at the figures, and nobody waits for it to begin.
    warmupMs: Math.min(LOAD_DEFAULTS.warmupMs, durationMs),
  };
}

async function sample(pid: number, admin: AdminClient): Promise<Sample> {
  const at = performance.now();
  const { user, system } = process.cpuUsage();
  const nodeMs = processorMs(pid);
  const { counters }: NodeStats = await admin.stats();
  const number = (value: unknown) => (typeof value === 'number' ? value : 0);
  return {
    at,
    nodeMs,
    generatorMs: (user + system) / 1_000,
    busyMs: total(({ user, nice, sys, irq }) => user + nice + sys + irq),
    idleMs: total(({ idle }) => idle),
    syncWaitMs: number(counters.syncWaitUs) / 1_000,
    syncs: number(counters.syncs),
  };
}

function total(part: (times: CpuInfo['times']) => number): number {
  return cpus().reduce((sum, { times }) => sum + part(times), 0);
}

/** Processor time of another process so far, where there is /proc. */
function processorMs(pid: number): number | null {
  try {
    // The name in brackets may contain anything; user and system time are the 12th and 13th word after it.
    const words = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    return (Number(words[11]) + Number(words[12])) * TICK_MS;
  } catch {
    return null;
  }
}

/**
 * What limited the rate according to the samples, and what would raise it.
 * @param fault why there is no addon
 */
export function limitOf(
  { backend, kernel, sockets, verifiers }: Pick<ReadyLine, 'backend' | 'kernel' | 'sockets' | 'verifiers'>,
  first: Sample,
  last: Sample,
  fault = addonFault(),
): Pick<FullLoad, 'limitedBy' | 'fasterWith'> {
  const faster: string[] = [];
  if (backend !== 'native') faster.push(`the native kernel (${fault ?? '--backend auto'})`);
  else if (kernel !== 'avx512ifma') faster.push(`a processor with AVX-512 IFMA (the kernel here is ${kernel})`);
  if (sockets !== 'native') faster.push('native sockets (Linux, and the same addon)');
  const ms = Math.max(last.at - first.at, 1);
  const spent = (of: keyof Sample) => Number(last[of]) - Number(first[of]);
  const cores = availableParallelism();
  const isBusy = spent('busyMs') / Math.max(spent('busyMs') + spent('idleMs'), 1) >= BUSY_SHARE;
  const isDisk = spent('syncWaitMs') / (ms * verifiers) >= SYNC_SHARE;
  const shares = { node: spent('nodeMs') / ms, generator: spent('generatorMs') / ms, all: spent('busyMs') / ms };
  const { node, generator } = shares;
  const others = Math.max(0, shares.all - node - generator);
  const used = `node ${percent(node)}, generator ${percent(generator)}, others ${percent(others)} of ${cores} x 100 %`;
  if (isBusy) {
    faster.push('more cores', 'the generator on another machine');
    if (others > OTHERS_SHARE * cores) faster.push('a machine where nothing else runs');
    return { limitedBy: `the processor: ${used}`, fasterWith: faster };
  }
  if (isDisk) {
    const each = durationText(spent('syncWaitMs') / Math.max(spent('syncs'), 1));
    faster.push('a disk that syncs faster', 'claimwire node --durability os, where a loss of power may take claims');
    return {
      limitedBy: `the disk: ${countText((spent('syncs') * 1_000) / ms)} syncs/s, ${each} each`,
      fasterWith: faster,
    };
  }
  faster.push('more claims in flight (claimwire load --window)');
  return { limitedBy: `claims in flight, since the processor was not busy: ${used}`, fasterWith: faster };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function table(full: FullLoad, durationMs: number): [string, string][] {
  const { backend, kernel, layout, sockets, claimsPerSecond } = full;
  return [
    [
      'claims/s',
      `${claimsPerSecond} (${countText(claimsPerSecond)}): each verified, synced to the disk and acknowledged; ${LOAD_DEFAULTS.channels} channels, ${durationText(durationMs)}, every drop found again`,
    ],
    ['latency', `p50 ${durationText(full.p50Ms)}, p99 ${durationText(full.p99Ms)} at this rate`],
    [
      'runs on',
      `backend ${backend}${kernel === null ? '' : `, kernel ${kernel}`}, ${sockets} sockets, layout ${layout}`,
    ],
    ['limit', full.limitedBy],
    ['faster', `with ${full.fasterWith.join('; ')}`],
  ];
}
