/** What a load run's figures mean: the outcome, the bounds, the knee, and who was the limit. */
import { describe, expect, test } from 'vitest';
import { boundsFor, checksOf, checkText, kneeOf } from '../../../src/load/bounds.ts';
import { LatencyBuckets } from '../../../src/load/latency.ts';
import { Recorder } from '../../../src/load/recorder.ts';
import type { Delivery, LoadStep, Reconciliation } from '../../../src/load/result.ts';
import { judge, type Outcome } from '../../../src/load/verdict.ts';

const BOUNDS = boundsFor({}, false);
const SOUND: Reconciliation = { channels: 4, acknowledgedDrops: '10', committedDrops: '10', short: 0 };
const NOTHING_LATE = { claims: 0, lateMs: 1, maxMs: 0, unsent: 0, blocked: 0 };

/** A step in which every claim was answered within `p99Ms`, changed as the test wants. */
function step(requestedRate: number, p99Ms: number, change: Partial<LoadStep> = {}): LoadStep {
  const held = new Recorder(0).step(requestedRate, 1_000, { claims: 0, blocked: 0 });
  const latency = { ...new LatencyBuckets().summary(), count: 1_000, p99Ms };
  return {
    ...held,
    sent: 1_000,
    acked: 1_000,
    ackedRate: requestedRate,
    latency,
    delivery: delivered(1_000),
    ...change,
  };
}

function delivered(received: number, sent = 1_000): Delivery {
  return {
    sent,
    received,
    verified: received,
    acknowledged: sent,
    acknowledgedByNewer: 500,
    nodeDrops: 0,
    ackDrops: 0,
  };
}

function judged(steps: LoadStep[], change: Partial<Outcome> = {}) {
  const delivery = steps[0]?.delivery ?? null;
  return judge({
    steps,
    isRamp: false,
    bounds: BOUNDS,
    signer: 'native',
    isReplay: false,
    reconciliation: SOUND,
    delivery,
    failures: 0,
    lastFailure: undefined,
    isInterrupted: false,
    ...change,
  });
}

describe('outcome', () => {
  test('PASS where loss, refusals and p99 keep their bounds', () => {
    const { outcome, pass, checks, verdict } = judged([step(10, 5)]);
    expect({ outcome, pass }).toEqual({ outcome: 'PASS', pass: true });
    expect(checks.map(checkText)).toEqual([
      'loss 0 % (at most 0.1 %)',
      'refused 0 % (at most 0 %)',
      'p99 5 ms (at most 100 ms)',
    ]);
    expect(verdict.join('\n')).toContain('SLO met');
  });

  test('FAIL where claims never reached the node, though newer ones’ acks covered every one', () => {
    const { outcome, verdict, checks } = judged([step(10, 5, { ackedByNewer: 900, delivery: delivered(600) })]);
    expect(outcome).toBe('FAIL');
    expect(checks[0]).toEqual({ name: 'loss', unit: 'share', value: 0.4, bound: 0.001, held: false });
    expect(verdict.join('\n')).toContain('400 of 1000 claims never reached the node');
    expect(judged([step(10, 5, { delivery: delivered(999) })]).outcome).toBe('PASS');
    expect(judged([step(10, 5, { delivery: delivered(998) })]).outcome).toBe('FAIL');
  });

  test.each([
    ['refused', { refused: { OVERLOADED: 1 } }],
    ['loss', { unanswered: 2, acked: 998 }],
    ['p99', { latency: { ...step(10, 100.1).latency } }],
  ])('FAIL by %s alone', (name, change) => {
    const { outcome, checks } = judged([step(10, 5, change)]);
    expect(outcome).toBe('FAIL');
    expect(checks.filter(({ held }) => !held).map((check) => check.name)).toEqual([name]);
  });

  test('bounds are the operator’s to set, and refusals that were asked for are none', () => {
    const bounds = boundsFor({ lossMax: 0.5, refusedMax: 0.01, sloMs: 1_000 }, false);
    const bad = step(10, 900, { delivery: delivered(600), refused: { OVERLOADED: 10 } });
    expect(judged([bad], { bounds }).outcome).toBe('PASS');
    expect(judged([step(10, 5, { refused: { BAD_SIGNATURE: 3 }, expectedRefusals: 3 })]).outcome).toBe('PASS');
    expect(boundsFor({}, true).sloMs).toBe(10);
  });

  test('INTERRUPTED is no PASS, whatever the figures say', () => {
    const { outcome, pass, verdict } = judged([step(10, 5)], { isInterrupted: true });
    expect({ outcome, pass }).toEqual({ outcome: 'INTERRUPTED', pass: false });
    expect(verdict[0]).toContain('Interrupted');
    expect(judged([], { isInterrupted: true }).outcome).toBe('INTERRUPTED');
  });

  test('FAIL without a proof: nothing acknowledged, an amount missing, or nobody to ask', () => {
    expect(judged([step(10, 5, { acked: 0 })]).outcome).toBe('FAIL');
    expect(judged([step(10, 5)], { reconciliation: { ...SOUND, short: 1 } }).outcome).toBe('FAIL');
    expect(judged([step(10, 5)], { reconciliation: null }).outcome).toBe('FAIL');
  });

  test('where the node does not say, only what was not answered counts as lost, and the verdict says so', () => {
    const { outcome, verdict } = judged([step(10, 5, { delivery: null })], { delivery: null });
    expect(outcome).toBe('PASS');
    expect(verdict.join('\n')).toContain('The node’s side is not known');
  });
});

describe('who was the limit', () => {
  const late = { ...NOTHING_LATE, claims: 500, maxMs: 30, unsent: 40 };
  const sentences = (change: Partial<LoadStep>) => judged([step(10, 5, change)]).verdict.join('\n');

  test('the generator, where the node took and answered all that left', () => {
    expect(sentences({ late })).toContain('The generator was the limit, not the node, which had capacity left');
    expect(sentences({ late: { ...NOTHING_LATE, claims: 10 } })).not.toContain('late');
  });

  test.each<[string, Partial<LoadStep>, string]>([
    ['the node lost claims', { delivery: delivered(900) }, 'lost or refused'],
    ['the node refused claims', { refused: { OVERLOADED: 4 } }, 'lost or refused'],
    ['claims went unanswered', { unanswered: 50 }, 'lost or refused'],
    ['the node was slow', { uncorrected: step(10, 150).latency }, 'the node took 150.0 ms at p99'],
    ['nothing is known of the node', { delivery: null }, 'nothing is known of the node'],
    ['sockets were full', { late: { ...late, blocked: 400 } }, 'The sockets were full'],
  ])('not the generator, where %s', (_, change, reason) => {
    const text = sentences({ late, ...change });
    expect(text).not.toContain('generator was the limit');
    expect(text).toContain(reason);
  });
});

test('says how much of the latency is this machine’s own, where most of it is', () => {
  const wire = (p99Ms: number) => ({ wire: step(10, p99Ms).latency });
  const text = (change: Partial<LoadStep>) => judged([step(10, 5, change)]).verdict.join('\n');
  expect(text(wire(2))).toContain('Of 5.00 ms at p99, 2.00 ms are from wire to wire; the rest is the generator’s own');
  expect(text(wire(3))).not.toContain('wire to wire');
  expect(text({ wire: null })).not.toContain('wire to wire');
});

test('the knee is the highest rate that left whole and kept the bounds', () => {
  const within = (sloMs: number) => boundsFor({ sloMs }, true);
  const good = [step(10, 1), step(20, 4.9), step(30, 5.1), step(40, 90)];
  expect(kneeOf(good, within(5))).toEqual({ requestedRate: 20, ackedRate: 20, p99Ms: 4.9 });
  expect(kneeOf(good, within(6))?.requestedRate).toBe(30);
  expect(kneeOf(good, within(0.5))).toBeNull();
  const worse: Partial<LoadStep>[] = [
    { unanswered: 2 },
    { refused: { OVERLOADED: 3 } },
    { delivery: delivered(900) },
    { late: { ...NOTHING_LATE, unsent: 1 } },
    { latency: new LatencyBuckets().summary() },
  ];
  for (const change of worse) expect(kneeOf([step(10, 1), step(20, 1, change)], within(5))?.requestedRate).toBe(10);
  const { outcome, checks, knee } = judged([step(10, 1), step(20, 1, { delivery: delivered(900) })], { isRamp: true });
  expect({ outcome, rate: knee?.requestedRate, loss: checks[0]!.value }).toEqual({
    outcome: 'PASS',
    rate: 10,
    loss: 0,
  });
});

test('of several steps all count', () => {
  const checks = checksOf([step(10, 5), step(20, 50, { delivery: delivered(800) })], BOUNDS);
  expect(checks.map(({ value }) => value)).toEqual([0.1, 0, 50]);
});
