/**
 * `make fuzz`: for each target some time of inputs that are made of those which took new branches. What fails is kept in
 * test/fuzz/corpus, which `make test` runs through again, and printed. Exit code 1 where something failed.
 */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { keep, readCorpus, replaceCorpus } from './corpus.ts';
import { instrument } from './instrument.ts';
import type { LoopInput, LoopResult } from './loop.ts';
import { TARGETS } from './targets.ts';

const HELP = `make fuzz SECONDS=60 TARGET=NAME ARGS="…"

  TARGET       ${TARGETS.join(', ')}; all by default, with C's own: kernel, admission
  --minimise   keeps the smallest of the kept inputs that take the same branches, and those found now among them
  --seed N     for the same inputs again; by default that of the clock
`;
/** A run that takes longer is a fault too. */
const RUN_MS_MAX = 5_000;
const CODE = ['src/', 'protocol/'];

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
    minimise: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else process.exitCode = await main();

async function main(): Promise<number> {
  const names = values.target === undefined ? TARGETS : TARGETS.filter((name) => name === values.target);
  if (names.length === 0) {
    process.stderr.write(`TARGET: expected one of ${TARGETS.join(', ')}, kernel, admission, got ${values.target}\n`);
    return 2;
  }
  let failures = 0;
  for (const name of names) {
    const { runs, edges, kept, failure, all } = await fuzz(name);
    say(`${name.padEnd(10)} ${runs} runs, ${edges} of ${all} branches, ${kept.length} inputs kept`);
    if (failure === undefined) {
      if (values.minimise) replaceCorpus(name, kept);
      continue;
    }
    failures++;
    say(
      `FAILED ${name}, with ${keep(name, failure.bytes)}; again: make fuzz TARGET=${name} SECONDS=1\n${failure.text}`,
    );
  }
  return failures > 0 ? 1 : 0;
}

/** Bundles a target, puts counters into the product's code, and runs the loop in a thread. */
async function fuzz(name: string): Promise<LoopResult & { all: number }> {
  const bundled = await build({
    entryPoints: [`test/fuzz/targets/${name}.ts`],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    define: { 'import.meta.url': JSON.stringify(`file://${resolve('src/native/addon.ts')}`) },
  });
  const { code, edges, literals } = instrument(bundled.outputFiles[0]!.text, CODE);
  const program = resolve('build/fuzz', `${name}.mjs`);
  writeFileSync(program, code);
  const current = new SharedArrayBuffer(8 + (1 << 20));
  const input = { program, corpus: readCorpus(name), literals, edges, current, isMinimised: values.minimise };
  const workerData: LoopInput = { ...input, seconds: Number(values.seconds), seed: Number(values.seed) };
  const result = await run(new Worker(join(resolve('build/fuzz'), 'worker.mjs'), { workerData }), current);
  return { ...result, all: edges };
}

/** What the worker found; where one run does not end, that is the failure. */
async function run(worker: Worker, current: SharedArrayBuffer): Promise<LoopResult> {
  const words = new Int32Array(current, 0, 2);
  const failureNow = (text: string): LoopResult => {
    const bytes = new Uint8Array(current, 8, words[1]).slice();
    return { runs: words[0]!, edges: 0, kept: [], failure: { bytes, text } };
  };
  let last = -1;
  return await new Promise((resolve) => {
    const timer = setInterval(() => {
      const runs = Atomics.load(words, 0);
      if (runs !== last || runs === 0) last = runs;
      else end(failureNow(`one run took more than ${RUN_MS_MAX} ms`));
    }, RUN_MS_MAX);
    const end = (result: LoopResult) => {
      clearInterval(timer);
      void worker.terminate();
      resolve(result);
    };
    worker.once('message', end);
    // What is thrown outside of a run, by a callback, is a finding as well.
    worker.once('error', (error) => end(failureNow(`${(error as Error).stack ?? error}`)));
  });
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
