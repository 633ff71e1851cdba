/** Profiles threads that compute, sleep, or wait for another program, and prints what came of it. Run by test/unit/inspect/profiler.test.ts. */
import { Worker } from 'node:worker_threads';
import { profileThreads } from '../../dist/src/inspect/profiler.js';

const BEGIN = `const { parentPort } = require('node:worker_threads');
const word = new Int32Array(new SharedArrayBuffer(4));
const sleep = (ms) => Atomics.wait(word, 0, 0, ms);
function compute() { for (const at = performance.now(); performance.now() - at < 5; ); }
parentPort.postMessage(0);
`;
for (const [name, code] of [
  ['busy', 'for (;;) { compute(); sleep(20); }'],
  ['asleep', 'sleep(600000);'],
  ['gone', "require('node:child_process').execFileSync('sleep', ['3']);"],
]) {
  const worker = new Worker(BEGIN + code, { eval: true, name });
  await new Promise((resolve) => worker.once('message', resolve));
}
const summary = ({ threads, silent, seconds }) => ({
  silent,
  seconds,
  names: threads.map(({ name }) => name),
  functions: threads.flatMap(({ profile }) => profile.nodes.map(({ callFrame }) => callFrame.functionName)),
  matches: threads.map(({ profile }) => profile.samples.length === profile.timeDeltas.length),
});
const running = profileThreads(0.2);
const second = await profileThreads(0.2).catch(({ code }) => code);
let first = summary(await running);
// On a busy machine a fifth of a second may go by without a core for the thread that computes, and several in which the one that is gone
// comes back.
for (let again = 0; again < 20 && !first.functions.includes('compute'); again++)
  first = { ...first, functions: summary(await profileThreads(0.2)).functions };
const aborted = summary(await profileThreads(60, AbortSignal.timeout(50)));
process.stdout.write(JSON.stringify({ first, second, aborted }), () => process.exit());
