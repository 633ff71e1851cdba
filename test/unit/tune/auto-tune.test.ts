/** The optimiser around its state machine: what it sets, tells and saves, and what it makes of what was saved. */
import { beforeEach, expect, test } from 'vitest';
import type { SettingName } from '../../../src/control/tune-control.ts';
import type { Sample } from '../../../src/metrics/sample.ts';
import type { NumberedSample } from '../../../src/metrics/sampler.ts';
import { AutoTune, type TuneOptions } from '../../../src/tune/auto-tune.ts';
import { loadState, saveState } from '../../../src/tune/state-file.ts';
import { MemoryFiles, PowerLoss } from '../../support/memory-files.ts';
import { BEST, SyntheticNode } from '../../support/synthetic-node.ts';

const BAD = { verifyBatch: 1, groupClaims: 64, keyCacheBytes: 2 ** 20 };
const STATE = { settings: { verifyBatch: 256 }, kept: 3, undone: 4, reference: { committed: 1_000, cpuUs: 2.5 } };
const IDLE = { receive: 0.1, verify: 0.3, commit: 0.1, write: 0, send: 0.1 };

let files: MemoryFiles;
let logged: string[];
let cpuSeconds: number;
let listener: ((sample: NumberedSample) => void) | undefined;
let number: number;

beforeEach(() => {
  files = new MemoryFiles();
  files.mkdirSync('/data');
  files.durableFolders.add('/data');
  logged = [];
  cpuSeconds = 0;
  listener = undefined;
  number = 0;
});

function tuned(node: SyntheticNode, options: TuneOptions = {}): AutoTune {
  const log = (line: string) => void logged.push(line);
  return new AutoTune({
    tuning: node,
    sampler: {
      listen: (to) => {
        listener = to;
        return () => {
          listener = undefined;
        };
      },
    },
    options,
    layout: { layout: 'lanes', verifiers: 2, cores: 4 },
    cpuSeconds: () => cpuSeconds,
    files,
    data: '/data',
    logger: { info: log, warn: log, error: log },
  });
}

/** So many seconds of a loaded node. */
function seconds(node: SyntheticNode, count: number, busy: Sample['busy'] = IDLE, waiting = 0): void {
  for (let second = 0; second < count; second++) {
    const { committed, cpu, p99Ms, resident, tables } = node.observe();
    cpuSeconds += cpu;
    const sample = {
      seconds: 1,
      ready: true,
      rates: { committed },
      ack: { p99: p99Ms },
      busy,
      ring: { depth: waiting, slots: 16_384 },
      memory: { resident, limit: 1e9 },
      keyTables: { bytesUsed: tables },
    } as unknown as Sample;
    listener!({ number: number++, sample, text: '' });
  }
}

test('each change is told once, with what was before and after, and the state is shown', () => {
  const node = new SyntheticNode(BAD);
  const tuner = tuned(node);
  expect(tuner.stats()).toMatchObject({ targets: { p99Ms: 100 }, isResting: false, kept: 0, undone: 0, last: null });
  tuner.start();
  seconds(node, 200);
  tuner.stop();
  const { kept, undone, settings } = tuner.stats();
  const figures = '[0-9,]+ -> [0-9,]+ claims a second of processor time, p99 [0-9.]+ -> [0-9.]+ ms';
  expect(logged[0]).toMatch(new RegExp(`^tuning: keyCacheBytes 1048576 -> 1073741824: ${figures}: kept$`));
  expect(logged.filter((line) => line.endsWith('kept'))).toHaveLength(kept);
  const undoing = new RegExp(`^tuning: [a-zA-Z]+ [0-9]+ -> [0-9]+: ${figures}: undone, [0-9]+ again$`);
  expect(logged.filter((line) => undoing.test(line))).toHaveLength(undone);
  expect(settings).toEqual(node.settings());
  expect(node.share).toBeGreaterThan(0.8);
});

test('it is saved after every 20 changes, in a rest, and when it stops, without what was being tried', () => {
  const node = new SyntheticNode({ ...BAD, groupWaitMs: 0, idleSpins: 0 });
  const tuner = tuned(node);
  tuner.start();
  const saves: number[] = [];
  let rests = 0;
  files.before = (operation) => {
    if (operation !== 'rename') return;
    if (tuner.stats().isResting) rests++;
    else saves.push(tuner.stats().kept + tuner.stats().undone);
  };
  const trying = () => [...node.values].some(([name, value]) => saved().settings[name] !== value);
  seconds(node, 400);
  expect(Math.min(saves.length, rests)).toBeGreaterThan(0);
  for (const [index, changes] of saves.entries()) expect(changes - (saves[index - 1] ?? 0)).toBeGreaterThanOrEqual(20);
  for (const [index, changes] of saves.entries()) expect(changes - (saves[index - 1] ?? 0)).toBeLessThan(23);
  seconds(node, 1);
  tuner.stop();
  expect(trying()).toBe(false);
  expect(listener).toBeUndefined();
});

function saved() {
  return loadState(files, '/data', () => {})!;
}

test('a later start goes on from what was saved', () => {
  const first = new SyntheticNode(BAD);
  const before = tuned(first);
  before.start();
  seconds(first, 400);
  before.stop();
  const second = new SyntheticNode(BAD, 2);
  logged.length = 0;
  const { kept, undone, isResting } = tuned(second).stats();
  expect(second.values).toEqual(first.values);
  expect(logged[0]).toMatch(/^tuning: verifyBatch 1 -> [0-9]+, as saved$/);
  expect([kept + undone > 5, isResting]).toEqual([true, true]);
});

test('what was saved on another machine is taken within the bounds of this one', () => {
  saveState(files, '/data', {
    ...STATE,
    settings: { verifyBatch: 4_096, idleSpins: 5, groupClaims: 128, unheardOf: 3 },
  });
  const node = new SyntheticNode(BAD);
  tuned(node);
  expect(node.values).toEqual(new Map(Object.entries({ ...BAD, groupClaims: 128 })));
});

test('a damaged file is told and ignored', () => {
  const whole = () => Buffer.from(files.names.get('/data/tuning.json')!.bytes);
  saveState(files, '/data', STATE);
  const good = whole();
  const damages = [
    good.subarray(0, good.length - 9),
    Buffer.alloc(0),
    Buffer.from('[1]'),
    Buffer.from('{"version":2}'),
    Buffer.from(good.toString().replace('256', '-1')),
    Buffer.from(good.toString().replace('2.5', '0')),
    Buffer.alloc(20_000, 32),
  ];
  for (const bytes of damages) {
    files.names.get('/data/tuning.json')!.bytes = bytes;
    logged.length = 0;
    const node = new SyntheticNode(BAD);
    tuned(node).start();
    expect(logged[0]).toMatch(/^tuning begins anew: \/data\/tuning.json: expected what a node saves, got /);
    expect(node.sets).toEqual([]);
  }
  files.names.get('/data/tuning.json')!.bytes = good;
  expect(saved()).toEqual(STATE);
});

test('a loss of power at any instant leaves the old state or the new one', () => {
  let isBroken = true;
  for (let place = 0; isBroken; place++)
    for (const choose of [() => true, () => false]) {
      const disk = new MemoryFiles();
      disk.mkdirSync('/data');
      disk.durableFolders.add('/data');
      saveState(disk, '/data', STATE);
      let left = place;
      disk.before = () => {
        if (left-- <= 0) throw new PowerLoss('power lost');
      };
      isBroken = false;
      try {
        saveState(disk, '/data', { ...STATE, kept: 9 });
      } catch {
        isBroken = true;
      }
      const after = loadState(disk.afterPowerLoss(choose), '/data', (reason) => expect.fail(reason))!;
      expect(isBroken ? [3, 9] : [9], `operation ${place}`).toContain(after.kept);
    }
});

test('a disk that refuses the state is told, and the node is tuned on', () => {
  const node = new SyntheticNode(BAD);
  const tuner = tuned(node);
  tuner.start();
  files.before = () => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  };
  seconds(node, 400);
  expect(logged).toContain('tuning: expected to save its state in /data, got no space');
  expect(node.share).toBeGreaterThan(0.8);
});

test('what only a start can change is advice, told when it has lasted', () => {
  const node = new SyntheticNode({ verifyBatch: BEST.verifyBatch } as Record<SettingName, number>);
  const tuner = tuned(node);
  tuner.start();
  const busy = { ...IDLE, verify: 1.5 };
  seconds(node, 29, busy);
  seconds(node, 1);
  seconds(node, 29, busy);
  expect(tuner.stats().advice).toBeNull();
  seconds(node, 1, busy);
  const advice = {
    option: '--lanes',
    from: 2,
    to: 3,
    because: 'they are busy 90 % of their time, and there are 4 cores',
  };
  expect(tuner.stats().advice).toEqual(advice);
  expect(logged.at(-1)).toBe(`tuning: at the next start try --lanes 3 instead of 2: ${advice.because}`);
  seconds(node, 30);
  expect(tuner.stats().advice).toBeNull();
  // One thread would do for so little; but not where claims wait, since others have the cores.
  const calm = { ...IDLE, verify: 0.1 };
  seconds(node, 60, calm, 4_000);
  expect(tuner.stats().advice).toBeNull();
  seconds(node, 60, calm);
  expect(tuner.stats().advice).toMatchObject({ option: '--lanes', from: 2, to: 1 });
});
