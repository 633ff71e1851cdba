/**
 * Builds the C code so that clang counts its regions, runs the tests that are written in C, and reads what llvm-cov makes of these
 * and of the addon that node loaded. Instruction sets that this machine lacks are neither run nor counted as missing.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { BUILT, C, type Folder, type Lines } from './folders.ts';

const CLANG = 'clang-19';
const COV = 'llvm-cov-19';
const PROFDATA = 'llvm-profdata-19';
const PROFILES = join(BUILT, 'profiles');
const MERGED = join(BUILT, 'c.profdata');
/** Inlined by force, straight vector code takes a minute to compile. Counters move to the file, since vitest kills its processes. */
const FLAGS =
  "-O1 -g1 -DCW_INLINE='static inline' -fprofile-instr-generate -fcoverage-mapping -mllvm -runtime-counter-relocation -Wno-unused-command-line-argument";

/** A branch of llvm-cov: line, column, end line, end column, times taken, times not taken, and more. */
type Branch = number[];
/** A segment of llvm-cov: line, column, count, whether it has one, whether a region begins, whether it is a gap. */
type Segment = [number, number, number, boolean, boolean, boolean];
interface File {
  filename: string;
  segments?: Segment[];
  branches?: Branch[];
  summary: { lines: { count: number; covered: number }; branches: { count: number; covered: number } };
}

/** Whether the C code was built and run here. */
export function runC(): boolean {
  rmSync(PROFILES, { recursive: true, force: true });
  rmSync(MERGED, { force: true });
  for (const tool of [CLANG, COV, PROFDATA]) {
    if (spawnSync(tool, ['--version']).status === 0) continue;
    console.warn(`C NOT COVERED HERE: expected ${tool}, got none; install clang-19, libclang-rt-19-dev and llvm-19`);
    return false;
  }
  mkdirSync(PROFILES, { recursive: true });
  const args = [`CC=${CLANG}`, `OUT=../../${BUILT}`, `CFLAGS=${FLAGS}`, 'LDFLAGS=-fprofile-instr-generate'];
  const { status, stdout } = spawnSync('make', ['-s', '-j2', '-C', 'src/native', 'native', 'check', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    env: { ...process.env, LLVM_PROFILE_FILE: resolve(PROFILES, 'c-%p%c.profraw') },
  });
  if (status !== 0) throw new Error(`make check: expected exit code 0, got ${status}: ${stdout.slice(-2_000)}`);
  return true;
}

export function summaryOfC(): Folder[] {
  return exported('-summary-only').map(({ filename, summary }) => ({
    name: relative(process.cwd(), filename),
    lines: { total: summary.lines.count, covered: summary.lines.covered },
    branches: { total: summary.branches.count, covered: summary.branches.covered },
  }));
}

export function uncoveredOfC(): Lines[] {
  return exported()
    .map(({ filename, segments = [], branches = [] }) => ({
      file: relative(process.cwd(), filename),
      lines: [...new Set(segments.filter((part) => part[3] && part[2] === 0 && part[4]).map(([line]) => line))],
      branches: [...new Set(branches.filter((part) => part[4] === 0 || part[5] === 0).map(([line]) => line!))],
    }))
    .filter(({ lines, branches }) => lines.length + branches.length > 0);
}

/** The files of the counted folders in llvm-cov's report. */
function exported(...options: string[]): File[] {
  if (!existsSync(PROFILES)) return [];
  const profiles = readdirSync(PROFILES).map((name) => join(PROFILES, name));
  if (!existsSync(MERGED)) run(PROFDATA, ['merge', '-sparse', ...profiles, '-o', MERGED]);
  const programs = readdirSync(join(BUILT, 'native')).filter((name) => !name.includes('.') || /test-\w+$/.test(name));
  const objects = programs.flatMap((name) => ['-object', join(BUILT, 'native', name)]);
  const addon = join(BUILT, 'claimwire.node');
  const text = run(COV, ['export', ...options, '-instr-profile', MERGED, addon, ...objects]);
  const { data } = JSON.parse(text) as { data: { files: File[] }[] };
  return data[0]!.files.filter(({ filename }) =>
    C.some((folder) => relative(process.cwd(), filename).startsWith(`${folder}/`)),
  );
}

function run(command: string, args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${command}: expected exit code 0, got ${status}: ${stderr.slice(-1_000)}`);
  return stdout;
}
