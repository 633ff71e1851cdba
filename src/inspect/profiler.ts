/**
 * A CPU profile of every thread of this process. Main thread; the threads have no code for it.
 *
 * Node's inspector, in this process and without a port, reaches each worker through its domain NodeWorker. A message stops
 * the worker's JavaScript at its next check, also in a loop that never returns to its event loop, and wakes it from
 * Atomics.wait, which then goes on. A thread that is in C meanwhile, or waits for a disk, takes it when that returns; one
 * that has not answered by then is told as silent.
 */
import { Session } from 'node:inspector';
import { isMainThread } from 'node:worker_threads';
import type { CpuProfile, NodeProfile, ThreadProfile } from '../control/inspect-control.ts';
import { ClaimwireError } from '../errors.ts';

/** Between two samples of a thread. Each costs it some microseconds. */
const SAMPLE_US = 1_000;
/** More than a batch of signatures, or a sync of a slow disk. */
const START_MS_MAX = 2_000;
const STOP_MS_MAX = 4_000;

interface Target {
  readonly name: string;
  post(method: string, params?: object): Promise<unknown>;
}

interface Attached {
  sessionId: string;
  workerInfo: { title: string };
}

let isBusy = false;

/** Profiles all threads for some seconds, or until `signal` aborts. Throws NODE_BUSY while another profile is made. */
export async function profileThreads(
  seconds: number,
  signal?: AbortSignal,
): Promise<Omit<NodeProfile, 'addonFunctions'>> {
  if (isBusy)
    throw new ClaimwireError('NODE_BUSY', 'profiles: expected one at a time, got one more; try again shortly');
  isBusy = true;
  const session = new Session();
  session.connect();
  try {
    const targets = await targetsOf(session);
    const silent: string[] = [];
    const at = Date.now();
    const started: Target[] = [];
    await Promise.all(
      targets.map(async (target) => {
        if (await inTime(start(target), START_MS_MAX)) started.push(target);
        else silent.push(target.name);
      }),
    );
    const since = performance.now();
    await pause(seconds * 1_000, signal);
    const taken = (performance.now() - since) / 1_000;
    const threads: ThreadProfile[] = [];
    await Promise.all(
      started.map(async (target) => {
        const result = await inTime(target.post('Profiler.stop'), STOP_MS_MAX);
        const profile = (result as { profile?: CpuProfile } | undefined)?.profile;
        if (profile === undefined) silent.push(target.name);
        else threads.push({ name: target.name, profile });
      }),
    );
    const order = (name: string) => targets.findIndex((target) => target.name === name);
    threads.sort((a, b) => order(a.name) - order(b.name));
    return { at, seconds: Math.round(taken * 1_000) / 1_000, nodeVersion: process.versions.node, threads, silent };
  } finally {
    // A thread that did not answer ends its profile when it takes this.
    if (isMainThread) session.post('NodeWorker.disable');
    session.disconnect();
    isBusy = false;
  }
}

async function start({ post }: Target): Promise<true> {
  await post('Profiler.enable');
  await post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
  await post('Profiler.start');
  return true;
}

/** The main thread and every worker, in the order in which they were started. */
async function targetsOf(session: Session): Promise<Target[]> {
  const post = (method: string, params: object = {}) =>
    new Promise<unknown>((resolve, reject) => {
      session.post(method, params, (error, result) => (error ? reject(asError(error)) : resolve(result)));
    });
  const attached: Attached[] = [];
  const answers = new Map<string, (message: { result?: unknown; error?: { message: string } }) => void>();
  session.on('NodeWorker.attachedToWorker', ({ params }) => attached.push(params as Attached));
  session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
    const message = JSON.parse(params.message);
    answers.get(`${params.sessionId} ${message.id}`)?.(message);
  });
  if (!isMainThread)
    throw new ClaimwireError(
      'NODE_FAILED',
      'profile: expected a node that was started in the main thread of its process, got one in a worker, which cannot reach other threads',
    );
  await post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  let id = 0;
  const send =
    (sessionId: string) =>
    (method: string, params: object = {}) =>
      new Promise<unknown>((resolve, reject) => {
        const key = `${sessionId} ${++id}`;
        answers.set(key, ({ result, error }) => {
          answers.delete(key);
          if (error === undefined) resolve(result);
          else reject(asError(error));
        });
        post('NodeWorker.sendMessageToWorker', { sessionId, message: JSON.stringify({ id, method, params }) }).catch(
          reject,
        );
      });
  const names = namesOf(attached.map(({ workerInfo }) => workerInfo.title));
  const workers = attached.map(({ sessionId }, index) => ({ ...names[index]!, post: send(sessionId) }));
  return [{ name: 'main', post }, ...workers.sort((a, b) => a.thread - b.thread)];
}

/** "[worker 3] lane" as "lane 1": several threads of a name are numbered in the order of their start. */
export function namesOf(titles: readonly string[]): { name: string; thread: number }[] {
  const parts = titles.map((title) => {
    const [, thread, name] = /^\[worker (\d+)\] ?(.*)$/.exec(title) ?? [];
    return { name: name || 'worker', thread: Number(thread ?? 0) };
  });
  return parts.map(({ name, thread }) => {
    const same = parts.filter((other) => other.name === name).sort((a, b) => a.thread - b.thread);
    if (same.length === 1) return { name, thread };
    return { name: `${name} ${same.findIndex((other) => other.thread === thread)}`, thread };
  });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String((error as { message?: string }).message));
}

/** The result, or undefined where it takes too long or fails: a thread may end meanwhile. */
async function inTime<Result>(work: Promise<Result>, milliseconds: number): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined);
  });
  try {
    return await Promise.race([work.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(end, milliseconds);
    function end(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    }
    signal?.addEventListener('abort', end);
  });
}
