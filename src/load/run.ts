/**
 * A whole load run: channels at the node, the generator thread, reconciliation, the result. Main thread.
 */
import { cpus, release, type } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ClaimwireError, ERROR_CODES } from '../errors.ts';
import type { AdminClient } from '../http/client.ts';
import { LoadChannels } from './channels.ts';
import { ClusterAdmin } from './cluster/cluster-admin.ts';
import { RouteWatch } from './cluster/route-watch.ts';
import type { GeneratorEnd, GeneratorMessage, GeneratorOrder, GeneratorTask } from './generator-thread.ts';
import {
  ifReachable,
  type LoadAdmin,
  NodeCounts,
  openLoadChannels,
  reconcile,
  removeLoadChannels,
} from './node-side.ts';
import { readReplay } from './replay.ts';
import type { LoadInterval, LoadResult, LoadStep } from './result.ts';
import { arrivalsName } from './schedule.ts';
import { CONTROL_STOP, CONTROL_WORDS, type LoadBounds, type LoadSettings, type ReplayClaims } from './settings.ts';
import { skewName } from './skew.ts';
import { judge } from './verdict.ts';

export interface LoadRun {
  settings: LoadSettings;
  /** The target as the user gave it, for the result. */
  to: string;
  bounds: LoadBounds;
  isRamp: boolean;
  /** A capture to send again; then no channels are opened and nothing is reconciled. */
  replayFile: string | undefined;
  /** Leaves the run's channels at the node, open. */
  keepChannels: boolean;
  /** Of the node, or of all nodes of a cluster. */
  admins: readonly AdminClient[];
  /**
   * Channels that are open at the node already, with nothing committed but what this says. They are neither opened nor removed
   * nor reconciled: that is the caller's, who has them afterwards. For benches with more channels than one wants to list.
   */
  opened?: LoadChannels;
  /** Over a cluster: addresses of some of its nodes, `udp://HOST:PORT` each. */
  seeds: readonly string[] | undefined;
}

/** Hears of the run while it goes on. */
export interface LoadWatcher {
  progress(text: string): void;
  /** @param waiting claims without an answer so far */
  interval(interval: LoadInterval, waiting: number): void;
  step(step: LoadStep): void;
  /** Calls back when the run should stop and say what it has. */
  onStop(stop: () => void): void;
}

/** A run's result, and why its capture could not be written. */
export interface LoadOutcome {
  result: LoadResult;
  captureFault: string | undefined;
}

/** Throws NODE_UNREACHABLE, INPUT_INVALID and similar errors if the run cannot begin. */
export async function runLoad(run: LoadRun, watcher: LoadWatcher): Promise<LoadOutcome> {
  const { seed, channels: count, keys } = run.settings;
  const { channels, replay } =
    run.replayFile === undefined
      ? { channels: run.opened ?? LoadChannels.derive(seed, count, keys), replay: undefined }
      : readReplay(run.replayFile);
  const control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  watcher.onStop(() => Atomics.store(control, CONTROL_STOP, 1));
  const settings = settingsFor(run.settings, replay);
  const task = { settings, channels: channels.shared, replay, control, map: undefined };
  const [single] = run.admins as [AdminClient];
  if (replay !== undefined || run.opened !== undefined)
    return measure({ run, channels, admin: single, route: undefined }, task, watcher);
  const { keepChannels } = run;
  const route = run.seeds && (await RouteWatch.start(run.seeds));
  const admin = route === undefined ? single : new ClusterAdmin(run.admins, () => route.map);
  const progress = (text: string) => watcher.progress(text);
  try {
    await openLoadChannels(admin, channels, progress);
    return await measure({ run, channels, admin, route }, { ...task, map: route?.current }, watcher);
  } finally {
    // This happens also when the run failed, since throw-away channels must not stay among the operator's.
    if (!keepChannels)
      await removeLoadChannels(admin, channels, progress).catch((error: Error) =>
        progress(`the run's channels stay at the node: ${error.message}`),
      );
    await route?.close();
  }
}

/** A run whose channels are open. */
interface OpenRun {
  run: LoadRun;
  channels: LoadChannels;
  admin: LoadAdmin;
  route: RouteWatch | undefined;
}

async function measure(
  { run, channels, admin, route }: OpenRun,
  task: GeneratorTask,
  watcher: LoadWatcher,
): Promise<LoadOutcome> {
  const isReplay = task.replay !== undefined;
  const unreachable = (error: ClaimwireError) => watcher.progress(error.message);
  const counts = await NodeCounts.begin(admin, unreachable);
  const startedAt = new Date().toISOString();
  const { steps, end } = await generate(task, { counts, route }, watcher);
  const reconciliation =
    isReplay || run.opened !== undefined ? null : await ifReachable(() => reconcile(admin, channels), unreachable);
  const isInterrupted = Atomics.load(task.control, CONTROL_STOP) !== 0;
  const delivery = counts.whole;
  const result: LoadResult = {
    startedAt,
    machine: machineName(),
    node: process.version,
    to: run.to,
    sender: end.sender,
    signer: end.signer,
    target: counts.target,
    settings: describeSettings(run, channels.count),
    steps,
    reconciliation,
    delivery,
    ...judge({ ...run, ...end, steps, isReplay, reconciliation, delivery, isInterrupted }),
  };
  return { result, captureFault: end.captureFault };
}

/** A replay takes its duration and datagrams from the capture, and has no warm-up. */
function settingsFor(settings: LoadSettings, replay: ReplayClaims | undefined): LoadSettings {
  if (replay === undefined) return settings;
  const isPaced = settings.rates.some((rate) => rate !== null);
  const durationMs = isPaced ? Number.MAX_SAFE_INTEGER : replay.offsets.at(-1)! + settings.drainMs;
  return { ...settings, warmupMs: 0, durationMs, perDatagram: replay.perDatagram };
}

/** Runs the generator thread to its end. */
function generate(
  task: GeneratorTask,
  { counts, route }: { counts: NodeCounts; route: RouteWatch | undefined },
  watcher: LoadWatcher,
): Promise<{ steps: LoadStep[]; end: GeneratorEnd }> {
  const steps: LoadStep[] = [];
  let end: GeneratorEnd | undefined;
  const worker = new Worker(new URL('./generator-thread.js', import.meta.url), { workerData: task, name: 'generator' });
  const order = (what: GeneratorOrder) => worker.postMessage(what);
  route?.follow(task.control, order);
  const over = new Promise<{ steps: LoadStep[]; end: GeneratorEnd }>((resolve, reject) => {
    const fail = (error: Error) => {
      reject(error);
      void worker.terminate();
    };
    worker.on('message', (message: GeneratorMessage) => {
      if (message.event === 'interval') watcher.interval(message.interval, message.waiting);
      else if (message.event === 'step') {
        const { step, totals } = message;
        const counted = counts.step(totals).then((beside) => {
          steps.push({ ...step, ...beside });
          watcher.step({ ...step, ...beside });
          order('next');
        });
        counted.catch(fail);
      } else end = message;
    });
    worker.once('error', (error) => reject(asRunError(error, task.settings)));
    worker.once('exit', () => {
      if (end !== undefined) resolve({ steps, end });
      else reject(new Error('the generator thread ended by itself'));
    });
  });
  return over.finally(() => route?.unfollow());
}

/** An error that crosses threads keeps its code and loses its class. */
function asRunError(error: Error, { target }: LoadSettings): Error {
  const { code } = error as NodeJS.ErrnoException;
  const known = ERROR_CODES.find((name) => name === code);
  if (known !== undefined) return new ClaimwireError(known, error.message, {}, { cause: error });
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  const { protocol, host, port } = target;
  const message = `--to ${protocol}://${host}:${port}: expected a node that can be reached, got ${code}; check host and port`;
  return new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause: error });
}

function describeSettings({ settings, bounds }: LoadRun, channels: number): LoadResult['settings'] {
  const { keys, perDatagram, arrivals, zipf, sockets, window, seed, durationMs, warmupMs, faults } = settings;
  return {
    channels,
    keys,
    perDatagram,
    arrivals: arrivalsName(arrivals),
    skew: skewName(zipf),
    sockets,
    window,
    seed,
    ...bounds,
    durationSeconds: durationMs / 1_000,
    warmupSeconds: warmupMs / 1_000,
    faults: { ...faults },
  };
}

export function machineName(): string {
  const cores = cpus();
  return `${cores[0]?.model.trim() ?? 'unknown CPU'}, ${cores.length} cores, ${type()} ${release()}`;
}
