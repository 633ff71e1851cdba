/** bench:verify's threads: the node's verify step over the native kernel, one pass at a time. A worker thread that owns no memory. */
import { parentPort, workerData } from 'node:worker_threads';
import { ChannelTable } from '../../src/channel/table.ts';
import { VerifyStep } from '../../src/path/verify-step.ts';
import { Arena } from '../../src/ring/arena.ts';
import { ClaimRing } from '../../src/ring/claim-ring.ts';
import { createBackend } from '../../src/verify/select.ts';
import { ACTIVE, DONE, GO, type ThreadTask } from './threads.ts';

const { memory, shape, control, thread, cacheBytes } = workerData as ThreadTask;
const arena = new Arena(memory, shape);
const ring = new ClaimRing(arena, 0);
const backend = createBackend('native', arena, ring, new ChannelTable(arena), { cacheBytes, threads: 1, thread });
const step = new VerifyStep(ring, backend);

parentPort?.postMessage('ready');
for (let go = 0; ; ) {
  Atomics.wait(control, GO, go);
  go = Atomics.load(control, GO);
  if (thread >= Atomics.load(control, ACTIVE)) continue;
  while (step.step() > 0);
  Atomics.add(control, DONE, 1);
  Atomics.notify(control, DONE);
}
