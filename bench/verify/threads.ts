/**
 * bench:verify's threads: how fast one worker, then two, empty the same ring. Main thread; publishes, sleeps, checks.
 */
import { Worker } from 'node:worker_threads';
import type { ArenaShape } from '../../src/ring/arena.ts';
import { coreSeconds, KEY_CACHE_BYTES, median, type SignedRing } from './claims.ts';

/** Words of the control block. */
export const GO = 0; // rises by one for each pass
export const ACTIVE = 1; // how many workers take part
export const DONE = 2; // how many of these found the ring empty
const CONTROL_WORDS = 3;
const THREADS = 2;
/** How many passes of each kind a figure needs, and how long to try for them. */
const PASSES = 9;
const TRY_MS = 1_000;
/** The share of the cores' time that the threads must have had for a pass to count as undisturbed by other programs. */
const UNDISTURBED = 0.9;
const PASS_MS_MAX = 10_000;

export interface ThreadTask {
  memory: WebAssembly.Memory;
  shape: ArenaShape;
  control: Int32Array;
  thread: number;
  cacheBytes: number;
}

interface Pass {
  /** Claims a second. */
  rate: number;
  /** The rate if the threads had had their cores all the time. */
  undisturbedRate: number;
  isDisturbed: boolean;
}

/** One pass over the whole ring by `active` threads. */
function pass(signed: SignedRing, control: Int32Array, active: number): Pass {
  const claims = signed.ring.size;
  signed.publish(claims);
  Atomics.store(control, ACTIVE, active);
  Atomics.store(control, DONE, 0);
  const begin = performance.now();
  const coresSeconds = coreSeconds(() => {
    Atomics.add(control, GO, 1);
    Atomics.notify(control, GO);
    for (let done = 0; done < active; done = Atomics.load(control, DONE))
      if (Atomics.wait(control, DONE, done, PASS_MS_MAX) === 'timed-out')
        throw new Error(`expected ${active} threads to end a pass in ${PASS_MS_MAX} ms, got ${done}`);
  });
  const seconds = (performance.now() - begin) / 1_000;
  signed.check(claims, false);
  return {
    rate: claims / seconds,
    undisturbedRate: (claims * active) / coresSeconds,
    isDisturbed: coresSeconds < UNDISTURBED * active * seconds,
  };
}

/** Runs passes of one thread and of two in turns, until enough of each were undisturbed or the time is over. */
function measurePasses(signed: SignedRing, control: Int32Array): [Pass[], Pass[]] {
  const passes: [Pass[], Pass[]] = [[], []];
  const end = performance.now() + TRY_MS;
  while (!passes.every((list) => undisturbed(list).length >= PASSES) && performance.now() < end) {
    passes[0].push(pass(signed, control, 1));
    passes[1].push(pass(signed, control, THREADS));
  }
  return passes;
}

function undisturbed(passes: readonly Pass[]): Pass[] {
  return passes.filter((one) => !one.isDisturbed);
}

/** Rates of one thread and of two by wall time. With too few undisturbed passes it uses thread time, and says so. */
function ratesOf(passes: readonly [Pass[], Pass[]], note: (line: string) => void): number[] {
  const good = passes.map(undisturbed);
  if (good.every((list) => list.length >= PASSES)) return good.map((list) => median(list.map((one) => one.rate)));
  const shares = good.map((list, index) => `${list.length} of ${passes[index]!.length}`).join(' and ');
  note(`DISTURBED: one and two threads had their cores in ${shares} passes: rates are by their own time instead`);
  return passes.map((list) => median(list.map((one) => one.undisturbedRate)));
}

/** The rate of two threads, and its ratio to the rate of one. */
export async function measureThreads(
  signed: SignedRing,
  note: (line: string) => void,
): Promise<{ perSecond: number; ratio: number }> {
  const control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  const { memory, plan } = signed.arena;
  const workers = Array.from({ length: THREADS }, (_, thread) => {
    const task: ThreadTask = { memory, shape: plan.shape, control, thread, cacheBytes: KEY_CACHE_BYTES };
    return new Worker(new URL('./worker.js', import.meta.url), { workerData: task });
  });
  try {
    await Promise.all(
      workers.map((worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))),
    );
    const [one, two] = ratesOf(measurePasses(signed, control), note) as [number, number];
    return { perSecond: two, ratio: two / one };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
