/**
 * The simulator, briefly: fresh seeds, and all that ever found something. `make simulate` runs thousands. That it notices faults
 * of the product is seen with some put in on purpose.
 */
import { beforeAll, expect, test } from 'vitest';
import { BREAKS } from './breaks.ts';
import { bundleWorker } from './bundle.ts';
import { type ChildrenOptions, type RunOptions, runSeeds } from './children.ts';
import { keptSeeds } from './kept-seeds.ts';
import type { SeedResult } from './simulate.ts';

const FRESH = 100;
/** Half of what `make simulate` takes: the suite's time is bounded, and more worlds show more than longer ones. */
const SIZES = { claims: 400 };
const TEST_MS = 300_000;
const SEEDS_MAX = 40;

let worker: string;
beforeAll(async () => {
  worker = await bundleWorker('tested');
});

async function run(
  seeds: ChildrenOptions['seeds'],
  of = worker,
  isEnough?: (results: readonly SeedResult[]) => boolean,
) {
  const results: SeedResult[] = [];
  const onResult = (result: SeedResult) => void results.push(result);
  await runSeeds({ worker: of, seeds, count: 1, onResult, isEnough: () => isEnough?.(results) ?? false });
  return results;
}

function from(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

/** Each with the line that runs it again. */
function failuresOf(results: readonly SeedResult[]): string[] {
  return results.flatMap(({ seed, failure }) =>
    failure ? [`make simulate SEED=${seed} ARGS="--sizes claims=${SIZES.claims}": ${failure.what}`] : [],
  );
}

test(
  'fresh seeds and all kept ones: every promise holds',
  async () => {
    const fresh = from(Date.now() % 1_000_000_000, FRESH).map((seed): [number, RunOptions] => [seed, { sizes: SIZES }]);
    const results = await run([...keptSeeds(), ...fresh]);
    expect(failuresOf(results)).toEqual([]);
    const sum = (of: (result: SeedResult) => number) => results.reduce((total, result) => total + of(result), 0);
    expect(sum(({ totals }) => totals.received)).toBeGreaterThan(150 * FRESH);
    expect(sum(({ totals }) => totals.crashes)).toBeGreaterThan(2 * FRESH);
  },
  TEST_MS,
);

test('a seed is the same world each time', async () => {
  const [first, second] = await run([3, 3]);
  expect([second!.events, second!.digest, second!.faults]).toEqual([first!.events, first!.digest, first!.faults]);
});

test.each(['ack-before-sync', 'charge-key-forgotten'])(
  'notices a fault of the product: %s',
  async (name) => {
    const broken = await bundleWorker(`tested-${name}`, BREAKS.find((each) => each.name === name)!.edits);
    const results = await run(from(1, SEEDS_MAX), broken, (all) => failuresOf(all).length > 0);
    expect(failuresOf(results)).toHaveLength(1);
  },
  TEST_MS,
);
