import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { addonFault } from '../../../src/native/addon.ts';
import { Idling } from '../../../src/web/yield-to-node.ts';

interface Rig {
  /** What it became, and when. */
  said: [number, boolean][];
  lookAt: (now: number) => void;
  /** Looks every 100 ms. */
  lookUntil: (end: number) => void;
}

function rig(): Rig {
  let now = 0;
  const said: [number, boolean][] = [];
  const idling = new Idling(0, (isIdle) => said.push([now, isIdle]));
  const lookAt = (at: number) => {
    now = at;
    idling.look(at);
  };
  const lookUntil = (end: number) => {
    while (now + 100 <= end) lookAt(now + 100);
  };
  return { said, lookUntil, lookAt };
}

test('a web process that gets its turns is idle, whatever else runs', () => {
  const { said, lookUntil, lookAt } = rig();
  lookUntil(5_000);
  lookAt(5_200);
  lookUntil(60_000);
  // In its first second it loads libraries, as long as that takes.
  expect(said).toEqual([[1_000, true]]);
});

test('one that does not takes its share for a second, and then tries again', () => {
  const { said, lookUntil, lookAt } = rig();
  lookUntil(20_000);
  lookAt(20_201);
  lookUntil(40_000);
  expect(said).toEqual([
    [1_000, true],
    [20_201, false],
    [21_201, true],
  ]);
  // While it has its share, being late changes nothing.
  lookAt(40_500);
  lookAt(41_000);
  lookAt(41_499);
  expect(said.slice(3)).toEqual([[40_500, false]]);
});

test('on a machine that stays full it is seldom idle: for longer and longer it has its share', () => {
  const { said, lookAt } = rig();
  const sharedMs: number[] = [];
  lookAt(1_000);
  for (let now = 1_000; sharedMs.length < 6; ) {
    now += 500;
    lookAt(now);
    const begin = now;
    while (said.at(-1)![1] === false) {
      now += 100;
      lookAt(now);
    }
    sharedMs.push(now - begin);
  }
  expect(sharedMs).toEqual([2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
});

/** Of each thread: /proc/PID/task/TID/stat has the policy as its 41st field. */
const POLICIES = `
  const { readdirSync, readFileSync } = require('node:fs');
  const addon = require(process.argv[1]);
  const policies = () => [...new Set(readdirSync('/proc/self/task').map((id) =>
    Number(readFileSync('/proc/self/task/' + id + '/stat', 'utf8').split(') ')[1].split(' ')[38])))];
  const said = [addon.mayScheduleIdle(), policies()];
  if (said[0]) for (const isIdle of [true, false]) said.push(addon.scheduleIdle(isIdle), policies());
  console.log(JSON.stringify(said));
`;

test.skipIf(process.platform !== 'linux' || addonFault() !== undefined)(
  'all threads of a process become idle and come back, where the system allows both',
  () => {
    const addon = join(import.meta.dirname, '../../../build/claimwire.node');
    const [mayBe, ...rest] = JSON.parse(execFileSync(process.execPath, ['-e', POLICIES, addon], { encoding: 'utf8' }));
    // Asking changes nothing: SCHED_OTHER, then SCHED_IDLE and SCHED_BATCH.
    expect(rest).toEqual(mayBe ? [[0], true, [5], true, [3]] : [[0]]);
  },
);
