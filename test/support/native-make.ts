/**
 * Targets of src/native/Makefile, in a process of their own, for the tests that are C. What they build lies under build/.
 * What a machine lacks for them is said loudly.
 */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { TestContext } from 'vitest';

export const ROOT = resolve(import.meta.dirname, '../..');
export const BUILD = join(ROOT, 'build');
export const MINUTES = 60_000;

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

/** `make` with these arguments. Its jobs are as many as the test machine has cores, and do not mix their output. */
export function make(...args: string[]): Promise<Run> {
  mkdirSync(BUILD, { recursive: true });
  return run('make', ['--no-print-directory', '-O', '-j2', '-C', join(ROOT, 'src/native'), ...args]);
}

/** Whether `compiler` makes a program of `source` with these flags: a compiler can be there without its libraries. */
export async function compiles(compiler: string, source: string, ...flags: string[]): Promise<boolean> {
  const { code } = await run(compiler, [...flags, '-x', 'c', '-', '-o', '/dev/null'], source);
  return code === 0;
}

/** Whether there is such a program. */
export async function starts(command: string, ...args: string[]): Promise<boolean> {
  return (await run(command, args)).code === 0;
}

export function expectTool(isThere: boolean, what: string, context: TestContext): void {
  if (isThere) return;
  const message = `C NOT CHECKED HERE: expected ${what}, got none`;
  console.warn(message);
  context.skip(message);
}
