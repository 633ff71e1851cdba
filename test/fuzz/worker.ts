/** The worker thread of `make fuzz`: runs the loop over one target and sends what it found. */
import { parentPort, workerData } from 'node:worker_threads';
import { loop, smallest } from './loop.ts';

const found = await loop();
const kept =
  (workerData as { isMinimised: boolean }).isMinimised && !found.failure ? await smallest(found.kept) : found.kept;
parentPort!.postMessage({ ...found, kept });
