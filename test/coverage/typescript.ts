/** Runs the tests of the counted folders with vitest, whose coverage is that of V8, and reads its report. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { BUILT, type Folder, type Lines, TYPESCRIPT } from './folders.ts';

/** The folders' own tests, and those of others that hold the C code to them. */
const TESTS = [
  ...TYPESCRIPT.map((folder) => `test/unit/${folder.replace('src/', '')}/`),
  'test/unit/fuzz/',
  'test/unit/native/',
  'test/unit/transport/udp-batch',
  'test/unit/transport/packet-filter.test.ts',
  'test/unit/transport/transport.test.ts',
  'test/unit/verify/newest-backend.test.ts',
  'test/differential/native-path.test.ts',
  'test/differential/slots.test.ts',
  'test/differential/acceptance.test.ts',
  'test/differential/throwaway-sign.test.ts',
  'test/hostile/native-path.test.ts',
  'test/hostile/addon.test.ts',
  'test/hostile/udp-batch.test.ts',
  'test/native/failing-calls.test.ts',
  'test/unit/verify/ed25519.test.ts',
  'test/unit/threads/sockets.test.ts',
];
const REPORT = join(BUILT, 'typescript');

interface Counted {
  lines: { total: number; covered: number };
  branches: { total: number; covered: number };
}
/** A file of Istanbul's report. */
interface Report {
  path: string;
  statementMap: Record<string, { start: { line: number } }>;
  s: Record<string, number>;
  branchMap: Record<string, { locations: { start: { line: number } }[] }>;
  b: Record<string, number[]>;
}

/** Throws where a test fails. `hasC`: the addon that counts its own lines takes the place of the other. */
export function runTypeScript(hasC: boolean): void {
  rmSync(REPORT, { recursive: true, force: true });
  const addon = { NODE_OPTIONS: `--require=${resolve('test/coverage/addon.cjs')}` };
  const options = [
    '--coverage.enabled',
    '--coverage.provider=v8',
    ...TYPESCRIPT.map((folder) => `--coverage.include=${folder}/**/*.ts`),
    '--coverage.reporter=json',
    '--coverage.reporter=json-summary',
    `--coverage.reportsDirectory=${REPORT}`,
    // Counting makes tests slower, and a busy machine more so.
    '--hookTimeout=300000',
    '--testTimeout=300000',
    '--reporter=dot',
  ];
  const { status } = spawnSync('node_modules/.bin/vitest', ['run', ...TESTS, ...options], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...(hasC && addon), LLVM_PROFILE_FILE: resolve(BUILT, 'profiles/node-%p%c.profraw') },
  });
  if (status !== 0)
    throw new Error(`vitest: expected exit code 0, got ${status}; run npx vitest run ${TESTS.join(' ')}`);
}

export function summaryOfTypeScript(): Folder[] {
  const summary = JSON.parse(readFileSync(join(REPORT, 'coverage-summary.json'), 'utf8')) as Record<string, Counted>;
  return Object.entries(summary).map(([path, { lines, branches }]) => ({
    name: relative(process.cwd(), path),
    lines,
    branches,
  }));
}

export function uncoveredOfTypeScript(): Lines[] {
  const report = JSON.parse(readFileSync(join(REPORT, 'coverage-final.json'), 'utf8')) as Record<string, Report>;
  return Object.values(report)
    .map((file) => ({ file: relative(process.cwd(), file.path), lines: linesOf(file), branches: branchesOf(file) }))
    .filter(({ lines, branches }) => lines.length + branches.length > 0);
}

function linesOf({ statementMap, s }: Report): number[] {
  return unique(Object.entries(s).flatMap(([id, count]) => (count === 0 ? [statementMap[id]!.start.line] : [])));
}

function branchesOf({ branchMap, b }: Report): number[] {
  return unique(
    Object.entries(b).flatMap(([id, counts]) =>
      counts.flatMap((count, index) => (count === 0 ? [branchMap[id]!.locations[index]!.start.line] : [])),
    ),
  );
}

function unique(lines: number[]): number[] {
  return [...new Set(lines)].sort((left, right) => left - right);
}
