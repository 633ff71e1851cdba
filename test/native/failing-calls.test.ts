/**
 * What the C addon's callers are told when a system call or an allocation fails: its errno or an error with a code, and nothing left
 * open. The cases are in failing-calls-child.mjs and failing-calls-sockets.mjs, which run under a library that makes the calls fail.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { expectTool, starts } from '../support/native-make.ts';
import { describeNative } from '../support/native-only.ts';

const SUPPORT = join(import.meta.dirname, '../support');
const ADDON = resolve('build/claimwire.node');
const TESTS_MIN = 20;

describeNative('a call that fails', () => {
  let folder = '';
  let hasCompiler = false;
  beforeAll(async () => {
    hasCompiler = await starts('cc', '--version');
    if (!hasCompiler) return;
    folder = mkdtempSync(join(tmpdir(), 'claimwire-failing-'));
    const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers') as { include_dir: string };
    const source = join(SUPPORT, 'failing-calls.c');
    execFileSync('cc', ['-shared', '-fPIC', '-O1', `-I${headers}`, '-o', library(), source, '-ldl']);
  });
  afterAll(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  });
  const library = () => join(folder, 'failing-calls.so');
  const run = (...args: string[]) =>
    spawnSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: library() } });

  test('is told by its errno or an error with a code', (context) => {
    expectTool(hasCompiler, 'a C compiler (cc)', context);
    const { status, stdout, stderr } = run(join(SUPPORT, 'failing-calls-child.mjs'), ADDON, library());
    expect(status, stdout.slice(-4_000) + stderr).toBe(0);
    expect(Number(/^. pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThanOrEqual(TESTS_MIN);
  });

  test('for want of memory at the start is told at every later one too', (context) => {
    expectTool(hasCompiler, 'a C compiler (cc)', context);
    const program = `const addon = require(${JSON.stringify(ADDON)}), faults = { exports: {} };
      process.dlopen(faults, ${JSON.stringify(library())});
      faults.exports.arm('mmap', 12, -1, 0, 100);
      for (let call = 0; call < 2; call++) {
        try { addon.start(1 << 20); } catch ({ code, message }) { console.log(code, message); }
        faults.exports.arm('mmap', 12, -1, 0, 0);
      }`;
    const { status, stdout, stderr } = run('-e', program);
    expect(status, stderr).toBe(0);
    const line = 'ERR_CLAIMWIRE_KERNEL kernel tables: expected memory for the key cache and the generator, got none\n';
    expect(stdout).toBe(line.repeat(2));
  });
});
