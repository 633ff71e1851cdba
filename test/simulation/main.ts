/**
 * `make simulate`: runs seeds in child processes, adds up what they did, and prints every fault with its count. Exit code 1 where
 * a seed found something; it is printed with the line that runs it again and what happened before.
 */
import { parseArgs } from 'node:util';
import { BREAKS } from './breaks.ts';
import { bundleWorker } from './bundle.ts';
import { runSeeds } from './children.ts';
import { keptSeeds } from './kept-seeds.ts';
import type { SeedResult } from './simulate.ts';
import { Summary } from './summary.ts';

const HELP = `make simulate SEEDS=… SEED=… WORKERS=… ARGS="…"

  --seeds N      seeds to run; default 200
  --seed N       one seed, with its trace; or with --seeds the first of them. By default they begin at the clock
  --kept         those of kept-seeds.ts instead
  --workers N    child processes; default 2
  --without A,B  odds of plan.ts by which nothing happens, to find out what a failure needs
  --trace N      lines of a failing seed's trace; default 60
  --break NAME   breaks one line of the product first, to see that it is found: ${BREAKS.map(({ name }) => name).join(', ')}; or all
  --json         the result as JSON on stdout
`;
const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    kept: { type: 'boolean', default: false },
    workers: { type: 'string', default: '2' },
    without: { type: 'string', default: '' },
    trace: { type: 'string', default: '60' },
    break: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const PROGRESS_MS = 5_000;

if (values.help) process.stdout.write(HELP);
else process.exitCode = values.break === undefined ? await main() : await findBreaks(values.break);

function chosenSeeds(): number[] {
  if (values.kept) return keptSeeds();
  const one = values.seed !== undefined && values.seeds === undefined;
  const first = values.seed === undefined ? Date.now() % 1_000_000_000 : Number(values.seed);
  return Array.from({ length: one ? 1 : Number(values.seeds ?? 200) }, (_, index) => first + index);
}

async function main(): Promise<number> {
  const seeds = chosenSeeds();
  const worker = await bundleWorker();
  const summary = new Summary();
  const begun = performance.now();
  const progress = setInterval(() => {
    process.stderr.write(`${summary.seeds} of ${seeds.length} seeds, ${summary.failures.length} failed\n`);
  }, PROGRESS_MS);
  const traceLines = Number(values.trace);
  const without = values.without.split(',');
  // A trace costs half as much again: only a seed that failed is run with it.
  await runSeeds({
    worker,
    seeds,
    without,
    count: Math.min(Number(values.workers), seeds.length),
    onResult: (result) => add(summary, result),
  });
  const traced: SeedResult[] = [];
  const failed = summary.failures.slice(0, 3).map(({ seed }) => seed);
  if (failed.length > 0)
    await runSeeds({ worker, seeds: failed, count: 1, traceLines, without, onResult: (result) => traced.push(result) });
  clearInterval(progress);
  const seconds = (performance.now() - begun) / 1_000;
  if (values.json) process.stdout.write(`${JSON.stringify(summary.toJSON(seconds))}\n`);
  else process.stdout.write(summary.text(seconds, traced));
  return summary.failures.length === 0 ? 0 : 1;
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
    const seeds = Array.from({ length: Number(values.seeds ?? 200) }, (_, index) => index + 1);
    const found: SeedResult[] = [];
    const onResult = (result: SeedResult) => {
      if (result.failure !== undefined) found.push(result);
    };
    await runSeeds({ worker, seeds, count: Number(values.workers), onResult, isEnough: () => found.length > 0 });
    const [first] = found.sort((left, right) => left.seed - right.seed);
    if (first === undefined) missed++;
    process.stdout.write(`| ${broken.name} | ${first?.seed ?? 'not found'} | ${first?.failure?.promise ?? ''} |\n`);
  }
  return missed === 0 ? 0 : 1;
}
