/**
 * A verifying thread of the key-cache tests: one of several over one cache. Plain JavaScript over the compiled sources,
 * since a worker of Node 20 runs no TypeScript. The tuples are shared memory that it reads; verdicts are its own.
 *
 * A job is a list of rounds, each a few runs of tuples [first, count]; every round begins in all threads at once.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Arena } from '../../dist/src/ring/arena.js';
import { NativeKernel } from '../../dist/src/verify/native.js';
import { WasmKernel } from '../../dist/src/verify/wasm.js';

const { backend, memory, shape, start } = workerData;
const kernel =
  backend === 'wasm' ? new WasmKernel(new Arena(memory, shape), start) : new NativeKernel(start.cacheBytes);
const BATCH = 0;

/** Waits until every thread is here: a spin, so that they leave within nanoseconds of each other. */
function meet(gate, arrivals) {
  Atomics.add(gate, 0, 1);
  while (Atomics.load(gate, 0) < arrivals);
}

function judge({ digests, signatures, keys }, first, count) {
  const verdicts = new Uint8Array(count);
  const part = (bytes, width) => bytes.subarray(first * width, (first + count) * width);
  kernel.verifyMany(part(digests, 32), part(signatures, 64), part(keys, 33), verdicts, BATCH);
  return verdicts;
}

parentPort.on('message', ({ tuples, gate, workers, rounds, kind }) => {
  kernel.forceTables(kind);
  const verdicts = rounds.map((runs, round) => {
    meet(gate, workers * (round + 1));
    return runs.map(([first, count]) => judge(tuples, first, count));
  });
  parentPort.postMessage(verdicts);
});
parentPort.postMessage(kernel.kernelName);
