/**
 * Models fitted to measured points, and how far they are off on points that were held out. Pure.
 *
 * All of them are linear in their parameters once written down the right way, so that plain least squares finds the one best
 * fit and nothing iterates. Residuals are relative: a model that is 10 % off at 10 and at 10,000,000 is equally wrong at both.
 */

export interface Point {
  x: number;
  y: number;
}

/** How far a model's predictions are off, as shares of the measured values. */
export interface ModelError {
  points: number;
  mean: number;
  worst: number;
}

export interface Fitted {
  /** By name, as the report prints them. */
  parameters: Record<string, number>;
  predict(x: number): number;
  /** On the points that it was fitted to. */
  fitError: ModelError;
  /** On points that it never saw; undefined where there were too few to hold any out. */
  heldOutError: ModelError | undefined;
}

/** The smallest sum of squares of (y - Σ parameter · column) / y; parameters are kept at 0 or above where `atLeastZero` says. */
export function leastSquares(
  rows: readonly (readonly number[])[],
  values: readonly number[],
  atLeastZero: readonly boolean[] = [],
): number[] {
  const width = rows[0]!.length;
  const used = Array.from({ length: width }, (_, column) => column);
  for (;;) {
    const solution = solveNormal(rows, values, used);
    // The most negative of those that may not be is left out, until there is none.
    const wrong = used
      .map((column, index) => ({ column, value: solution[index]! }))
      .filter(({ column, value }) => atLeastZero[column] && value < 0)
      .sort((left, right) => left.value - right.value)[0];
    if (wrong === undefined) {
      const all = new Array<number>(width).fill(0);
      for (const [index, column] of used.entries()) all[column] = solution[index]!;
      return all;
    }
    used.splice(used.indexOf(wrong.column), 1);
  }
}

function solveNormal(
  rows: readonly (readonly number[])[],
  values: readonly number[],
  used: readonly number[],
): number[] {
  const size = used.length;
  if (rows.length < size)
    throw new Error(`expected at least ${size} points for ${size} parameters, got ${rows.length}`);
  const matrix = Array.from({ length: size }, () => new Array<number>(size + 1).fill(0));
  for (const [row, terms] of rows.entries()) {
    const weight = 1 / values[row]! ** 2;
    for (let left = 0; left < size; left++) {
      for (let right = 0; right < size; right++)
        matrix[left]![right]! += weight * terms[used[left]!]! * terms[used[right]!]!;
      matrix[left]![size]! += weight * terms[used[left]!]! * values[row]!;
    }
  }
  return eliminate(matrix);
}

/** Gauss with scaled columns and pivots: the columns of a model may differ by ten powers of ten. */
function eliminate(matrix: number[][]): number[] {
  const size = matrix.length;
  const scale = matrix.map((row, index) => 1 / Math.sqrt(row[index]! || 1));
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) matrix[row]![column]! *= scale[row]! * scale[column]!;
    matrix[row]![size]! *= scale[row]!;
  }
  for (let pivot = 0; pivot < size; pivot++) {
    let best = pivot;
    for (let row = pivot + 1; row < size; row++)
      if (Math.abs(matrix[row]![pivot]!) > Math.abs(matrix[best]![pivot]!)) best = row;
    [matrix[pivot], matrix[best]] = [matrix[best]!, matrix[pivot]!];
    if (Math.abs(matrix[pivot]![pivot]!) < 1e-13)
      throw new Error('expected points that tell the parameters apart, got ones that do not');
    for (let row = 0; row < size; row++) {
      if (row === pivot) continue;
      const factor = matrix[row]![pivot]! / matrix[pivot]![pivot]!;
      for (let column = pivot; column <= size; column++) matrix[row]![column]! -= factor * matrix[pivot]![column]!;
    }
  }
  return matrix.map((row, index) => (row[size]! / row[index]!) * scale[index]!);
}

type Model = (points: readonly Point[]) => { parameters: Record<string, number>; predict: (x: number) => number };

/** y = `intercept` + `slope` · x, neither of them below 0: costs. */
export const costLine =
  (intercept: string, slope: string): Model =>
  (points) => {
    const rows = points.map(({ x }) => [1, x]);
    const [constant, each] = leastSquares(rows, valuesOf(points), [true, true]) as [number, number];
    return { parameters: { [intercept]: constant, [slope]: each }, predict: (x) => constant + each * x };
  };

/**
 * Gunther's universal scalability law: X(N) = λN / (1 + σ(N - 1) + κN(N - 1)). σ is the share of the work that is serial, κ the
 * price of keeping N workers coherent. N / X is linear in 1/λ, σ/λ and κ/λ.
 */
export const scalabilityLaw: Model = (points) => {
  const rows = points.map(({ x }) => [1, x - 1, x * (x - 1)]);
  const values = points.map(({ x, y }) => x / y);
  // With two different numbers of workers σ and κ cannot be told apart: κ is then taken to be 0.
  const counts = new Set(points.map(({ x }) => x)).size;
  const usable = rows.map((row) => row.slice(0, Math.min(3, counts)));
  const [inverse, serial = 0, coherence = 0] = leastSquares(usable, values, [false, true, true]) as [
    number,
    number?,
    number?,
  ];
  const [lambda, sigma, kappa] = [1 / inverse, serial / inverse, coherence / inverse];
  return {
    parameters: { lambda, sigma, kappa },
    predict: (x) => (lambda * x) / (1 + sigma * (x - 1) + kappa * x * (x - 1)),
  };
};

/** The number of workers at which the law's throughput is highest; Infinity where κ is 0. */
export function scalabilityPeak({ sigma = 0, kappa = 0 }: Record<string, number>): number {
  return kappa > 0 ? Math.max(1, Math.sqrt((1 - sigma) / kappa)) : Number.POSITIVE_INFINITY;
}

/** The smallest whole number of workers whose throughput reaches `rate`, up to `most`; undefined where none does. */
export function workersFor(predict: (workers: number) => number, rate: number, most: number): number | undefined {
  for (let workers = 1; workers <= most; workers++) if (predict(workers) >= rate) return workers;
  return undefined;
}

/**
 * Fits a model to all points for its parameters; its held-out error comes from fits that leave out one point each and
 * predict it. The points at the ends are always used, since to predict beyond them would be extrapolation.
 */
export function fitWithHeldOut(points: readonly Point[], model: Model): Fitted {
  const sorted = points.toSorted((left, right) => left.x - right.x);
  const { parameters, predict } = model(sorted);
  const heldOut: number[] = [];
  const [least, most] = [sorted[0]!.x, sorted.at(-1)!.x];
  const needed = Object.keys(parameters).length;
  for (const [index, point] of sorted.entries()) {
    if (point.x === least || point.x === most || sorted.length - 1 < needed) continue;
    const others = model(sorted.toSpliced(index, 1));
    heldOut.push(relative(others.predict(point.x), point.y));
  }
  return {
    parameters,
    predict,
    fitError: errorOf(sorted.map(({ x, y }) => relative(predict(x), y))),
    heldOutError: heldOut.length === 0 ? undefined : errorOf(heldOut),
  };
}

function errorOf(shares: readonly number[]): ModelError {
  return {
    points: shares.length,
    mean: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    worst: Math.max(...shares),
  };
}

function relative(predicted: number, measured: number): number {
  return Math.abs(predicted - measured) / Math.abs(measured);
}

function valuesOf(points: readonly Point[]): number[] {
  return points.map(({ y }) => y);
}
