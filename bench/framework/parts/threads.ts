/**
 * How verification grows with threads: 1, 2, 3 … threads empty the same ring together.
 *
 * Each count has two rates: by wall time, as far as there are cores, and by the threads' own processor time, as if each had a
 * core of its own. The second shows what threads cost each other in shared memory and caches, also with more threads than
 * cores; not what memory bandwidth and clock speed would cost. Main thread of a process of its own; workers of this file.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { ChannelTable } from '../../../src/channel/table.ts';
import { assert } from '../../../src/errors.ts';
import { VerifyStep } from '../../../src/path/verify-step.ts';
import { Arena, type ArenaShape } from '../../../src/ring/arena.ts';
import { ClaimRing } from '../../../src/ring/claim-ring.ts';
import { createBackend } from '../../../src/verify/select.ts';
import type { PartArgs, PartResult } from '../part.ts';
import { VerifyRig } from '../verify-rig.ts';

/** Words of the control block. */
const GO = 0; // rises by one for each pass
const ACTIVE = 1; // how many workers take part
const DONE = 2; // how many of these found the ring empty
const CONTROL_WORDS = 3;
const KEYS = 1_000;
const CACHE_BYTES = 256 * 2 ** 20;
/** Large enough that a pass takes some ten milliseconds on each of the threads. */
const SLOTS = 32_768;
/** Small enough that every thread gets its share of the ring. */
const CLAIMS_AT_ONCE = 256;
const WARM_SECONDS = 5;
const PASS_MS_MAX = 20_000;
const THREADS_MAX = 64;
/** The share of the cores' time that the threads must have had for a pass by wall time to count. */
const UNDISTURBED = 0.9;

interface Task {
  memory: WebAssembly.Memory;
  shape: ArenaShape;
  control: Int32Array;
  thread: number;
  threads: number;
}

export async function measureThreads({ effort }: PartArgs): Promise<PartResult> {
  const cores = availableParallelism();
  const counts = countsFor(cores);
  const most = counts.at(-1)!;
  const rig = new VerifyRig(KEYS, CACHE_BYTES, SLOTS);
  rig.warm(KEYS, WARM_SECONDS);
  const control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  const { memory, plan } = rig.arena;
  const workers = Array.from({ length: most }, (_, thread) => {
    const task: Task = { memory, shape: plan.shape, control, thread, threads: most };
    return new Worker(fileURLToPath(import.meta.url), { workerData: task });
  });
  await Promise.all(
    workers.map((worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))),
  );
  const result: PartResult = { threads: counts, cores: [cores] };
  for (const count of counts) Object.assign(result, { [`wall.${count}`]: [], [`own.${count}`]: [] });
  const end = performance.now() + effort.seconds * 1_000;
  for (let round = -1; round < effort.roundsMax; round++) {
    if (round >= effort.roundsMin && performance.now() >= end) break;
    for (const count of round % 2 === 0 ? counts : counts.toReversed()) {
      const { wall, own, isDisturbed } = pass(rig, control, count);
      // The first round warms every worker up.
      if (round < 0) continue;
      if (!isDisturbed) result[`wall.${count}`]!.push(wall);
      result[`own.${count}`]!.push(own);
    }
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return result;
}

/** Up to twice the cores, and at least so many that the law's three parameters and held-out points have enough. */
function countsFor(cores: number): number[] {
  const most = Math.min(THREADS_MAX, Math.max(8, 2 * cores));
  return [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64].filter((count) => count <= most);
}

/** One pass over the whole ring by `active` threads. */
function pass(
  rig: VerifyRig,
  control: Int32Array,
  active: number,
): { wall: number; own: number; isDisturbed: boolean } {
  let wallSeconds = 0;
  const ownSeconds = rig.judged(() => {
    const begin = performance.now();
    Atomics.store(control, ACTIVE, active);
    Atomics.store(control, DONE, 0);
    Atomics.add(control, GO, 1);
    Atomics.notify(control, GO);
    for (let done = 0; done < active; done = Atomics.load(control, DONE))
      assert(Atomics.wait(control, DONE, done, PASS_MS_MAX) !== 'timed-out', `${active} threads end a pass`);
    wallSeconds = (performance.now() - begin) / 1_000;
  }, 'by others');
  return {
    wall: SLOTS / wallSeconds,
    own: (SLOTS * active) / ownSeconds,
    isDisturbed: ownSeconds < UNDISTURBED * active * wallSeconds,
  };
}

/** A worker: the node's verify step over the native kernel, one pass at a time. */
function work({ memory, shape, control, thread, threads }: Task): void {
  const arena = new Arena(memory, shape);
  const ring = new ClaimRing(arena, 0);
  const backend = createBackend('native', arena, ring, new ChannelTable(arena), {
    cacheBytes: CACHE_BYTES,
    threads,
    thread,
  });
  const step = new VerifyStep(ring, backend, CLAIMS_AT_ONCE);
  parentPort!.postMessage('ready');
  for (let go = 0; ; ) {
    Atomics.wait(control, GO, go);
    go = Atomics.load(control, GO);
    if (thread >= Atomics.load(control, ACTIVE)) continue;
    while (step.step() > 0);
    Atomics.add(control, DONE, 1);
    Atomics.notify(control, DONE);
  }
}

if (!isMainThread && (workerData as Task | null)?.control !== undefined) work(workerData as Task);
