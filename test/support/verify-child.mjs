/**
 * A process that verifies with one kernel: the native one picks its instruction set once a process, so each forced kernel
 * needs a process of its own. Plain JavaScript over the compiled sources. One thread; it owns its arena and its copies
 * of what it is sent. Arguments: native or wasm, then the bytes of the key-table cache.
 */
import { loadAddon } from '../../dist/src/native/addon.js';
import { Arena } from '../../dist/src/ring/arena.js';
import { ClaimRing } from '../../dist/src/ring/claim-ring.js';
import { KernelBackend } from '../../dist/src/verify/kernel-backend.js';
import { NativeKernel } from '../../dist/src/verify/native.js';
import { WasmKernel, wasmKernelBytes } from '../../dist/src/verify/wasm.js';

const [name, cacheText] = process.argv.slice(2);
const start = { cacheBytes: Number(cacheText), threads: 1, thread: 0 };
/** Throw-away keys that a wasm kernel has room for. */
const THROWAWAY_KEYS = 64;
const kernelBytes = name === 'wasm' ? wasmKernelBytes(start, THROWAWAY_KEYS) : 0;
const SMALL = { rings: 1, ringSlots: 8, ackSlots: 8, threads: 1, channelsMax: 8 };

/** A kernel and an arena that it can be attached to. A wasm kernel lives in its arena, a native one in the process. */
function kernelAndArena(shape) {
  const arena = Arena.create({ ...shape, kernelBytes });
  return { arena, kernel: name === 'wasm' ? new WasmKernel(arena, start) : new NativeKernel(start.cacheBytes) };
}

const CALLS = {
  /** Verifies tuples in calls of `sizes`, repeatedly; returns a verdict for each. `kind`: of table, where not what keys earn. */
  tuples({ digests, signatures, keys, sizes, path, kind }) {
    kernel.forceTables(kind);
    const count = keys.length / 33;
    const verdicts = new Uint8Array(count);
    for (let first = 0, call = 0; first < count; call++) {
      const end = Math.min(count, first + sizes[call % sizes.length]);
      const part = (bytes, width) => bytes.subarray(first * width, end * width);
      const judged = new Uint8Array(end - first);
      kernel.verifyMany(part(digests, 32), part(signatures, 64), part(keys, 33), judged, path);
      verdicts.set(judged, first);
      first = end;
    }
    return { verdicts, stats: kernel.stats() };
  },

  /** An arena's content, judged by [first sequence, count] calls; the content afterwards. `tables`: keys that have one, by its kind. */
  slots({ shape, bytes, calls, tables }) {
    const own = kernelAndArena(shape);
    for (const [kind, keys] of tables.entries())
      if (keys.length > 0 && !own.kernel.warmKeys(kind, keys)) throw new Error(`no room for tables of kind ${kind}`);
    own.arena.bytes.set(bytes, kernelBytes);
    const backend = new KernelBackend(name, own.kernel, own.arena, new ClaimRing(own.arena, 0));
    for (const [first, count] of calls) backend.verifySlots(first, count);
    return { bytes: own.arena.bytes.slice(kernelBytes, kernelBytes + bytes.length) };
  },

  /** An arena's content, signed by [first sequence, count] calls; the content afterwards, and how many each call signed. */
  sign({ shape, bytes, privateKeys, nonceSeeds, calls }) {
    const { arena, kernel } = kernelAndArena(shape);
    arena.bytes.set(bytes, kernelBytes);
    kernel.attach(arena, new ClaimRing(arena, 0));
    const signer = name === 'wasm' ? kernel : loadAddon();
    signer.throwawaySigner(privateKeys, nonceSeeds);
    const counts = calls.map(([first, count]) => signer.throwawaySignSlots(first, count));
    return { bytes: arena.bytes.slice(kernelBytes, kernelBytes + bytes.length), counts };
  },

  keys({ keys }) {
    return { valid: keys.map((key) => kernel.keyValid(key)) };
  },
};

let kernel;
try {
  kernel = kernelAndArena(SMALL).kernel;
  process.send({ kernel: kernel.kernelName });
} catch (error) {
  process.send({ fault: error.message });
  process.disconnect();
}
process.on('message', ({ call, ...what }) => {
  try {
    process.send(CALLS[call](what));
  } catch (error) {
    process.send({ fault: error.message });
  }
});
