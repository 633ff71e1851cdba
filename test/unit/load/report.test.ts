import { describe, expect, test } from 'vitest';
import { linearAxis, logAxis, percentileAxis, percentOfNines, timeAxis } from '../../../src/load/report/axes.ts';
import {
  formatCompact,
  formatCount,
  formatDecimal,
  formatMs,
  formatSetMs,
  formatShare,
  html,
} from '../../../src/load/report/html.ts';
import { renderReport } from '../../../src/load/report/report.ts';
import type { LoadResult } from '../../../src/load/result.ts';
import { emptyRun, failingRun, HOSTILE, plainRun, rampWithKnee } from './report-fixtures.ts';

const noSteps = (): LoadResult => ({ ...emptyRun(), steps: [] });

/** Rates over no time at all, which are no numbers. */
const noRates = (): LoadResult => {
  const result = plainRun();
  const [step] = result.steps;
  for (const interval of step!.intervals) Object.assign(interval, { sentPerSecond: 1 / 0, ackedPerSecond: 0 / 0 });
  return { ...result, steps: [{ ...step!, achievedRate: 1 / 0, ackedRate: 0 / 0 }] };
};

const emptyRamp = (): LoadResult => {
  const result = emptyRun();
  return { ...result, steps: [1000, 2000].map((requestedRate) => ({ ...result.steps[0]!, requestedRate })) };
};

/** Elements without an end tag. */
const VOID = new Set(['meta']);

/** Throws at the first tag that is not closed, or closes what is not open. */
function expectBalanced(page: string): void {
  const open: string[] = [];
  const body = page.replace(/^<!doctype html>/, '').replace(/<style>[^<]*<\/style>/, '');
  for (const [tag, slash, name, selfClosed] of body.matchAll(
    /<(\/?)([a-z0-9]+)(?:\s+[a-zA-Z-]+="[^"<>]*")*\s*(\/?)>/g,
  )) {
    if (slash) expect(open.pop(), `what ${tag} closes`).toBe(name);
    else if (!selfClosed && !VOID.has(name!)) open.push(name!);
  }
  expect(open).toEqual([]);
  // Every < begins a tag that was looked at above.
  expect(body.match(/</g)).toHaveLength([...body.matchAll(/<\/?[a-z0-9]+(?:\s+[a-zA-Z-]+="[^"<>]*")*\s*\/?>/g)].length);
}

/** A chart by its name, from its SVG element on. */
function chart(page: string, label: string): string {
  const found = page.match(new RegExp(`<svg [^>]*aria-label="${label}">.*?</svg>`, 's'));
  expect(found, `a chart named ${label}`).not.toBeNull();
  return found![0];
}

function count(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** Points of the first line of the given ink. */
function pointsOf(svg: string, ink: string): [number, number][] {
  const path = svg.match(new RegExp(`<path class="line ${ink}" d="([^"]*)"`))![1]!;
  return [...path.matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
}

describe('every page', () => {
  const runs = { plainRun, rampWithKnee, failingRun, emptyRun, noSteps, noRates, emptyRamp };
  for (const [name, run] of Object.entries(runs)) {
    test(`${name}: is whole, needs nothing else and holds no number that is none`, () => {
      const page = renderReport(run());
      expectBalanced(page);
      expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
      expect(page).not.toMatch(/https?:\/\/|<script|<link|<img|<iframe|@import|url\(|javascript:/i);
      expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
      for (const [attribute] of page.matchAll(/ (?:class|d|points)="[^"]*[<>][^"]*"/g)) expect(attribute).toBe('');
    });

    test(`${name}: is the same each time`, () => {
      expect(renderReport(run())).toBe(renderReport(run()));
    });
  }

  test('draws nothing outside its charts', () => {
    for (const run of Object.values(runs))
      for (const [svg, height] of renderReport(run()).matchAll(/<svg viewBox="0 0 960 (\d+)".*?<\/svg>/gs))
        for (const [, x, y] of svg.matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)) {
          expect(Number(x)).toBeGreaterThanOrEqual(0);
          expect(Number(x)).toBeLessThanOrEqual(960);
          expect(Number(y)).toBeGreaterThanOrEqual(0);
          expect(Number(y)).toBeLessThanOrEqual(Number(svg.match(/viewBox="0 0 960 (\d+)"/)![1]));
          expect(height).not.toBe('');
        }
  });
});

describe('a plain run', () => {
  const result = plainRun();
  const step = result.steps[0]!;
  const page = renderReport(result);

  test('says how it went, and the three rates', () => {
    expect(page).toContain('<strong>Pass</strong>');
    for (const sentence of result.verdict) expect(page).toContain(`<li>${sentence}</li>`);
    for (const rate of [500_000, step.achievedRate, step.ackedRate])
      expect(page).toContain(`<b>${formatCount(rate)}</b>`);
    expect(page).toContain('within the SLO of 20 ms');
  });

  test('accounts for every claim', () => {
    const row = (name: string, value: number) => `<th scope="row">${name}</th><td>${formatCount(value)}</td>`;
    expect(page).toContain(row('Sent', step.sent));
    expect(page).toContain(row('Acknowledged', step.acked));
    expect(page).toContain(row('Answered ALREADY', 112));
    expect(page).toContain(row('Refused', 3560));
    expect(page).toContain(row('BAD_SIGNATURE', 2540));
    expect(page).toContain(row('Due to be refused, but covered', 11));
    expect(page).toContain(row('Unanswered', 0));
    expect(page).toContain(row('Sent more than 1 ms late', 1204));
    expect(page).toContain(row('never sent', 17));
    expect(page).toContain(row('Duplicate acks', 118));
    expect(page).toContain(row('Acks out of order', 9));
    expect(page).toContain(row('Frames that were no ack of ours', 3));
    expect(page).toContain(row('corrupted', 2551));
    expect(page).not.toContain('Not accounted for');
    const lost = renderReport({ ...result, steps: [{ ...step, sent: step.sent + 5 }] });
    expect(lost).toContain(row('Not accounted for', 5));
  });

  test('tells what was sent, received, verified and acknowledged apart, and the figures from their bounds', () => {
    const row = (name: string, value: number) => `<th scope="row">${name}</th><td>${formatCount(value)}</td>`;
    expect(page).toContain(row('Received by the node', 5_999_900));
    expect(page).toContain(row('Never reached it', 223));
    expect(page).toContain(row('Verified by the node', 5_990_001));
    expect(page).toContain(row('Acknowledged', 5_990_000));
    expect(page).toContain(row('by a newer claim’s ack alone', 1_234_567));
    expect(page).toContain('loss 0.004 % (at most 0.1 %), refused 0 % (at most 0 %), p99 4.25 ms (at most 8 ms)');
    expect(renderReport(emptyRun())).toContain('The node’s side is not known');
    expect(renderReport({ ...result, outcome: 'INTERRUPTED', pass: false })).toContain('<strong>Interrupted</strong>');
  });

  test('has every percentile: corrected, uncorrected and, where it is known, wire to wire', () => {
    for (const key of ['minMs', 'meanMs', 'p50Ms', 'p90Ms', 'p99Ms', 'p999Ms', 'p9999Ms', 'maxMs'] as const)
      expect(page).toContain(`<td>${formatMs(step.uncorrected[key])}</td><td>${formatMs(step.wire![key])}</td></tr>`);
    expect(page).toContain(`>${formatMs(step.latency.p99Ms)}</td><td>${formatMs(step.uncorrected.p99Ms)}</td>`);
    expect(renderReport(emptyRun())).not.toContain('wire to wire');
  });

  test('draws the percentile curves from the histograms, to the maximum', () => {
    const svg = chart(page, 'Latency by percentile');
    const points = Math.ceil(20 * Math.log10(step.latency.count)) + 1;
    expect(count(svg, '<g class="band">')).toBe(points);
    const corrected = pointsOf(svg, 'blue');
    const uncorrected = pointsOf(svg, 'orange dashed');
    expect(corrected).toHaveLength(points);
    expect(uncorrected).toHaveLength(points);
    for (const [index, [x, y]] of corrected.entries()) {
      if (index > 0) expect(x).toBeGreaterThan(corrected[index - 1]![0]);
      // Upwards is less in SVG: a quantile never falls.
      if (index > 0) expect(y).toBeLessThanOrEqual(corrected[index - 1]![1]);
    }
    expect(corrected.at(-1)![1]).toBeLessThan(uncorrected.at(-1)![1]);
    for (const nines of ['50 %', '90 %', '99 %', '99.9 %', '99.99 %', '99.999 %', '99.9999 %'])
      expect(svg).toContain(`text-anchor="middle">${nines}</text>`);
    expect(svg).toContain(`<title>99 %\ncorrected ${formatMs(step.latency.p99Ms)} ms`);
    expect(svg).toContain(`<title>maximum\ncorrected ${formatMs(step.latency.maxMs)} ms`);
    expect(svg).toContain('SLO 20 ms');
    // The histogram knows only the end of the maximum's bucket.
    const maxMs = step.latency.maxMs - 0.02;
    const lower = renderReport({ ...result, steps: [{ ...step, latency: { ...step.latency, maxMs } }] });
    expect(lower).toContain(`<title>maximum\ncorrected ${formatMs(maxMs)} ms`);
  });

  test('has a point of each line for every interval', () => {
    const throughput = chart(page, 'Throughput over time');
    expect(count(throughput, '<g class="band">')).toBe(100);
    expect(pointsOf(throughput, 'blue')).toHaveLength(100);
    expect(pointsOf(throughput, 'orange dashed')).toHaveLength(100);
    const latency = chart(page, 'Latency over time');
    for (const ink of ['blue', 'orange', 'purple dotted']) expect(pointsOf(latency, ink)).toHaveLength(100);
    const at = step.intervals[41]!;
    expect(latency).toContain(
      `<title>4.2 s\np50 ${formatMs(at.p50Ms)} ms\np99 ${formatMs(at.p99Ms)} ms\nmaximum ${formatMs(at.maxMs)} ms</title>`,
    );
  });

  test('says where and how it ran, and that the amounts are there to the drop', () => {
    for (const value of [result.machine, result.node, result.to, result.startedAt, 'avx512ifma', 'lanes', 'uniform'])
      expect(page).toContain(`<td>${value}</td>`);
    expect(page).toContain('<td>dup 0.001, corrupt-signature 0.0005, stale 0.0002</td>');
    expect(page).toContain('Every acknowledged amount is at the node');
    expect(page).toContain('<b>18,446,744,073,709,551,615</b>');
    expect(page).not.toContain('<h2>Ramp</h2>');
  });

  test('a run of an hour is drawn with bounded points that keep the worst', () => {
    const intervals = Array.from({ length: 36_000 }, (_, index) => ({
      ...step.intervals[index % 100]!,
      atSeconds: (index + 1) / 10,
      maxMs: index === 17_777 ? 777.7 : 5,
    }));
    const long = renderReport({ ...result, steps: [{ ...step, seconds: 3600, intervals }] });
    const svg = chart(long, 'Latency over time');
    expect(count(svg, '<g class="band">')).toBe(480);
    expect(svg).toContain('maximum 777.7 ms');
    expect(svg).toContain('measured minutes');
    expect(long).toContain('Each point is 75 intervals');
  });
});

describe('a ramp', () => {
  const result = rampWithKnee();
  const page = renderReport(result);

  test('has a point for every step and the knee marked', () => {
    const rate = chart(page, 'Acknowledged rate by requested rate');
    const p99 = chart(page, 'p99 latency by requested rate');
    expect(pointsOf(rate, 'blue')).toHaveLength(10);
    expect(pointsOf(p99, 'orange')).toHaveLength(10);
    for (const svg of [rate, p99]) {
      expect(count(svg, '<g class="band">')).toBe(10);
      expect(svg).toContain('>knee: 800k</text>');
      const kneeX = svg.match(/<path class="place" d="M([\d.]+) /)![1];
      expect(pointsOf(svg, svg === rate ? 'blue' : 'orange')[7]![0]).toBe(Number(kneeX));
    }
    expect(p99).toContain('SLO 20 ms');
  });

  test('shows the knee first, and lists every step', () => {
    expect(page).toContain('<b>800,000</b>');
    expect(page).toContain(`<b>${formatMs(result.knee!.p99Ms)} ms</b>`);
    expect(count(page, ' (knee)</th>')).toBe(1);
    for (const step of result.steps)
      expect(page).toContain(`<td>${formatCount(step.ackedRate)}</td><td>${formatMs(step.latency.p50Ms)}</td>`);
    expect(count(page, `<td class="bad">${formatMs(result.steps[9]!.latency.p99Ms)}</td>`)).toBe(1);
  });

  test('puts the steps one after the other', () => {
    const svg = chart(page, 'Throughput over time');
    expect(pointsOf(svg, 'blue')).toHaveLength(300);
    expect(svg).toContain('<title>30 s\n');
    for (const name of ['>100k</text>', '>900k</text>']) expect(svg).toContain(name);
  });

  test('without a knee shows the step that got the most acknowledged', () => {
    const none = renderReport({ ...result, knee: null });
    const best = result.steps.toSorted((left, right) => right.ackedRate - left.ackedRate)[0]!;
    expect(none).not.toMatch(/knee[:)]|at the knee/);
    expect(none).toContain(`<b>${formatCount(best.ackedRate)}</b>`);
  });
});

describe('a run that failed', () => {
  const result = failingRun();
  const page = renderReport(result);

  test('says so, with what is missing', () => {
    expect(page).toContain('<strong>Fail</strong>');
    expect(page).toContain('<b>max</b>');
    expect(page).toContain('over the SLO of 8 ms');
    expect(page).toContain('3 of 1,000 channels hold less than was acknowledged');
    expect(page).toContain('<td>not known</td>');
  });

  test('everything put into it is escaped', () => {
    const escaped = '&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;two&#39;';
    expect(page).not.toContain(HOSTILE);
    // Title, heading, target; verdict, reason, machine.
    expect(count(page, escaped)).toBe(6);
  });

  test('breaks its lines where nothing came back, and shows what stands alone', () => {
    const svg = chart(page, 'Latency over time');
    const path = svg.match(/<path class="line blue" d="([^"]*)"/)![1]!;
    expect(count(path, 'M')).toBe(3);
    expect(count(svg, ' shown"')).toBe(3);
    expect(count(svg, 'nothing acknowledged')).toBe(2);
  });
});

test('a run in which nothing was acknowledged says so instead of drawing it', () => {
  const page = renderReport(emptyRun());
  expect(count(page, 'Nothing was acknowledged: there is no latency to draw.')).toBe(2);
  expect(count(chart(page, 'Throughput over time'), '<g class="band">')).toBe(1);
  expect(page).toContain('Not reconciled');
  expect(renderReport(noSteps())).toContain('No step was measured.');
});

test('templates escape what they are given, and take no number that is none', () => {
  expect(html`<b title="${'"'}">${'<&>'}${[html`<i>${1}</i>`, html`<i></i>`]}</b>`.source).toBe(
    '<b title="&quot;">&lt;&amp;&gt;<i>1</i>\n<i></i></b>',
  );
  expect(() => html`${Number.NaN}`).toThrow('NaN');
});

test('figures', () => {
  expect([0.1234, 9.9996, 12.345, 123.45, 12_345.6].map(formatMs)).toEqual([
    '0.123',
    '10.000',
    '12.35',
    '123.5',
    '12,346',
  ]);
  expect([8, 0.5, 2500].map(formatSetMs)).toEqual(['8 ms', '0.5 ms', '2,500 ms']);
  expect([0, 80, 1500, 450_000, 1_234_000].map(formatCompact)).toEqual(['0', '80', '1.5k', '450k', '1.234M']);
  expect([
    formatShare(1, 1e6),
    formatShare(999_999, 1e6),
    formatShare(0, 5),
    formatShare(5, 5),
    formatShare(1, 0),
  ]).toEqual(['< 0.01 %', '> 99.99 %', '0 %', '100 %', '–']);
  expect([formatDecimal('1234567'), formatDecimal('12'), formatDecimal('-1<')]).toEqual(['1,234,567', '12', '-1<']);
  expect([formatCount(Number.NaN), formatMs(Number.POSITIVE_INFINITY), formatCompact(Number.NaN)]).toEqual([
    '–',
    '–',
    '–',
  ]);
});

describe('axes', () => {
  const labels = (axis: { ticks: { label: string }[] }) => axis.ticks.map(({ label }) => label);

  test('linear: whole steps around the values', () => {
    expect(labels(linearAxis(0, 499_870, formatCompact))).toEqual(['0', '100k', '200k', '300k', '400k', '500k']);
    expect(labels(linearAxis(0, 0, formatCompact))).toHaveLength(6);
    expect(labels(linearAxis(0.1, 0.3, String))).toEqual(['0.1', '0.15', '0.2', '0.25', '0.3']);
    expect(linearAxis(100, 100, String).position(100)).toBe(0);
  });

  test('logarithmic: 1, 2 and 5, or over many powers 1 alone', () => {
    expect(labels(logAxis(0.3, 7))).toEqual(['0.2', '0.5', '1', '2', '5', '10']);
    expect(labels(logAxis(0.03, 1500))).toEqual(['0.1', '1', '10', '100', '1,000']);
    expect(logAxis(0.2, 20).position(2)).toBeCloseTo(0.5);
    expect(logAxis(1, 10).position(0)).toBeNaN();
    expect(logAxis(5, 5).ticks).toHaveLength(2);
  });

  test('percentiles: every nine as far as the last', () => {
    expect(percentileAxis(4).position(2)).toBe(0.5);
    expect(labels(percentileAxis(3.5))).toEqual(['min', '50 %', '90 %', '99 %', '99.9 %']);
    expect([Math.log10(2), 1, 2, 3, 5, 2.35].map(percentOfNines)).toEqual([
      '50',
      '90',
      '99',
      '99.9',
      '99.999',
      '99.55',
    ]);
  });

  test('time: in the unit that fits', () => {
    expect(labels(timeAxis(10))).toHaveLength(11);
    expect(timeAxis(1800)).toMatchObject({ unit: 'minutes' });
    expect(labels(timeAxis(1800)).at(-1)).toBe('30');
    expect(labels(timeAxis(36_000))).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10']);
    expect(timeAxis(0).position(0)).toBe(0);
  });
});
