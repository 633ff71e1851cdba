/**
 * Runs the tests that are to kill mutants, in a copy of the checkout. Without a mutation all of them have to pass; with one, its own
 * has to fail, by what it expects: a mutant that does not compile, or whose test does not run, is not killed.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isC, type Killer, type Mutation } from './mutation.ts';
import { type Ended, run } from './process.ts';
import type { Tree } from './tree.ts';

type Outcome = 'killed' | 'survived' | 'late' | 'broken';

export interface Verdict {
  outcome: Outcome;
  /** The test that failed, in full, or why there is no verdict. */
  by: string;
  /** What the test said. */
  said: string;
}

interface TestResult {
  file: string;
  title: string;
  hasPassed: boolean;
  said: string;
}

const REPORT = 'build/mutants-report.json';
/** What a test says that has come to no end: a machine under load brings that about as well. */
const TOO_LONG = /^Error: ((Test|Hook) timed out|STACK_TRACE_ERROR)/;
const SAID_CHARACTERS = 200;

/** Applies a mutation, runs its killer, and puts the original back. */
export async function tryMutation(tree: Tree, mutation: Mutation, limitMs: number): Promise<Verdict> {
  const { killer } = mutation;
  tree.apply(mutation);
  try {
    if ('program' in killer) return programVerdict(killer, await runProgram(tree, killer.program, limitMs));
    const fault = isC(mutation) ? await buildAddon(tree, limitMs) : undefined;
    if (fault !== undefined) return broken('it does not compile', fault);
    const { ended, results } = await runTests(tree, [killer], limitMs);
    return testVerdict(killer, ended, results);
  } finally {
    tree.restore();
    if (isC(mutation) && 'file' in killer) await buildAddon(tree, limitMs);
  }
}

/** Runs all killers without a mutation; returns what does not pass. */
export async function failingKillers(tree: Tree, mutations: readonly Mutation[], limitMs: number): Promise<string[]> {
  const faults: string[] = [];
  const killers = mutations.map(({ killer }) => killer);
  const programs = new Set(killers.flatMap((killer) => ('program' in killer ? [killer.program] : [])));
  for (const program of programs) {
    const { code, output } = await runProgram(tree, program, limitMs);
    if (code !== 0) faults.push(`${program} does not pass without a mutation: ${lastLines(output)}`);
  }
  const tests = killers.filter((killer) => 'file' in killer);
  const failed = await failingTests(tree, tests, limitMs);
  // Once more without the others beside them: a hook may have taken too long.
  const again = await failingTests(tree, [...failed.keys()], limitMs);
  return [...faults, ...new Set(again.values())];
}

/** Those of the tests that do not pass, and what is said of each. */
async function failingTests(
  tree: Tree,
  killers: readonly TestKiller[],
  limitMs: number,
): Promise<Map<TestKiller, string>> {
  const faults = new Map<TestKiller, string>();
  if (killers.length === 0) return faults;
  const { ended, results } = await runTests(tree, killers, limitMs);
  for (const killer of killers) {
    const own = results.filter((result) => isOf(result, killer));
    const failed = own.find(({ hasPassed }) => !hasPassed);
    if (own.length === 0)
      faults.set(killer, `${killer.file}: no test "${killer.title}" ran: ${lastLines(ended.output)}`);
    if (failed !== undefined) faults.set(killer, `${killer.file}: ${failed.title} does not pass: ${failed.said}`);
  }
  return faults;
}

/** Builds the addon of the tree as it is; returns the compiler's words where that fails. */
async function buildAddon(tree: Tree, limitMs: number): Promise<string | undefined> {
  const { code, output } = await makeNative(tree, 'native', limitMs);
  return code === 0 ? undefined : lastLines(output);
}

/** Builds a program of the C tests, and runs it. */
function runProgram(tree: Tree, program: string, limitMs: number): Promise<Ended> {
  return makeNative(tree, `check-${program}`, limitMs);
}

function makeNative(tree: Tree, target: string, limitMs: number): Promise<Ended> {
  const folder = join(tree.root, 'src/native');
  return run(
    'make',
    ['--no-print-directory', '-j2', '-C', folder, `OUT=${join(tree.root, 'build')}`, target],
    folder,
    limitMs,
  );
}

function programVerdict({ program, says }: Extract<Killer, { program: string }>, ended: Ended): Verdict {
  if (ended.code === 0) return { outcome: 'survived', by: program, said: '' };
  if (ended.isLate) return { outcome: 'late', by: program, said: '' };
  const failed = /FAILED .*/.exec(ended.output)?.[0];
  if (failed === undefined) return broken(`${program} did not come to an end`, lastLines(ended.output));
  if (!failed.includes(says)) return broken(`${program}: expected "${says}"`, failed);
  return { outcome: 'killed', by: program, said: short(failed) };
}

type TestKiller = Extract<Killer, { file: string }>;

async function runTests(
  tree: Tree,
  killers: readonly TestKiller[],
  limitMs: number,
): Promise<{ ended: Ended; results: TestResult[] }> {
  const report = join(tree.root, REPORT);
  rmSync(report, { force: true });
  const files = [...new Set(killers.map(({ file }) => file))];
  const titles = [...new Set(killers.map(({ title }) => title.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')))];
  const vitest = join(tree.root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', ...files, '-t', titles.join('|'), '--reporter=json', `--outputFile=${report}`];
  const ended = await run(process.execPath, args, tree.root, limitMs);
  return { ended, results: existsSync(report) ? resultsOf(JSON.parse(readFileSync(report, 'utf8')), tree.root) : [] };
}

interface Report {
  testResults: {
    name: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

function resultsOf({ testResults }: Report, root: string): TestResult[] {
  return testResults.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'passed' || status === 'failed')
      .map(({ fullName, status, failureMessages }) => ({
        file: name.slice(root.length + 1),
        title: fullName,
        hasPassed: status === 'passed',
        said: failureMessages[0] ?? '',
      })),
  );
}

function isOf(result: TestResult, killer: TestKiller): boolean {
  return result.file === killer.file && result.title.includes(killer.title);
}

function testVerdict(killer: TestKiller, ended: Ended, results: readonly TestResult[]): Verdict {
  const own = results.filter((result) => isOf(result, killer));
  const failed = own.filter(({ hasPassed }) => !hasPassed);
  const first = failed.find(({ said }) => !TOO_LONG.test(said));
  if (first !== undefined) return { outcome: 'killed', by: first.title, said: short(first.said) };
  if (failed.length > 0 || ended.isLate) return { outcome: 'late', by: killer.title, said: '' };
  if (own.length > 0) return { outcome: 'survived', by: killer.title, said: '' };
  return broken(`no test "${killer.title}" ran`, lastLines(ended.output));
}

function broken(by: string, said: string): Verdict {
  return { outcome: 'broken', by, said };
}

function lastLines(output: string): string {
  return output.trim().split('\n').slice(-12).join('\n');
}

function short(text: string): string {
  return text.split('\n')[0]!.slice(0, SAID_CHARACTERS);
}
