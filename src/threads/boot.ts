/**
 * The entry of every worker thread: builds its parts and runs its role. An exception ends the thread and with it the node.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { pinThisThread } from '../native/pinning.ts';
import { runCommitter } from './committer.ts';
import type { ThreadContext, ThreadReady } from './context.ts';
import { runLane } from './lane.ts';
import { runNet } from './net.ts';
import { ThreadParts } from './parts.ts';
import { runVerifier } from './verifier.ts';
import { warmUp } from './warm-up.ts';

const ROLES = { net: runNet, verifier: runVerifier, committer: runCommitter, lane: runLane } as const;

const context = workerData as ThreadContext;
if (context.pin) pinThisThread(context.thread);
const parts = new ThreadParts(context);
if (context.role === 'lane') await warmUp(parts);
await ROLES[context.role](parts, (message: ThreadReady) => parentPort?.postMessage(message));
