/**
 * Runs the tests that are written in C, plain and under ASan and UBSan: the kernel's field, scalars, tables, trees and cache,
 * the claim path's loops, and the orders in which threads can meet. Then runs libFuzzer for some seconds.
 */
import { beforeAll, expect, it } from 'vitest';
import { brieflyOrAtLength } from '../support/length.ts';
import { compiles, expectTool, MINUTES, make } from '../support/native-make.ts';

const FUZZ_SECONDS = brieflyOrAtLength(2, 60);
const PROGRAM = 'int main(void) { return 0; }';
const FUZZ_TARGET = 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return (void)d, (void)n, 0; }';
const SANITIZERS = '-fsanitize=address,undefined';

/** The least number of checks that each program must report; a CPU may lack some instruction sets. */
const CHECKS_MIN = {
  'kernel-test-scalar': 10_000,
  'kernel-test-cache': 3_000,
  'vector_scalar.h': 50_000,
  'claim-path': 1_000_000,
  'claim-path-order': 1_000,
  'keys-order': 100_000,
};
/** A sanitizer looks at memory: every road, with fewer random cases on it, unless at length. */
const AT_LENGTH = brieflyOrAtLength(0, 1) === 1 ? ['BRIEFLY='] : [];
const CHECKS_MIN_SANITIZED = {
  'kernel-test-scalar': 4_000,
  'kernel-test-avx2': 4_000,
  'kernel-test-avx512f': 4_000,
  'kernel-test-avx512ifma': 4_000,
  'claim-path': 400_000,
};
const CHECKS_MIN_X64 = {
  avx2: { 'kernel-test-avx2': 10_000, 'vector_avx2.h': 200_000 },
  avx512f: { 'kernel-test-avx512f': 10_000, 'vector_avx512f.h': 400_000 },
  avx512ifma: { 'kernel-test-avx512ifma': 10_000, 'vector_avx512ifma.h': 400_000 },
};

const has = { cc: false, sanitizers: false, fuzzer: false };
beforeAll(async () => {
  has.cc = await compiles('cc', PROGRAM);
  has.sanitizers = has.cc && (await compiles('cc', PROGRAM, SANITIZERS));
  has.fuzzer = has.cc && (await compiles('clang-19', FUZZ_TARGET, '-fsanitize=fuzzer,address,undefined'));
});

/** Compares the counts that the programs print (`name: N checks`) with the least; prints which instruction sets are missing. */
function expectChecks(
  { code, output }: Awaited<ReturnType<typeof make>>,
  replaced: Readonly<Record<string, number>> = {},
): void {
  expect(code, output.slice(-2_000)).toBe(0);
  const checks = new Map(
    [...output.matchAll(/^(\S+): (\d+) checks/gm)].map(([, name, count]) => [name!, Number(count)]),
  );
  const skipped = output.split('\n').filter((line) => line.startsWith('SKIPPED'));
  for (const line of skipped) console.warn(`C NOT CHECKED HERE: ${line}`);
  const least: Record<string, number> = { ...CHECKS_MIN, ...(process.platform === 'linux' && { 'udp-waits': 1_000 }) };
  if (process.arch === 'x64')
    for (const [set, counts] of Object.entries(CHECKS_MIN_X64))
      if (!skipped.some((line) => line.includes(set))) Object.assign(least, counts);
  for (const [name, count] of Object.entries(least))
    expect(checks.get(name), name).toBeGreaterThan(replaced[name] ?? count);
}

it('pass', { timeout: 6 * MINUTES }, async (context) => {
  expectTool(has.cc, 'a C compiler (cc)', context);
  expectChecks(await make('check'));
});

it('pass under ASan and UBSan', { timeout: 10 * MINUTES }, async (context) => {
  expectTool(has.sanitizers, `a C compiler (cc) with ${SANITIZERS}`, context);
  // clang needs half of gcc's time for this, and the fuzzer uses the same build.
  expectChecks(
    await make('check-sanitized', ...AT_LENGTH, ...(has.fuzzer ? ['CC=clang-19'] : [])),
    CHECKS_MIN_SANITIZED,
  );
});

it.for([
  ['kernel', FUZZ_SECONDS, 'two paths that disagree'],
  ['admission', brieflyOrAtLength(1, 60), 'payload that the claim path cannot take'],
] as const)('libFuzzer of the %s, %i seconds: no %s', { timeout: 6 * MINUTES }, async ([name, seconds], context) => {
  expectTool(has.fuzzer, 'clang-19 with libFuzzer', context);
  const { code, output } = await make(`fuzz-${name}`, `SECONDS=${seconds}`);
  expect(code, output.slice(-2_000)).toBe(0);
  const runs = /Done (\d+) runs in (\d+) second/.exec(output);
  expect(Number(runs?.[1]), output.slice(-2_000)).toBeGreaterThan(10);
  expect(Number(runs?.[2])).toBeGreaterThanOrEqual(seconds);
});
