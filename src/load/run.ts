/**
 * A whole load run: channels at the node, the generator thread, reconciliation, the result. Main thread.
 */
import { cpus, release, type } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ClaimwireError, ERROR_CODES } from '../errors.ts';
import type { AdminClient } from '../http/client.ts';
import { LoadChannels } from './channels.ts';
import type { GeneratorMessage, GeneratorTask } from './generator-thread.ts';
import { type NodeView, openLoadChannels, reconcile, viewNode } from './node-side.ts';
import { readReplay } from './replay.ts';
import type { Delivery, LoadInterval, LoadResult, LoadStep } from './result.ts';
import { arrivalsName } from './schedule.ts';
import { CONTROL_STOP, type LoadSettings, type ReplayClaims } from './settings.ts';
import { skewName } from './skew.ts';
import { judge } from './verdict.ts';

export interface LoadRun {
  settings: LoadSettings;
  /** As given, for the result. */
  to: string;
  sloMs: number | null;
  isRamp: boolean;
  /** A capture to be sent again; then no channels are opened, and none reconciled. */
  replayFile: string | undefined;
  admin: AdminClient;
}

/** Who watches; called while the run goes on. */
export interface LoadWatcher {
  progress(text: string): void;
  /** @param waiting claims without an answer so far */
  interval(interval: LoadInterval, waiting: number): void;
  step(step: LoadStep): void;
  /** Calls back when the run should stop and say what it has. */
  onStop(stop: () => void): void;
}

/** Throws NODE_UNREACHABLE, INPUT_INVALID and the like where it could not begin. */
export async function runLoad(run: LoadRun, watcher: LoadWatcher): Promise<LoadResult> {
  const { settings, admin } = run;
  const { channels, replay } = prepare(run);
  if (replay === undefined) await openLoadChannels(admin, channels, (text) => watcher.progress(text));
  const before = await ifReachable(() => viewNode(admin), watcher);
  const startedAt = new Date().toISOString();
  const control = new Int32Array(new SharedArrayBuffer(4));
  watcher.onStop(() => Atomics.store(control, CONTROL_STOP, 1));
  const task = { settings: settingsFor(settings, replay), channels: channels.shared, replay, control };
  const heard = await generate(task, watcher);
  const reconciliation = replay === undefined ? await ifReachable(() => reconcile(admin, channels), watcher) : null;
  const after = await ifReachable(() => viewNode(admin), watcher);
  const delivery = deliveryOf(heard, before, after);
  const isInterrupted = Atomics.load(control, CONTROL_STOP) !== 0;
  const { steps, sender, signer, failures, lastFailure } = heard;
  return {
    startedAt,
    machine: machineName(),
    node: process.version,
    to: run.to,
    sender,
    signer,
    target: after?.target ?? null,
    settings: describeSettings(run, channels.count),
    steps,
    reconciliation,
    delivery,
    ...judge({
      ...run,
      steps,
      signer,
      isReplay: replay !== undefined,
      reconciliation,
      delivery,
      failures,
      lastFailure,
      isInterrupted,
    }),
  };
}

function prepare({ settings, replayFile }: LoadRun): { channels: LoadChannels; replay: ReplayClaims | undefined } {
  if (replayFile !== undefined) return readReplay(replayFile);
  return { channels: LoadChannels.derive(settings.seed, settings.channels, settings.keys), replay: undefined };
}

/** A replay lasts as long as its capture, is all measured, and has the capture's datagrams. */
function settingsFor(settings: LoadSettings, replay: ReplayClaims | undefined): LoadSettings {
  if (replay === undefined) return settings;
  const isPaced = settings.rates.some((rate) => rate !== null);
  const durationMs = isPaced ? Number.MAX_SAFE_INTEGER : replay.offsets.at(-1)! + settings.drainMs;
  return { ...settings, warmupMs: 0, durationMs, perDatagram: replay.perDatagram };
}

interface Heard {
  steps: LoadStep[];
  sender: string;
  signer: string;
  sent: number;
  ackDrops: number;
  failures: number;
  lastFailure: string | undefined;
}

/** Runs the generator thread to its end. */
function generate(task: GeneratorTask, watcher: LoadWatcher): Promise<Heard> {
  const heard: Heard = { steps: [], sender: '', signer: '', sent: 0, ackDrops: 0, failures: 0, lastFailure: undefined };
  let isOver = false;
  const worker = new Worker(new URL('./generator-thread.js', import.meta.url), { workerData: task, name: 'generator' });
  worker.on('message', (message: GeneratorMessage) => {
    if (message.event === 'interval') watcher.interval(message.interval, message.waiting);
    else if (message.event === 'step') {
      heard.steps.push(message.step);
      watcher.step(message.step);
    } else {
      Object.assign(heard, message);
      isOver = message.event === 'over';
    }
  });
  return new Promise((resolve, reject) => {
    worker.once('error', (error) => reject(asRunError(error, task.settings)));
    worker.once('exit', () => {
      if (isOver) resolve(heard);
      else reject(new Error('the generator thread ended by itself'));
    });
  });
}

/** Errors keep their codes across threads, and lose their class. */
function asRunError(error: Error, { target }: LoadSettings): Error {
  const { code } = error as NodeJS.ErrnoException;
  const known = ERROR_CODES.find((name) => name === code);
  if (known !== undefined) return new ClaimwireError(known, error.message, {}, { cause: error });
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  const { protocol, host, port } = target;
  const message = `--to ${protocol}://${host}:${port}: expected a node that can be reached, got ${code}; check host and port`;
  return new ClaimwireError('NODE_UNREACHABLE', message, {}, { cause: error });
}

/** A node that died meanwhile, or a replay's that has no admin interface here: the result says so by having none. */
async function ifReachable<Answer>(ask: () => Promise<Answer>, watcher: LoadWatcher): Promise<Answer | null> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ClaimwireError) || error.code !== 'NODE_UNREACHABLE') throw error;
    watcher.progress(error.message);
    return null;
  }
}

function deliveryOf({ sent, ackDrops }: Heard, before: NodeView | null, after: NodeView | null): Delivery | null {
  if (before === null || after === null) return null;
  return {
    sent,
    received: after.received - before.received,
    verified: after.verified - before.verified,
    nodeDrops: after.drops - before.drops,
    ackDrops,
  };
}

function describeSettings({ settings, sloMs }: LoadRun, channels: number): LoadResult['settings'] {
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
    sloMs,
    durationSeconds: durationMs / 1_000,
    warmupSeconds: warmupMs / 1_000,
    faults: { ...faults },
  };
}

function machineName(): string {
  const cores = cpus();
  return `${cores[0]?.model.trim() ?? 'unknown CPU'}, ${cores.length} cores, ${type()} ${release()}`;
}
