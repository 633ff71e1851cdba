/** The kernel as WebAssembly: rebuilds the committed module and compares the bytes, and its functions with BigInt. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { brieflyOrAtLength } from '../support/length.ts';
import { BUILD, compiles, expectTool, MINUTES, make, ROOT } from '../support/native-make.ts';

const MODULE = join(ROOT, 'src/kernel/claimwire.wasm');

let isThere = false;
beforeAll(async () => {
  isThere = await compiles('clang-19', 'int f;', '--target=wasm32', '-nostdlib', '-Wl,--no-entry');
});

it('the committed module is what its source gives, byte by byte', { timeout: 4 * MINUTES }, async (context) => {
  // Only what was changed since the module was built has to be built again; at length it is built in any case.
  const stamp = await make('-s', 'wasm-stamp');
  const isUnchanged = stamp.code === 0 && stamp.output === readFileSync(`${MODULE}.sha256`, 'utf8');
  if (isUnchanged && brieflyOrAtLength(1, 0) === 1) return;
  expectTool(isThere, 'clang-19 and lld-19', context);
  const rebuilt = join(BUILD, 'rebuilt.wasm');
  const { code, output } = await make('wasm', `WASM_OUT=${rebuilt}`);
  expect(code, output).toBe(0);
  const isSame = readFileSync(rebuilt).equals(readFileSync(MODULE));
  expect(isSame, 'make wasm, and commit src/kernel/claimwire.wasm').toBe(true);
});

it('its elements compute what a bignum does', { timeout: 4 * MINUTES }, async (context) => {
  expectTool(isThere, 'clang-19 and lld-19', context);
  const { code, output } = await make('check-wasm');
  expect(code, output.slice(-2_000)).toBe(0);
});
