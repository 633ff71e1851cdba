/**
 * Calls the C addon while system calls and allocations of it fail, in a process of its own. Each test says which call fails how, and
 * what the addon's caller is told. Arguments: the addon, the preloaded library.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { ADDON, addon, arm, armed, failing } from './failing-calls-rig.mjs';
import './failing-calls-sockets.mjs';

const { EAGAIN, EINVAL, EMFILE, ENOMEM, EPERM } = constants.errno;

test('without memory a path, a group and keys are refused with a code', () => {
  const refused = (fault, call, code) => {
    assert.throws(() => failing(fault, call), { code });
    assert.equal(armed(), 0);
  };
  refused(['calloc', ENOMEM], () => addon.pathOpen(), 'ERR_CLAIMWIRE_PATH');
  refused(['calloc', ENOMEM], () => addon.pathGroup(), 'ERR_CLAIMWIRE_PATH');
  addon.start(1 << 20);
  const ones = new Uint8Array(32).fill(1);
  refused(['aligned_alloc', ENOMEM], () => addon.throwawaySigner(ones, ones), 'ERR_CLAIMWIRE_ARGUMENT');
  addon.throwawaySigner(ones, ones);
  addon.throwawaySigner(ones, ones);
});

test('huge pages, cores of their own and batch scheduling that the system denies are told as such', () => {
  const large = new Uint8Array(8 << 20);
  assert.equal(
    failing(['madvise', EINVAL], () => addon.hugePages(large)),
    false,
  );
  assert.equal(
    failing(['sched_getaffinity', EPERM], () => addon.pinThread(0)),
    -1,
  );
  assert.equal(
    failing(['sched_setaffinity', EPERM], () => addon.pinThread(1)),
    -1,
  );
  assert.equal(
    failing(['prctl', EPERM], () => addon.timerSlack(50_000)),
    false,
  );
  assert.equal(
    failing(['pthread_create', EAGAIN], () => addon.mayScheduleIdle()),
    false,
  );
  assert.equal(
    failing(['sched_setscheduler', EPERM], () => addon.mayScheduleIdle()),
    false,
  );
  assert.equal(
    failing(['sched_setscheduler', EPERM, { skip: 1 }], () => addon.mayScheduleIdle()),
    false,
  );
  assert.equal(
    failing(['sched_setscheduler', EPERM], () => addon.scheduleBatch()),
    false,
  );
  assert.equal(
    failing(['opendir', EMFILE], () => addon.scheduleIdle(false)),
    false,
  );
  assert.equal(
    failing(['sched_setscheduler', EPERM], () => addon.scheduleIdle(false)),
    false,
  );
  assert.equal(addon.scheduleIdle(false), true);
});

test('a hiccup meter that cannot begin does so when it is read again', async () => {
  const counts = new Float64Array(240);
  const total = () => {
    addon.hiccups(counts);
    return counts.reduce((sum, count) => sum + count, 0);
  };
  assert.equal(failing(['pthread_create', EAGAIN], total), 0);
  assert.equal(failing(['dlopen', ENOMEM], total), 0);
  const end = Date.now() + 5_000;
  while (total() === 0 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.ok(total() > 0);
});

/** What a thread says that runs `program` with the addon's path, while an allocation of the addon fails. */
async function inWorker(fault, program) {
  arm(fault[0], fault[1], -1, fault[2] ?? 0, 1);
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     parentPort.postMessage((${program})(workerData));`,
    { eval: true, workerData: ADDON },
  );
  const [answer] = await once(worker, 'message');
  assert.equal(armed(), 0);
  arm('', 0, -1, 0, 0);
  await worker.terminate();
  return answer;
}
const CODE_OF = (call) => `(path) => { try { (${call})(path); } catch (error) { return error.code; } }`;

test('a thread without memory for the addon is refused it; without memory for sockets it has no UDP', async () => {
  assert.equal(await inWorker(['calloc', ENOMEM], CODE_OF('(path) => require(path)')), 'ERR_CLAIMWIRE_KERNEL');
  assert.equal(await inWorker(['calloc', ENOMEM, 1], '(path) => typeof require(path).udpOpen'), 'undefined');
  assert.equal(await inWorker(['mmap', ENOMEM], CODE_OF('(path) => require(path).start(0)')), 'ERR_CLAIMWIRE_KERNEL');
});
