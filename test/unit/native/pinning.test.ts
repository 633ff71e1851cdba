/** In a thread of its own, since the pinned one stays pinned. */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { isNativeTested } from '../../support/native-only.ts';

test.runIf(isNativeTested && process.platform === 'linux')(
  'a thread is pinned to one core, and those beside it are not',
  async () => {
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
     const allowed = () => /Cpus_allowed_list:\\s*(\\S+)/.exec(require('node:fs').readFileSync('/proc/thread-self/status', 'utf8'))[1];
     const before = allowed();
     const cores = [0, 1, 4096].map((n) => [require(workerData).pinThread(n), allowed()]);
     parentPort.postMessage({ before, cores, slack: require(workerData).timerSlack(1) });`,
      { eval: true, workerData: new URL('../../../build/claimwire.node', import.meta.url).pathname },
    );
    const { before, cores, slack } = await new Promise<{ before: string; cores: [number, string][]; slack: boolean }>(
      (resolve, reject) => worker.once('message', resolve).once('error', reject),
    );
    expect(slack).toBe(true);
    for (const [core, allowed] of cores) expect(allowed).toBe(String(core));
    if (before.includes('-') || before.includes(',')) expect(cores[1]![0]).not.toBe(cores[0]![0]);
    await worker.terminate();
  },
);
