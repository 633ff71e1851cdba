/**
 * The kernel's own tests, which are C: field, scalars, tables, trees and the cache, and the orders in which threads can
 * meet, plain and under ASan and UBSan; the committed wasm, rebuilt; some seconds of libFuzzer. What a machine lacks for
 * them is said loudly.
 *
 * Each is a target of src/kernel/Makefile, in a process of its own; what they build lies under build/.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const KERNEL = join(ROOT, 'src/kernel');
const BUILD = join(ROOT, 'build');
const MINUTES = 60_000;
const FUZZ_SECONDS = 10;

interface Run {
  code: number | string;
  output: string;
}
function run(command: string, args: string[], input = ''): Promise<Run> {
  return new Promise((done) => {
    const child = execFile(command, args, { cwd: ROOT, maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : (error.code ?? 'killed'), output: `${stdout}${stderr}` }),
    );
    child.stdin?.on('error', () => {}).end(input);
  });
}
const make = (...args: string[]) => run('make', ['--no-print-directory', '-C', KERNEL, ...args]);

/** Whether `compiler` makes a program of `source` with these flags: a compiler can be there without its libraries. */
async function compiles(compiler: string, source: string, ...flags: string[]): Promise<boolean> {
  const { code } = await run(compiler, [...flags, '-x', 'c', '-', '-o', '/dev/null'], source);
  return code === 0;
}
const PROGRAM = 'int main(void) { return 0; }';
const FUZZ_TARGET = 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return (void)d, (void)n, 0; }';
const SANITIZERS = '-fsanitize=address,undefined';

const has = { cc: false, sanitizers: false, wasm: false, fuzzer: false };
beforeAll(async () => {
  mkdirSync(BUILD, { recursive: true });
  has.cc = (await compiles('cc', PROGRAM)) && (await run('make', ['--version'])).code === 0;
  has.sanitizers = has.cc && (await compiles('cc', PROGRAM, SANITIZERS));
  has.wasm = (await compiles('clang-19', 'int f;', '--target=wasm32', '-nostdlib', '-Wl,--no-entry')) && has.cc;
  has.fuzzer = has.cc && (await compiles('clang-19', FUZZ_TARGET, `-fsanitize=fuzzer,address,undefined`));
});

function expectTool(isThere: boolean, what: string, context: TestContext): void {
  if (isThere) return;
  const message = `KERNEL NOT CHECKED HERE: expected ${what}, got none`;
  console.warn(message);
  context.skip(message);
}

/** The counts that test programs print, `name: N checks`; instruction sets this CPU lacks are said. */
function checksIn(output: string): Map<string, number> {
  for (const line of output.split('\n')) if (line.includes('SKIPPED')) console.warn(`KERNEL NOT CHECKED HERE: ${line}`);
  return new Map([...output.matchAll(/^(\S+): (\d+) checks/gm)].map(([, name, count]) => [name!, Number(count)]));
}
function expectChecks({ code, output }: Run): void {
  expect(code, output.slice(-2_000)).toBe(0);
  const checks = checksIn(output);
  expect(checks.get('kernel-test')).toBeGreaterThan(5_000);
  expect(checks.get('claim-path')).toBeGreaterThan(1_000_000);
  expect(checks.get('keys-order')).toBeGreaterThan(100_000);
  expect(checks.get('claim-path-order')).toBeGreaterThan(1_000);
  expect(checks.get('vector_scalar.h')).toBeGreaterThan(50_000);
  if (process.arch !== 'x64') return;
  for (const kernel of ['avx2', 'avx512ifma'])
    if (!new RegExp(`SKIPPED.*${kernel}`).test(output))
      expect(checks.get(`vector_${kernel}.h`)).toBeGreaterThan(50_000);
}

describe('C tests', () => {
  it('pass', { timeout: 6 * MINUTES }, async (context) => {
    expectTool(has.cc, 'a C compiler (cc) and make', context);
    expectChecks(await make('check', '-j2'));
  });

  it('pass under ASan and UBSan', { timeout: 10 * MINUTES }, async (context) => {
    expectTool(has.sanitizers, `a C compiler (cc) with ${SANITIZERS}`, context);
    // clang takes half of gcc's time for it.
    expectChecks(await make('check-sanitized', '-j2', ...(has.fuzzer ? ['CC=clang-19'] : [])));
  });

  it(`${FUZZ_SECONDS} seconds of libFuzzer find no two paths that disagree`, {
    timeout: 6 * MINUTES,
  }, async (context) => {
    expectTool(has.fuzzer, 'clang-19 with libFuzzer', context);
    const { code, output } = await make('fuzz', `SECONDS=${FUZZ_SECONDS}`);
    expect(code, output.slice(-2_000)).toBe(0);
    const runs = /Done (\d+) runs in (\d+) second/.exec(output);
    expect(Number(runs?.[1]), output.slice(-2_000)).toBeGreaterThan(100);
    expect(Number(runs?.[2])).toBeGreaterThanOrEqual(FUZZ_SECONDS);
  });
});

describe('wasm', () => {
  it('the committed module is what its source gives, byte by byte', { timeout: 4 * MINUTES }, async (context) => {
    expectTool(has.wasm, 'clang-19 and lld-19', context);
    const rebuilt = join(BUILD, 'rebuilt.wasm');
    const { code, output } = await make('wasm', `WASM_OUT=${rebuilt}`);
    expect(code, output).toBe(0);
    const isSame = readFileSync(rebuilt).equals(readFileSync(join(KERNEL, 'claimwire.wasm')));
    expect(isSame, 'make -C src/kernel wasm, and commit src/kernel/claimwire.wasm').toBe(true);
  });

  it('its lanes compute what a bignum does', { timeout: 4 * MINUTES }, async (context) => {
    expectTool(has.wasm, 'clang-19 and lld-19', context);
    const { code, output } = await make('check-wasm');
    expect(code, output.slice(-2_000)).toBe(0);
  });
});
