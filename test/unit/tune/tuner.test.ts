/** The optimiser's state machine on nodes whose settings have known effects: finds the best, undoes the rest, rests, wakes. */
import { describe, expect, test } from 'vitest';
import type { SettingName } from '../../../src/control/tune-control.ts';
import { ladderOf } from '../../../src/tune/ladder.ts';
import { scoreOf, type Targets } from '../../../src/tune/score.ts';
import { Search } from '../../../src/tune/search.ts';
import { type Decision, Tuner } from '../../../src/tune/tuner.ts';
import { random } from '../../support/random.ts';
import { BEST, SyntheticNode } from '../../support/synthetic-node.ts';

const BAD: Record<SettingName, number> = {
  verifyBatch: 1,
  groupClaims: 1,
  groupWaitMs: 0,
  idleSpins: 0,
  keyCacheBytes: 2 ** 20,
};
const TARGETS: Targets = { p99Ms: 100 };

class Run {
  readonly node: SyntheticNode;
  readonly tuner: Tuner;
  readonly decisions: Decision[] = [];

  constructor(node: SyntheticNode, targets: Targets = TARGETS) {
    this.node = node;
    this.tuner = new Tuner(node.settings(), targets);
  }

  /** So many intervals; the share of the best rate that they had on average. */
  intervals(count: number): number {
    let share = 0;
    for (let index = 0; index < count; index++) {
      share += this.node.share / count;
      for (const decision of this.tuner.observe(this.node.observe())) {
        this.decisions.push(decision);
        const { name, to } = decision;
        if (name !== undefined && this.node.values.get(name) !== to) this.node.set(name, to!);
      }
    }
    return share;
  }
  /** Until it rests; how many intervals that took. */
  untilRest(most = 600): number {
    let count = 0;
    while (!this.tuner.isResting && count < most) {
      this.intervals(1);
      count++;
    }
    expect(this.tuner.isResting, `a rest within ${most} intervals`).toBe(true);
    return count;
  }
  kinds(kind: Decision['kind']): Decision[] {
    return this.decisions.filter((decision) => decision.kind === kind);
  }
}

describe('from bad settings', () => {
  for (const noise of [0, 0.01, 0.03])
    for (const seed of [1, 2, 3])
      test(`it finds good ones, with noise of ${noise * 100} % (${seed})`, () => {
        const run = new Run(Object.assign(new SyntheticNode(BAD, seed), { noise }));
        const before = run.node.share;
        run.intervals(60);
        expect(run.node.share).toBeGreaterThan(before * 2);
        run.untilRest();
        expect(run.node.share).toBeGreaterThan(noise === 0 ? 0.85 : 0.8);
      });

  test('it changes one setting at a time, and never passes a bound', () => {
    const run = new Run(new SyntheticNode(BAD));
    const before = new Map(run.node.values);
    for (let index = 0; index < 300; index++) {
      run.intervals(1);
      const changed = [...run.node.values].filter(([name, value]) => before.get(name) !== value);
      // The end of one setting's trial and the begin of the next one's may fall together.
      const tried = run.decisions.findLast(({ kind }) => kind === 'try' || kind === 'keep');
      expect(changed.filter(([name]) => name !== tried?.name).every(([name, value]) => settled(run, name, value))).toBe(
        true,
      );
      for (const [name, value] of changed) before.set(name, value);
    }
    // SyntheticNode.set throws beyond a bound.
    expect(run.node.sets.length).toBeGreaterThan(20);
  });
});

/** Whether this is the value that the last decision about the setting ended with. */
function settled(run: Run, name: SettingName, value: number): boolean {
  return run.decisions.findLast((decision) => decision.name === name)?.to === value;
}

describe('from good settings', () => {
  for (const seed of [1, 2, 3, 4])
    test(`it keeps them, costs little, and rests (${seed})`, () => {
      const run = new Run(Object.assign(new SyntheticNode(BEST, seed), { noise: 0.02 }));
      const untilRest = run.untilRest(200);
      expect(run.node.share).toBeGreaterThan(0.95);
      expect(run.intervals(200)).toBeGreaterThan(0.95);
      expect(untilRest).toBeLessThan(200);
    });

  test('what measures worse is undone', () => {
    const run = new Run(Object.assign(new SyntheticNode({ verifyBatch: 512 }), { noise: 0.005 }));
    run.untilRest();
    expect(run.kinds('keep')).toEqual([]);
    expect(run.kinds('undo').length).toBeGreaterThan(0);
    expect(run.node.values.get('verifyBatch')).toBe(512);
    for (const { before, after } of run.kinds('undo'))
      expect(after!.perCpuSecond / before!.perCpuSecond).toBeLessThan(1.04);
  });
});

describe('a rest', () => {
  const rested = () => {
    const run = new Run(Object.assign(new SyntheticNode(BEST), { noise: 0.01, offered: 300_000 }));
    run.untilRest();
    run.intervals(20);
    run.node.sets.length = 0;
    return run;
  };

  test('lasts while load and cost are alike', () => {
    const run = rested();
    run.node.offered = 330_000;
    run.intervals(300);
    expect([run.tuner.isResting, run.node.sets]).toEqual([true, []]);
  });

  test('ends when the load is another', () => {
    const run = rested();
    run.node.offered = 200_000;
    run.intervals(20);
    expect(run.kinds('wake')).toHaveLength(1);
  });

  test('ends when a claim costs more', () => {
    const run = rested();
    run.node.cost = 1.4;
    run.intervals(20);
    expect(run.kinds('wake')).toHaveLength(1);
  });

  test('does not end for one odd moment', () => {
    const run = rested();
    run.node.offered = 100_000;
    run.intervals(5);
    run.node.offered = 300_000;
    run.intervals(50);
    expect(run.kinds('wake')).toEqual([]);
  });
});

describe('load', () => {
  test('that changes under a trial is not taken for its gain', () => {
    // A node whose claims get cheaper with load, whatever the settings are, as batches form.
    const node = new SyntheticNode({ verifyBatch: 512 });
    node.noise = 0.005;
    const run = new Run(node);
    for (let index = 0; index < 400; index++) {
      node.cost = index % 14 < 7 ? 1 : 1.35;
      run.intervals(1);
    }
    expect(run.kinds('keep').map(({ from, to }) => [from, to])).toEqual([]);
  });

  test('too little of it ends a trial, and nothing is changed', () => {
    const run = new Run(new SyntheticNode(BAD));
    run.intervals(1);
    run.node.offered = 10;
    run.intervals(1);
    expect(run.node.values).toEqual(new Map(Object.entries(BAD)));
    run.node.sets.length = 0;
    run.intervals(50);
    expect(run.node.sets).toEqual([]);
  });
});

describe('targets', () => {
  const observation = { committed: 100_000, cpu: 1, p99Ms: 10, resident: 0, tables: 0 };

  test('say by what factor they are missed', () => {
    expect(scoreOf(observation, { p99Ms: 20 })).toEqual({ perCpuSecond: 100_000, p99Ms: 10, excess: 1 });
    expect(scoreOf(observation, { p99Ms: 5 }).excess).toBe(2);
    expect(scoreOf(observation, { p99Ms: 20, cpu: 0.5 }).excess).toBe(2);
    expect(scoreOf(observation, { p99Ms: 20, cpu: 2 }).excess).toBe(1);
  });

  test('one that a change breaks undoes it, though claims cost less', () => {
    const run = new Run(Object.assign(new SyntheticNode({ groupWaitMs: 0 }), { noise: 0.01 }), { p99Ms: 4 });
    run.node.p99Of = (values) => 2 + 2 * values.get('groupWaitMs')!;
    run.untilRest();
    // At 2 ms claims cost least.
    expect(run.node.values.get('groupWaitMs')).toBe(1);
  });

  test('one that is missed makes a change worth some processor time', () => {
    const run = new Run(Object.assign(new SyntheticNode({ groupWaitMs: 2 }), { noise: 0.01 }), { p99Ms: 4 });
    run.node.p99Of = (values) => 2 + 2 * values.get('groupWaitMs')!;
    run.untilRest();
    expect(run.node.values.get('groupWaitMs')).toBe(1);
  });

  test('percentiles that are noise do not', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const run = new Run(Object.assign(new SyntheticNode(BEST, seed), { noise: 0.01 }), { p99Ms: 4 });
      const chance = random(seed);
      run.node.p99Of = () => 20 + chance.below(40);
      run.untilRest();
      expect(run.node.share).toBeGreaterThan(0.8);
    }
  });

  test('the one for memory takes the key cache down at once, and holds it there', () => {
    const run = new Run(new SyntheticNode({ keyCacheBytes: 2 ** 30, verifyBatch: 512 }), {
      p99Ms: 100,
      memoryBytes: 480e6,
    });
    run.intervals(1);
    expect(run.kinds('bound')).toHaveLength(1);
    // 500 MB in memory, of which tables are 100: tables may have 80.
    run.intervals(300);
    expect(run.node.sets.filter(([name]) => name === 'keyCacheBytes').every(([, value]) => value <= 80e6)).toBe(true);
    expect(run.node.values.get('keyCacheBytes')).toBe(64 * 2 ** 20);
  });
});

test('tries of one climb are bounded, also where each seems to be better than the one before', () => {
  const search = new Search(new SyntheticNode(BAD).settings());
  let tries = 0;
  for (; search.next() !== undefined && tries < 1_000; tries++) search.kept();
  expect(tries).toBe(60);
});

test('values to try: powers of two within the bounds, the bounds, and the present value', () => {
  expect(ladderOf({ name: 'verifyBatch', value: 100, min: 1, max: 256 })).toEqual([
    1, 2, 4, 8, 16, 32, 64, 100, 128, 256,
  ]);
  expect(ladderOf({ name: 'idleSpins', value: 0, min: 0, max: 1_024 })).toEqual([0, 256, 512, 1_024]);
});
