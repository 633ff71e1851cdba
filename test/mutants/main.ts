/**
 * `make mutants`: makes each mutation in a copy of the checkout and runs the test that is to notice, which has to fail. Prints a line
 * for each. Exit code 1 where one survives, or where a test fails without a mutation.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { hasPostgres } from '../support/postgres/programs.ts';
import { compileFaults } from './compiles.ts';
import { DOCUMENT, documentText } from './document.ts';
import { failingKillers, tryMutation, type Verdict } from './killers.ts';
import { isC, killerText, type Mutation } from './mutation.ts';
import { MUTATIONS, PARTS } from './mutations.ts';
import { killAll } from './process.ts';
import { Tree } from './tree.ts';

const HELP = `make mutants ARGS="…"

  --only NAME      this mutant alone; may be given several times, and NAME may be how names begin
  --jobs N         so many at a time, each in a copy of its own; default: two, or one where there is one core
  --limit SECONDS  how long a test may take; default 300
  --list           the mutants and their killers, and nothing is run
  --json           the verdicts as JSON on stdout
  --write          makes ${DOCUMENT} of the list, and runs nothing
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    jobs: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    limit: { type: 'string', default: '300' },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

interface Row extends Verdict {
  name: string;
  file: string;
  killer: string;
  seconds: number;
}

const checkout = resolve(process.cwd());
const trees: Tree[] = [];
process.exitCode = await main();

async function main(): Promise<number> {
  const { only } = values;
  const chosen = MUTATIONS.filter(
    ({ name }) => only === undefined || only.some((beginning) => name.startsWith(beginning)),
  );
  if (values.help) process.stdout.write(HELP);
  else if (values.list)
    for (const { name, file, killer } of chosen) process.stdout.write(`${name}  ${file}\n    ${killerText(killer)}\n`);
  else if (values.write) writeFileSync(join(checkout, DOCUMENT), documentText(PARTS));
  else return await tryAll(chosen);
  return 0;
}

async function tryAll(asked: readonly Mutation[]): Promise<number> {
  if (asked.length === 0)
    return failed(`expected a mutant named ${values.only?.join(' or ')}, got none; --list has all`);
  const chosen = possible(asked);
  const untried = asked.length - chosen.length;
  if (untried > 0) say(`NOT TRIED HERE: ${untried} mutants that want a C compiler (cc) or PostgreSQL`);
  const begun = performance.now();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      clear();
      process.exit(1);
    });
  try {
    const first = newTree(checkout);
    const limitMs = Number(values.limit) * 1_000;
    const wrong = await compileFaults(first, chosen, limitMs);
    const faults = wrong.length > 0 ? wrong : await failingKillers(first, chosen, limitMs);
    if (faults.length > 0) return failed(faults.join('\n'));
    say(`the tests that are to fail pass without a mutation, and all mutants compile: ${secondsSince(begun)} s`);
    const rows = await inTurns(chosen, limitMs);
    const bad = rows.filter(({ outcome }) => outcome !== 'killed');
    const seconds = secondsSince(begun);
    if (values.json)
      process.stdout.write(`${JSON.stringify({ mutants: rows, killed: rows.length - bad.length, seconds })}\n`);
    say(`${rows.length - bad.length} of ${rows.length} killed in ${seconds} s`);
    for (const { name, outcome, killer } of bad) say(`${name}: ${outcome}; expected to fail: ${killer}`);
    // What a machine of the project's own lacks is no excuse.
    return bad.length === 0 && (untried === 0 || process.env.CI === undefined) ? 0 : 1;
  } finally {
    clear();
  }
}

/** Without those for which this machine lacks something. */
function possible(asked: readonly Mutation[]): readonly Mutation[] {
  const wantsCompiler = ({ file, killer }: Mutation) => isC({ file }) || 'program' in killer;
  const wantsPostgres = ({ killer }: Mutation) => 'needs' in killer;
  const hasCompiler = spawnSync('cc', ['--version']).status === 0;
  const hasDatabase = !asked.some(wantsPostgres) || hasPostgres();
  return asked.filter(
    (mutation) => (hasCompiler || !wantsCompiler(mutation)) && (hasDatabase || !wantsPostgres(mutation)),
  );
}

/** Each copy takes the next mutation that nobody has taken. */
async function inTurns(chosen: readonly Mutation[], limitMs: number): Promise<Row[]> {
  const rows: Row[] = [];
  let next = 0;
  const jobs = Math.max(1, Math.min(Number(values.jobs), chosen.length));
  // With what the tests without a mutation have built.
  while (trees.length < jobs) newTree(trees[0]!.root);
  await Promise.all(
    trees.map(async (tree) => {
      for (let place = next++; place < chosen.length; place = next++) {
        const { name, file, killer } = chosen[place]!;
        const begun = performance.now();
        const verdict = await tryMutation(tree, chosen[place]!, limitMs);
        rows[place] = { name, file, killer: killerText(killer), ...verdict, seconds: secondsSince(begun) };
        tell(rows[place]!);
      }
    }),
  );
  return rows;
}

function tell({ name, outcome, by, said, seconds }: Row): void {
  const isKilled = outcome === 'killed';
  say(`${name}: ${isKilled ? 'killed by' : outcome.toUpperCase()} ${by}, ${seconds} s`);
  if (said !== '' && (!isKilled || values.only !== undefined)) say(`    ${said.replaceAll('\n', '\n    ')}`);
}

function newTree(from: string): Tree {
  const tree = new Tree(from);
  trees.push(tree);
  return tree;
}

function clear(): void {
  killAll();
  for (const tree of trees.splice(0)) tree.remove();
}

function secondsSince(begun: number): number {
  return Math.round((performance.now() - begun) / 100) / 10;
}

/** With --json stdout is for the verdicts. */
function say(line: string): void {
  (values.json ? process.stderr : process.stdout).write(`${line}\n`);
}

function failed(message: string): number {
  process.stderr.write(`mutants: ${message}\n`);
  return 1;
}
