/** When claims are due, which channels they are of, and what is made of a ramp's figures. Fixed seeds. */
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { expect, test } from 'vitest';
import { FAULT_NONE, FaultDraw } from '../../../src/load/batch.ts';
import { LatencyBuckets } from '../../../src/load/latency.ts';
import { Random } from '../../../src/load/random.ts';
import { Recorder } from '../../../src/load/recorder.ts';
import type { LoadInterval } from '../../../src/load/result.ts';
import { arrivalsName, parseArrivals, parseRamp, RateSchedule } from '../../../src/load/schedule.ts';
import { ChannelPicker, parseSkew } from '../../../src/load/skew.ts';

function dueTimes(arrivals: string, rate: number, count: number): number[] {
  const schedule = new RateSchedule(parseArrivals(arrivals)!, rate, 1_000, new Random(1, 'arrivals'));
  return Array.from({ length: count }, () => {
    const { due } = schedule;
    schedule.advance();
    return due;
  });
}

test('constant arrivals are even, and do not drift in ten million claims', () => {
  expect(dueTimes('constant', 4, 4)).toEqual([1_000, 1_250, 1_500, 1_750]);
  const schedule = new RateSchedule({ kind: 'constant' }, 3_000_000, 0, new Random(1, 'arrivals'));
  for (let claim = 0; claim < 3_000_000; claim++) schedule.advance();
  expect(schedule.due).toBe(1_000);
});

test('bursts come whole, at the same rate', () => {
  expect(dueTimes('burst:3', 30, 7)).toEqual([1_000, 1_000, 1_000, 1_100, 1_100, 1_100, 1_200]);
});

test('poisson arrivals: gaps with the mean and the deviation of an exponential, rising', () => {
  const due = dueTimes('poisson', 1_000, 200_000);
  const gaps = due.slice(1).map((time, index) => time - due[index]!);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
  expect(Math.min(...gaps.slice(0, 50_000))).toBeGreaterThanOrEqual(0);
  expect(Math.abs(mean - 1)).toBeLessThan(0.01);
  expect(Math.abs(deviation - 1)).toBeLessThan(0.02);
});

test.each(['', 'constantly', 'burst', 'burst:0', 'burst:1.5', 'poisson:2'])('%j is no kind of arrivals', (text) => {
  expect(parseArrivals(text)).toBeUndefined();
});
test.each(['constant', 'poisson', 'burst:7'])('%s reads as it is written', (text) => {
  expect(arrivalsName(parseArrivals(text)!)).toBe(text);
});

/** Pearson's statistic of `draws` draws against the weights. */
function chiSquare(channels: number, sockets: number, exponent: number, draws: number): number {
  const picker = new ChannelPicker(channels, sockets, exponent, new Random(3, 'channels'));
  const counts = new Float64Array(channels);
  for (let draw = 0; draw < draws; draw++) {
    const socket = picker.socket();
    const channel = picker.channel(socket);
    if (channel % sockets !== socket) throw new Error(`channel ${channel} is not of socket ${socket}`);
    counts[channel]! += 1;
  }
  const weights = Float64Array.from({ length: channels }, (_, channel) => (channel + 1) ** -exponent);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return counts.reduce((sum, count, channel) => {
    const expected = (draws * weights[channel]!) / total;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
}

// 200 channels are 199 degrees of freedom: mean 199, deviation 20. Five deviations are one in millions.
test.each([
  [0, 1],
  [0, 16],
  [1, 1],
  [1, 16],
  [0.8, 7],
  [2, 3],
])('exponent %d over %d sockets: channels are drawn by their weights', (exponent, sockets) => {
  const statistic = chiSquare(200, sockets, exponent, 100_000);
  expect(statistic).toBeLessThan(299);
  expect(statistic).toBeGreaterThan(99);
});

test('skew as text', () => {
  expect(['uniform', 'zipf:1.0', 'zipf:0.99', 'zipf:2'].map(parseSkew)).toEqual([0, 1, 0.99, 2]);
  expect(['zipf', 'zipf:0', 'zipf:-1', 'zipf:10', 'pareto:1'].map(parseSkew)).toEqual(new Array(5).fill(undefined));
});

test('faults are drawn in their fractions, at most one a claim', () => {
  const draw = new FaultDraw(
    { drop: 0.1, dup: 0.05, reorder: 0, corruptSignature: 0.2, stale: 0.15 },
    new Random(5, 'faults'),
  );
  const counts = [0, 0, 0, 0, 0, 0];
  for (let claim = 0; claim < 100_000; claim++) counts[draw.draw()]! += 1;
  [0.5, 0.1, 0.05, 0, 0.2, 0.15].forEach((fraction, fault) => {
    expect(counts[fault]! / 100_000).toBeCloseTo(fraction, 2);
  });
  const none = new FaultDraw({ drop: 0, dup: 0, reorder: 0, corruptSignature: 0, stale: 0 }, new Random(5, 'faults'));
  expect(none.draw()).toBe(FAULT_NONE);
});

test('latency buckets are those of an HDR histogram of three digits', () => {
  const buckets = new LatencyBuckets();
  const values = [0, 0.001, 0.5, 2.047, 2.048, 2.049, 4.095, 4.096, 5, 100.3, 999.9, 60_000, 2_000_000];
  for (const value of values) buckets.record(value);
  const histogram = decodeFromCompressedBase64(buckets.summary().hdr);
  expect(histogram.totalCount).toBe(values.length);
  values.forEach((value, index) => {
    const got = histogram.getValueAtPercentile(((index + 1) / values.length) * 100) / 1_000;
    expect(Math.abs(got - value)).toBeLessThanOrEqual(value / 1_000 + 1e-9);
  });
  buckets.record(Number.POSITIVE_INFINITY);
  buckets.record(-5);
  expect(buckets.summary().count).toBe(values.length + 2);
});

test('intervals have the percentiles of their own claims', () => {
  const buckets = new LatencyBuckets();
  for (let claim = 0; claim < 99; claim++) buckets.record(1);
  buckets.record(1_000);
  expect(buckets.sinceLast()).toEqual({ p50Ms: 1, p99Ms: 1, maxMs: expect.closeTo(1_000, -1) });
  for (let claim = 0; claim < 10; claim++) buckets.record(0.5);
  expect(buckets.sinceLast()).toEqual({ p50Ms: 0.5, p99Ms: 0.5, maxMs: 0.5 });
  expect(buckets.sinceLast()).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0 });
});

test('the recorder leaves warm-up out, counts late claims, and measures from intended times', () => {
  const recorder = new Recorder(1_000);
  recorder.left(999, 1_005);
  recorder.committed(999, 1_005, 2_000, false, 990);
  recorder.left(1_000, 1_000.5);
  recorder.left(1_010, 1_030);
  recorder.committed(1_000, 1_000.5, 1_004, true, Number.NaN);
  recorder.committed(1_010, 1_030, 1_035, false, 3);
  const heard: LoadInterval[] = [];
  recorder.tick(1_500, (interval) => heard.push(interval));
  expect(heard).toEqual([]);
  recorder.tick(2_000, (interval) => heard.push(interval));
  expect(heard).toMatchObject([{ atSeconds: 1, sentPerSecond: 2, ackedPerSecond: 2 }]);
  const step = recorder.step(2, 2_000, { claims: 3, blocked: 1 });
  const late = { claims: 1, lateMs: 1, maxMs: 20, unsent: 3, blocked: 1 };
  expect(step).toMatchObject({ sent: 2, acked: 2, ackedByNewer: 1, seconds: 1, late });
  expect(step.latency.maxMs).toBeCloseTo(25, 1);
  expect(step.uncorrected.maxMs).toBeCloseTo(5, 1);
  expect(step.wire).toMatchObject({ count: 1 });
  expect(step.wire!.maxMs).toBeCloseTo(3, 1);
});

test('every second has its interval, on the second, however late the recorder hears of it', () => {
  const recorder = new Recorder(10_000.25);
  const heard: LoadInterval[] = [];
  const hear = (interval: LoadInterval) => void heard.push(interval);
  const at = () => heard.map(({ atSeconds }) => atSeconds);
  recorder.left(10_100, 10_100);
  // Each turn comes a little late, which must not add up; one comes more than two seconds late.
  for (const now of [11_000.4, 12_001.1, 14_900]) recorder.tick(now, hear);
  expect(at()).toEqual([1, 2, 3, 4]);
  recorder.lastTick(15_000.25, hear);
  expect(at()).toEqual([1, 2, 3, 4, 5]);
  expect(heard.map(({ sentPerSecond }) => sentPerSecond)).toEqual([1, 0, 0, 0, 0]);
  expect(recorder.step(1, 15_000.25, { claims: 0, blocked: 0 }).intervals).toEqual(heard);
  const short = new Recorder(0);
  const last: LoadInterval[] = [];
  short.tick(1_000.5, (interval) => last.push(interval));
  short.left(1_100, 1_100);
  short.lastTick(1_500, (interval) => last.push(interval));
  expect(last).toMatchObject([{ atSeconds: 1 }, { atSeconds: 1.5, sentPerSecond: 2 }]);
});

test('a claim that was due while a socket was full is late, and not by the generator', () => {
  const recorder = new Recorder(0);
  recorder.fullAt = 50;
  for (const due of [40, 50, 60]) recorder.left(due, 100);
  expect(recorder.step(1, 1_000, { claims: 0, blocked: 0 }).late).toMatchObject({ claims: 3, blocked: 2 });
});

test('ramps as text', () => {
  expect(parseRamp('10:30:10')).toEqual([10, 20, 30]);
  expect(parseRamp('10:35:10')).toEqual([10, 20, 30]);
  expect(['', '10', '30:10:5', '0:10:5', '1:10:0', '1:100000:1', '1:2:3:4'].map(parseRamp)).toEqual(
    new Array(7).fill(undefined),
  );
});
