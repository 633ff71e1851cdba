/** The C addon, and what makes its system calls and allocations fail (failing-calls.c, preloaded). Arguments: addon, preloaded library. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

export const ADDON = process.argv[2];
const LIBRARY = process.argv[3];
export const addon = createRequire(import.meta.url)(ADDON);
const faults = { exports: {} };
process.dlopen(faults, LIBRARY);
export const { arm, armed } = faults.exports;

/** What `call` returns while a system call fails `times` times after `skip` that go well; and it did fail so often. */
export function failing([name, error, { which = -1, skip = 0, times = 1 } = {}], call) {
  arm(name, error, which, skip, times);
  const result = call();
  const left = armed();
  arm('', 0, -1, 0, 0);
  assert.equal(left, 0, `expected ${name} to be called ${skip + times} times`);
  return result;
}
