/**
 * `claimwire bench`: what this program does on this machine, as one report; `claimwire bench compare`: what changed between two.
 *
 * Main thread of its own process; everything that is measured runs in processes of their own (bench/framework).
 */
import { readFileSync } from 'node:fs';
import { compare, comparisonText, expectReport, renderPage, reportText, runBench } from '../bench/framework/index.ts';
import { ClaimwireError } from '../src/errors.ts';
import { usage } from './args.ts';
import { defineCommand } from './command.ts';
import { expectWritable, save } from './files.ts';
import type { OptionSpecs } from './options.ts';
import { complain, say, writeJson } from './output.ts';
import { count } from './units.ts';

const SEED_MAX = 2 ** 32 - 1;

const OPTIONS = {
  quick: { description: 'less than three minutes instead of twelve: fewer runs, wider intervals' },
  out: { value: 'FILE.html', description: 'the report as one self-contained page' },
  'json-out': { value: 'FILE', description: 'the report as JSON, for bench compare' },
  seed: { value: 'N', description: 'of the resampling behind the intervals', default: '1', read: count(0, SEED_MAX) },
} as const satisfies OptionSpecs;

export const command = defineCommand({
  name: 'bench',
  summary: 'measures this machine, part by part, and compares reports',
  description:
    'measures every part of a node on this machine, what each optimisation buys, and how it scales, and says what holds a node back at full load. `compare A.json B.json` says for each figure whether it changed.',
  operands: { name: '[compare A.json B.json]', count: 'any' },
  options: OPTIONS,
  examples: [
    ['claimwire bench --quick --out bench.html', 'a page to look at, in less than three minutes'],
    ['claimwire bench --json-out before.json', 'everything, for a comparison'],
    ['claimwire bench compare before.json after.json', 'what changed, what cannot be told apart'],
  ],
  notes: `Nothing else should be at work meanwhile: the nodes and the load share the machine's
cores. Data is written to ./data, which has to be on a disk, and is removed.

A figure has changed where the two 95 % intervals of its median have nothing in common. On
another processor only ratios to floors of the same run are compared.

The peers beside the benchmarks (libsecp256k1, JSON over HTTP and others) are not in the
published package: npm run bench:NAME in a checkout measures them.

Exit code: 0 measured or compared, 1 a file that could not be written, 2 usage.`,
  act: async (values, operands) => {
    if (operands[0] === 'compare') return compareFiles(operands.slice(1), values.json);
    if (operands.length > 0) usage(`bench: expected nothing or compare A.json B.json, got ${operands.join(' ')}`);
    for (const flag of ['out', 'json-out'] as const)
      if (values[flag] !== undefined) expectWritable(values[flag], `--${flag}`);
    const report = await runBench({
      quick: values.quick,
      seed: values.seed,
      progress: (text) => complain(`bench: ${text}`),
    });
    if (values.json) writeJson(report);
    else say(reportText(report));
    const faults: string[] = [];
    if (values.out !== undefined) faults.push(...save(values.out, '--out', renderPage(report)));
    if (values['json-out'] !== undefined)
      faults.push(...save(values['json-out'], '--json-out', `${JSON.stringify(report)}\n`));
    for (const fault of faults) complain(`claimwire: ${fault}`);
    return faults.length === 0 ? 0 : 1;
  },
});
export const { run } = command;

function compareFiles(files: readonly string[], isJson: boolean): number {
  if (files.length !== 2) usage(`bench compare: expected two reports, got ${files.length}`);
  const [before, after] = files.map(readReport);
  const comparison = compare(before!, after!);
  if (isJson) writeJson(comparison);
  else process.stdout.write(comparisonText(comparison));
  return 0;
}

function readReport(file: string) {
  try {
    return expectReport(JSON.parse(readFileSync(file, 'utf8')), file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isText = error instanceof SyntaxError;
    const got = isText
      ? `${file}: expected JSON, got ${message}`
      : code === undefined
        ? message
        : `${file}: expected a file that can be read, got ${code}`;
    throw new ClaimwireError('INPUT_INVALID', got);
  }
}
