/**
 * Runs the tests that are written in C, plain and under ASan and UBSan: the kernel's field, scalars, tables, trees and cache,
 * the claim path's loops, and the orders in which threads can meet. Then runs libFuzzer for some seconds.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { brieflyOrAtLength } from '../support/length.ts';
import { BUILD, compiles, expectTool, MINUTES, make, starts } from '../support/native-make.ts';

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
  'race-test': 20,
  'sign-parts': 70,
  hashes: 500,
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

const CHECKS_MIN_ARM64 = { 'kernel-test-neon': 10_000, 'vector_neon.h': 1_000_000 };
/** Briefly, under an emulator. */
const CHECKS_MIN_EMULATED = {
  'kernel-test-neon': 3_000,
  'vector_neon.h': 100_000,
  hashes: 1_500,
  'sign-test-neon': 800,
};
/** Where an ELF file says for which processor it is, and what it says for ARM64. */
const [ELF_MACHINE, ELF_AARCH64] = [18, 183];
const ARM64 = ['--target=aarch64-linux-gnu', '-static', '-fuse-ld=lld'];

/** GCC's intrinsics ask for other target attributes than clang's, which the tests under qemu-user are built with. */
const ARM64_GCC = 'aarch64-linux-gnu-gcc';

const has = { cc: false, sanitizers: false, fuzzer: false, arm64: false, arm64Gcc: false };
beforeAll(async () => {
  has.cc = await compiles('cc', PROGRAM);
  has.sanitizers = has.cc && (await compiles('cc', PROGRAM, SANITIZERS));
  has.arm64 = (await starts('qemu-aarch64', '--version')) && (await compiles('clang-19', PROGRAM, ...ARM64));
  has.arm64Gcc = await compiles(ARM64_GCC, PROGRAM);
  has.fuzzer = has.cc && (await compiles('clang-19', FUZZ_TARGET, '-fsanitize=fuzzer,address,undefined'));
});

/** The counts that the programs print: `name: N checks`. */
function checksOf({ code, output }: Awaited<ReturnType<typeof make>>): Map<string, number> {
  expect(code, output.slice(-2_000)).toBe(0);
  return new Map([...output.matchAll(/^(\S+): (\d+) checks/gm)].map(([, name, count]) => [name!, Number(count)]));
}

/** Compares the counts with the least; prints which instruction sets are missing. */
function expectChecks(result: Awaited<ReturnType<typeof make>>, replaced: Readonly<Record<string, number>> = {}): void {
  const { output } = result;
  const checks = checksOf(result);
  const skipped = output.split('\n').filter((line) => line.startsWith('SKIPPED'));
  for (const line of skipped) console.warn(`C NOT CHECKED HERE: ${line}`);
  const least: Record<string, number> = { ...CHECKS_MIN, ...(process.platform === 'linux' && { 'udp-waits': 1_000 }) };
  if (process.arch === 'x64')
    for (const [set, counts] of Object.entries(CHECKS_MIN_X64))
      if (!skipped.some((line) => line.includes(set))) Object.assign(least, counts);
  if (process.arch === 'arm64') Object.assign(least, CHECKS_MIN_ARM64);
  for (const [name, count] of Object.entries(least))
    expect(checks.get(name), name).toBeGreaterThan(replaced[name] ?? count);
}

it('pass', { timeout: 6 * MINUTES }, async (context) => {
  expectTool(has.cc, 'a C compiler (cc)', context);
  expectChecks(await make('check'));
});

it('pass for AVX-512 on a CPU without it, by a stand-in for its intrinsics', {
  timeout: 10 * MINUTES,
}, async (context) => {
  const lacks = process.arch === 'x64' && !/\bavx512ifma\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  if (!lacks && brieflyOrAtLength(1, 0) === 1) return; // the tests above ran the real instructions
  expectTool(has.cc && process.arch === 'x64', 'a C compiler (cc) for x86-64', context);
  const { code, output } = await make('check-shim');
  expect(code, output.slice(-2_000)).toBe(0);
  for (const kernel of ['avx512f', 'avx512ifma'])
    expect(output).toMatch(new RegExp(`^kernel-test-${kernel}-shim: \\d{4,} checks`, 'm'));
});

it('of the ARM64 kernel pass under qemu-user, briefly', { timeout: 6 * MINUTES }, async (context) => {
  const tools = "clang-19, lld-19 and qemu-aarch64 with ARM64's C library";
  expectTool(has.arm64, `${tools}, or make test-platforms elsewhere`, context);
  const result = await make('check-arm64');
  const checks = checksOf(result);
  for (const [name, count] of Object.entries(CHECKS_MIN_EMULATED))
    expect(checks.get(name), name).toBeGreaterThan(count);
  expect(result.output).toContain('neon: SHA-512 by, SHA-256 by');
  expect(result.output).toContain('neon: SHA-512 without, SHA-256 by');
});

it('are of what GCC makes the addon of for ARM64 too, as it is published', {
  timeout: 6 * MINUTES,
}, async (context) => {
  expectTool(has.arm64Gcc, `${ARM64_GCC} with ARM64's C library`, context);
  const addon = join(BUILD, 'arm64-gcc/claimwire.node');
  rmSync(addon, { force: true });
  const { code, output } = await make('native', 'OUT=../../build/arm64-gcc', `CC=${ARM64_GCC}`, 'CFLAGS=-O1');
  expect(code, output.slice(-2_000)).toBe(0);
  expect(readFileSync(addon).readUInt16LE(ELF_MACHINE)).toBe(ELF_AARCH64);
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
  expect(Number(runs?.[1]), output.slice(-2_000)).toBeGreaterThan(2);
  expect(Number(runs?.[2])).toBeGreaterThanOrEqual(seconds);
});
