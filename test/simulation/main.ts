/**
 * `make simulate`: runs seeds in child processes, adds up what they did, and prints every fault with its count. Exit code 1 where
 * a seed found something; it is shrunk, and printed with the line that runs it again and what happened before.
 */
import { parseArgs } from 'node:util';
import { BREAKS } from './breaks.ts';
import { bundleWorker } from './bundle.ts';
import { Child, type ChildrenOptions, runSeeds } from './children.ts';
import { keptSeeds } from './kept-seeds.ts';
import type { Sizes } from './plan.ts';
import { type Shrunk, shrink } from './shrink.ts';
import type { SeedResult } from './simulate.ts';
import { Summary, shrunkText } from './summary.ts';

const HELP = `make simulate SEEDS=… SEED=… WORKERS=… ARGS="…"

  --seeds N      seeds to run; default 200
  --seed N       one seed, with its trace; or with --seeds the first of them. By default they begin at the clock
  --step N       from one seed to the next; with --seed 15 and 16 all are clusters. Default 1
  --kept         those of kept-seeds.ts instead
  --workers N    child processes; default 2
  --without A,B  odds of plan.ts by which nothing happens, to find out what a failure needs
  --sizes A=N,B  of claims, channels, payers: at most so many
  --no-shrink    tells of a failing seed as it is, and does not look for a smaller world in which it fails
  --trace N      lines of a failing seed's trace; default 60
  --break NAME   breaks one line of the product first, and looks for a seed that finds it, unless one is given: ${BREAKS.map(({ name }) => name).join(', ')}; or all
  --first N      the first seed of --break; default 1
  --json         the result as JSON on stdout
`;
const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    first: { type: 'string', default: '1' },
    step: { type: 'string', default: '1' },
    kept: { type: 'boolean', default: false },
    workers: { type: 'string', default: '2' },
    without: { type: 'string', default: '' },
    sizes: { type: 'string', default: '' },
    'no-shrink': { type: 'boolean', default: false },
    trace: { type: 'string', default: '60' },
    break: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const PROGRESS_MS = 5_000;
const TRACE_LINES = 20_000;
const SHRUNK_MAX = 3;

if (values.help) process.stdout.write(HELP);
else if (values.break === undefined || values.seed !== undefined) process.exitCode = await main();
else process.exitCode = await findBreaks(values.break);

function chosenSeeds(): ChildrenOptions['seeds'] & { length: number } {
  if (values.kept) return keptSeeds();
  const one = values.seed !== undefined && values.seeds === undefined;
  const first = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
  return Array.from(
    { length: one ? 1 : Number(values.seeds ?? 200) },
    (_, index) => first + index * Number(values.step),
  );
}

async function main(): Promise<number> {
  const seeds = chosenSeeds();
  const edits = BREAKS.find(({ name }) => name === values.break)?.edits;
  const worker = await bundleWorker(edits === undefined ? 'worker' : `broken-${values.break}`, edits);
  const summary = new Summary();
  const begun = performance.now();
  const progress = setInterval(() => {
    process.stderr.write(`${summary.seeds} of ${seeds.length} seeds, ${summary.failures.length} failed\n`);
  }, PROGRESS_MS);
  const without = values.without.split(',').filter((name) => name !== '');
  const sizes = sizesOf(values.sizes);
  await runSeeds({
    worker,
    seeds,
    without,
    sizes,
    count: Math.min(Number(values.workers), seeds.length),
    onResult: (result) => add(summary, result),
  });
  clearInterval(progress);
  const seconds = (performance.now() - begun) / 1_000;
  if (values.json) process.stdout.write(`${JSON.stringify(summary.toJSON(seconds))}\n`);
  else process.stdout.write(summary.text(seconds));
  for (const failed of summary.failures.slice(0, SHRUNK_MAX)) await explain(worker, failed, { without, sizes });
  return summary.failures.length === 0 ? 0 : 1;
}

/** A failing seed is made as small as it goes, and told. A trace costs half as much again: only the last run has one. */
async function explain(worker: string, failed: SeedResult, how: { without: string[]; sizes: Sizes }): Promise<void> {
  let shrunk: Shrunk;
  if (values['no-shrink']) {
    const child = new Child(worker);
    const result = await child.run(failed.seed, { ...how, traceLines: TRACE_LINES });
    child.end();
    shrunk = { ...how, result, runs: 0 };
  } else shrunk = await shrink(worker, failed, how.without);
  const text = shrunkText(shrunk, Number(values.trace), values.break);
  (values.json ? process.stderr : process.stdout).write(text);
}

/** Like payers=1,claims=200. */
function sizesOf(text: string): Sizes {
  const pairs = text.split(',').filter((pair) => pair !== '');
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0]!, Number(pair.split('=')[1])])) as Sizes;
}

/** A failure is told at once: the others may take long. */
function add(summary: Summary, result: SeedResult): void {
  summary.add(result);
  if (result.failure !== undefined) process.stderr.write(`seed ${result.seed}: ${result.failure.what}\n`);
}

/** Of each break the first seed that notices it. Exit code 1 where none does. */
async function findBreaks(name: string): Promise<number> {
  let missed = 0;
  for (const broken of BREAKS.filter((each) => name === 'all' || each.name === name)) {
    const worker = await bundleWorker(`broken-${broken.name}`, broken.edits);
    const seeds = Array.from(
      { length: Number(values.seeds ?? 200) },
      (_, index) => Number(values.first) + index * Number(values.step),
    );
    const found: SeedResult[] = [];
    const onResult = (result: SeedResult) => {
      if (result.failure !== undefined) found.push(result);
    };
    await runSeeds({ worker, seeds, count: Number(values.workers), onResult, isEnough: () => found.length > 0 });
    const [first] = found.sort((left, right) => left.seed - right.seed);
    if (first === undefined) missed++;
    process.stdout.write(`| ${broken.name} | ${first?.seed ?? 'not found'} | ${first?.failure?.promise ?? ''} |\n`);
    if (name !== 'all' && first !== undefined) await explain(worker, first, { without: [], sizes: {} });
  }
  return missed === 0 ? 0 : 1;
}
