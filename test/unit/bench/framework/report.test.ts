/** From measured values to the report and its page: curves, models, optimisations, extrapolation. */
import { describe, expect, test } from 'vitest';
import { curvesOf } from '../../../../bench/framework/curves.ts';
import { extrapolate } from '../../../../bench/framework/extrapolation.ts';
import { nodeFigures } from '../../../../bench/framework/figures.ts';
import type { LoadRun } from '../../../../bench/framework/loaded-node.ts';
import { figuresOf, inTurns, type Values } from '../../../../bench/framework/measure.ts';
import type { NodeResult } from '../../../../bench/framework/node-part.ts';
import { linesOf, optimisationsOf } from '../../../../bench/framework/optimisations.ts';
import { renderPage } from '../../../../bench/framework/page/page.ts';
import { FULL, QUICK } from '../../../../bench/framework/plan.ts';
import { readiness } from '../../../../bench/framework/readiness.ts';
import { reportText } from '../../../../bench/framework/text.ts';
import { benchReport } from '../../../support/bench-report.ts';

const run = (perSecond: number, more: Partial<LoadRun> = {}): LoadRun => ({
  perSecond,
  cpuNs: 2_000,
  p50Ms: 1,
  p99Ms: 3,
  claimsAGroup: 500,
  claimsADatagram: 15,
  inBytes: 95,
  outBytes: 20,
  diskBytes: 100,
  ...more,
});
const RATES = [10_000, 20_000, 40_000, 80_000, 160_000];
const NODE: NodeResult = {
  runs: new Map([
    ['base', [run(500_000), run(510_000), run(490_000)]],
    ['portable', [run(1, { cpuNs: 4_000 }), run(1, { cpuNs: 4_100 }), run(1, { cpuNs: 3_900 })]],
  ]),
  residentMiB: 400,
  perDatagram: new Map([1, 2, 4, 8, 15].map((count) => [count, [run(1, { cpuNs: 1_500 + 3_000 / count })]])),
  offered: RATES.map((rate) => ({ rate, run: run(rate, { diskBytes: 50 + 1e6 / rate }) })),
  lanes: new Map([
    [1, [run(300_000)]],
    [2, [run(500_000)]],
  ]),
  channels: new Map(),
  delays: new Map([1, 3, 7, 11, 15].map((count) => [count, [200 + 0.5 * 93 * count, 201 + 0.5 * 93 * count]])),
  bottleneck: undefined,
};
const threads = [1, 2, 3, 4, 6, 8];
const VALUES: Values = new Map([
  ['verify.perSecond', [500_000, 510_000, 490_000]],
  ['verify.oneACallPerSecond', [100_000, 100_000, 100_000]],
  ['threads', threads],
  ['cores', [2]],
  ...threads.map((n): [string, number[]] => [`own.${n}`, [(500_000 * n) / (1 + 0.02 * (n - 1) + 0.001 * n * (n - 1))]]),
  ['wall.1', [500_000]],
  ['wall.2', [952_381]],
  ['channels', [30_000, 70_000, 150_000, 300_000]],
  ['table.sizePerSecond', [4e6, 3e6, 2e6, 1e6]],
  ['table.sizeBytes', [30_000, 70_000, 150_000, 300_000].map((channels) => 1e6 + 230 * channels)],
]);
const curves = curvesOf(VALUES, NODE, 1);
const modelOf = (name: string) => curves.find((curve) => curve.name === name)!.model!;

describe('curves and models', () => {
  test('find what made the points, and their error on held-out points is shown', () => {
    expect(modelOf('threads').parameters.sigma).toBeCloseTo(0.02, 6);
    expect(modelOf('threads').parameters.kappa).toBeCloseTo(0.001, 7);
    expect(modelOf('datagram').parameters.claim).toBeCloseTo(1.5, 6);
    expect(modelOf('datagram').parameters.datagram).toBeCloseTo(3, 6);
    expect(modelOf('delay').parameters['τ₀']).toBeCloseTo(200.5, 4);
    expect(modelOf('delay').parameters.z).toBeCloseTo(0.5, 6);
    expect(modelOf('memory').parameters.each! * 2 ** 20).toBeCloseTo(230, 3);
    expect(modelOf('offered.disk').parameters.each! * 1e6).toBeCloseTo(50, 4);
    for (const name of ['threads', 'datagram', 'delay', 'memory', 'offered.disk', 'offered.cpu'])
      expect(modelOf(name).heldOutError!.mean, name).toBeLessThan(0.15);
  });

  test('too few points have no model, and none at all no curve', () => {
    expect(curves.find(({ name }) => name === 'lanes')!.model).toBeUndefined();
    expect(curves.find(({ name }) => name === 'channels')).toBeUndefined();
  });
});

describe('the extrapolation', () => {
  const figures = nodeFigures(NODE, VALUES, 2, 1);
  const { byCores, byRate, assumptions } = extrapolate(curves, figures, 2)!;

  test('says which numbers of cores were not measured, and never more than the law', () => {
    expect(byCores.filter(({ isExtrapolation }) => !isExtrapolation).map(({ cores }) => cores)).toEqual([1, 2]);
    // σ is the larger one, of wall time: 2 · 500,000 / 952,381 - 1 = 0.05.
    expect(assumptions.join()).toMatch(/σ = 0\.0500 and κ = 0\.00100/);
    const eight = byCores.find(({ cores }) => cores === 8)!.claimsPerSecond;
    expect(eight / ((500_000 * 8) / (1 + 0.35 + 0.056))).toBeCloseTo(1, 5);
  });

  test('gives the cores that a rate needs, or none', () => {
    expect(byRate.map(({ claimsPerSecond, cores }) => [claimsPerSecond, cores])).toEqual([
      [50_000, 1],
      [1_000_000, 3],
      [10_000_000, null],
    ]);
    expect(byRate[1]!.inMbitPerSecond).toBeCloseTo(760, 3);
    expect(byRate[1]!.memoryGiB).toBeCloseTo((400 + 230e6 / 2 ** 20) / 1_024, 3);
  });

  test('is left out where threads or nodes were not measured', () => {
    expect(extrapolate([], figures, 2)).toBeNull();
    expect(extrapolate(curves, [], 2)).toBeNull();
  });
});

test('the rate of a node is also a share of what its cores could verify', () => {
  const share = nodeFigures(NODE, VALUES, 2, 1).find(({ name }) => name === 'path.shareOfVerify')!;
  expect(share.median).toBeCloseTo(0.5, 9);
  expect(share.floor).toBe('verify.perSecond on every core');
});

test('an optimisation has its gain by rounds, or the reason why there is none; never a figure that was not measured', () => {
  const all = optimisationsOf(VALUES, NODE.runs, 1);
  const named = (part: string) => all.find(({ name }) => name.startsWith(part))!;
  expect(named('Batching').measured!.gain.median).toBeCloseTo(5, 9);
  expect(named('The claim path in C').measured!.gain.median).toBeCloseTo(2, 9);
  expect(named('Group commit')).toMatchObject({ why: 'not measured in this run: its part was left out' });
  expect(named('Group commit').measured).toBeUndefined();
  expect(named('Prefetch').why).toMatch(/^not separable: /);
  for (const { measured, why } of all) expect((measured === undefined) !== (why === undefined)).toBe(true);
});

test('every file whose lines are counted is there', () => {
  for (const { name, files } of optimisationsOf(VALUES, NODE.runs, 1))
    for (const file of files) expect(linesOf([file]), `${name}: ${file}`).toBeGreaterThan(0);
});

test('measurements take turns until their time is over, but as often as asked for', async () => {
  const order: string[] = [];
  const named = (name: string) => ({ name, unit: '', better: 'higher' as const, measure: () => order.push(name) });
  const values = await inTurns([named('a'), named('b')], { seconds: 0, roundsMin: 3, roundsMax: 9 });
  expect(order.join('')).toBe('abbaab');
  expect(values.get('a')).toHaveLength(3);
  const figures = figuresOf('part', [named('a'), named('b')], values, [{ name: 'r', of: 'a', to: 'b', floor: 'b' }], 1);
  expect(figures.map(({ name, floor }) => [name, floor])).toEqual([
    ['a', undefined],
    ['b', undefined],
    ['r', 'b'],
  ]);
});

test('a quick run ends within three minutes and a full one within twelve, by the sum of its parts', () => {
  // What is under way when the time is over may take as long as one load and the stop of a node.
  expect(QUICK.totalSeconds + 15).toBeLessThan(180);
  expect(FULL.totalSeconds + 30).toBeLessThan(720);
});

test('limits come from the one table that operators read', () => {
  const { limits } = readiness();
  expect(limits.length).toBeGreaterThan(15);
  expect(limits[0]).toMatchObject({ setting: '--ring-slots' });
});

describe('the page', () => {
  const report = benchReport(nodeFigures(NODE, VALUES, 2, 1), {
    curves,
    optimisations: optimisationsOf(VALUES, NODE.runs, 1),
    extrapolation: extrapolate(curves, nodeFigures(NODE, VALUES, 2, 1), 2),
    readiness: readiness(),
    bottleneck: { kind: 'verify', says: 'Verifying.', evidence: ['a < b'], change: 'Add.' },
    skipped: ['a part: no time'],
  });
  const page = renderPage(report);

  test('is one file: no script, no address, nothing unescaped', () => {
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/<script|https?:\/\/|url\(|@import|NaN|Infinity|undefined/);
    expect(page).toContain('A processor &lt;of&gt; tests');
    expect(page).toContain('a &lt; b');
  });

  test('has the four parts, and labels what was not measured', () => {
    for (const id of ['baseline', 'optimisations', 'scaling', 'readiness', 'skipped'])
      expect(page).toContain(`<section id="${id}">`);
    expect(page).toContain('EXTRAPOLATION');
    expect(page.match(/class="extrapolated"/g)!.length).toBeGreaterThanOrEqual(6);
    expect(page).toContain('held-out error');
  });

  test('a report of which everything was left out is still a page, and a text', () => {
    expect(renderPage(benchReport([]))).toContain('No extrapolation');
    expect(reportText(benchReport([]))).not.toMatch(/NaN|undefined/);
    expect(reportText(report)).toMatch(/EXTRAPOLATION beyond 2 cores, not measured/);
  });
});
