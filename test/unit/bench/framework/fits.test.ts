/** The framework's fits against closed forms, published data and data with known noise. */
import { describe, expect, test } from 'vitest';
import {
  costLine,
  fitWithHeldOut,
  leastSquares,
  scalabilityLaw,
  scalabilityPeak,
  workersFor,
} from '../../../../bench/framework/fits.ts';
import { Random } from '../../../../src/load/random.ts';

const line = costLine('start', 'each');

describe('least squares', () => {
  test('a line through its points exactly', () => {
    const points = [1, 2, 5, 9].map((x) => ({ x, y: 3 + 0.25 * x }));
    const { parameters, fitError, heldOutError } = fitWithHeldOut(points, line);
    expect(parameters.start).toBeCloseTo(3, 9);
    expect(parameters.each).toBeCloseTo(0.25, 9);
    expect(fitError.worst).toBeLessThan(1e-9);
    expect(heldOutError).toMatchObject({ points: 2 });
  });

  test('columns that differ by many powers of ten', () => {
    const rows = [1, 2, 3, 4, 5].map((x) => [1, x * 1e6, x * x * 1e-6]);
    const values = rows.map(([one, large, small]) => 7 * one! + 2e-6 * large! + 5e6 * small!);
    const found = leastSquares(rows, values);
    expect(found[0]).toBeCloseTo(7, 5);
    expect(found[1]! * 1e6).toBeCloseTo(2, 5);
    expect(found[2]! * 1e-6).toBeCloseTo(5, 5);
  });

  test('a cost is never below 0: the line is then flat, or begins at 0', () => {
    expect(line([1, 2, 3].map((x) => ({ x, y: 10 - x }))).parameters.each).toBe(0);
    expect(line([1, 2, 3].map((x) => ({ x, y: 5 * x - 4 }))).parameters.start).toBe(0);
  });

  test('too few points, or ones that do not tell the parameters apart, are a fault', () => {
    expect(() => leastSquares([[1, 2]], [1])).toThrow(/expected at least 2 points for 2 parameters, got 1/);
    expect(() =>
      leastSquares(
        [
          [1, 2],
          [1, 2],
        ],
        [1, 1],
      ),
    ).toThrow(/tell the parameters apart/);
  });
});

describe('the universal scalability law', () => {
  const law = (lambda: number, sigma: number, kappa: number) => (n: number) =>
    (lambda * n) / (1 + sigma * (n - 1) + kappa * n * (n - 1));

  test('finds the parameters that made the points', () => {
    const truth = law(995.65, 0.02671, 0.000769);
    const points = [1, 2, 4, 8, 16, 24, 32].map((x) => ({ x, y: truth(x) }));
    const { parameters } = fitWithHeldOut(points, scalabilityLaw);
    expect(parameters.lambda).toBeCloseTo(995.65, 4);
    expect(parameters.sigma).toBeCloseTo(0.02671, 7);
    expect(parameters.kappa).toBeCloseTo(0.000769, 8);
    expect(scalabilityPeak(parameters)).toBeCloseTo(Math.sqrt((1 - 0.02671) / 0.000769), 3);
  });

  test("Gunther's ray tracer on an SGI Origin 2000, as R's package usl has it (dataset raytracer)", () => {
    // Processors and throughput. The fit that takes λ = X(1) gives σ = 0.050 and κ near 0.
    const data = [
      [1, 20],
      [4, 78],
      [8, 130],
      [12, 170],
      [16, 190],
      [20, 200],
      [24, 210],
      [28, 230],
      [32, 260],
      [48, 280],
      [64, 310],
    ];
    const { parameters, fitError, heldOutError } = fitWithHeldOut(
      data.map(([x, y]) => ({ x: x!, y: y! })),
      scalabilityLaw,
    );
    // This one fits λ too, by relative residuals, so σ agrees to a hundredth and not to more.
    expect(Math.abs(parameters.sigma! - 0.05)).toBeLessThan(0.01);
    expect(parameters.kappa).toBeLessThan(1e-4);
    expect(fitError.mean).toBeLessThan(0.06);
    expect(heldOutError!.mean).toBeLessThan(0.08);
    expect(heldOutError!.points).toBe(9);
  });

  test('with 3 % of noise it predicts points that it never saw within 5 %', () => {
    const random = new Random(3, 'noise');
    const truth = law(100, 0.03, 0.0005);
    const points = [1, 2, 3, 4, 6, 8, 12, 16].map((x) => ({ x, y: truth(x) * (1 + 0.06 * (random.next() - 0.5)) }));
    expect(fitWithHeldOut(points, scalabilityLaw).heldOutError!.mean).toBeLessThan(0.05);
  });

  test('with two numbers of workers κ is unknown and taken to be 0', () => {
    const { parameters, heldOutError } = fitWithHeldOut(
      [
        { x: 1, y: 10 },
        { x: 2, y: 19 },
      ],
      scalabilityLaw,
    );
    expect(parameters.kappa).toBe(0);
    expect(parameters.sigma).toBeCloseTo(20 / 19 - 1, 9);
    expect(heldOutError).toBeUndefined();
    expect(scalabilityPeak(parameters)).toBe(Number.POSITIVE_INFINITY);
  });

  test('more than linear growth is taken as linear', () => {
    const { parameters } = fitWithHeldOut(
      [1, 2, 4].map((x) => ({ x, y: x ** 1.1 })),
      scalabilityLaw,
    );
    expect(parameters).toMatchObject({ sigma: 0, kappa: 0 });
  });

  test('the workers that a rate needs, or none', () => {
    expect(workersFor((n) => 10 * n, 35, 8)).toBe(4);
    expect(workersFor((n) => 10 * n, 100, 8)).toBeUndefined();
  });
});

test('a point that is held out is not seen by the model that predicts it', () => {
  // A line, and one point in the middle that is twice as high. Seen by its own model it would pull the line up to itself.
  const points = [1, 2, 3, 4, 5].map((x) => ({ x, y: x === 3 ? 60 : 10 * x }));
  const { heldOutError } = fitWithHeldOut(points, costLine('start', 'each'));
  // The other four lie on 10 x, which says 30 where 60 was measured.
  expect(heldOutError!.worst).toBeGreaterThanOrEqual(0.5 - 1e-9);
});

test('where all points are needed for the parameters, none is held out', () => {
  const points = [1, 2, 4].map((x) => ({ x, y: 100 * x ** 0.9 }));
  expect(fitWithHeldOut(points, scalabilityLaw).heldOutError).toBeUndefined();
});
