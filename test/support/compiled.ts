/**
 * Compiles some sources to JavaScript for tests that need another process or a worker thread: Node 20 runs no TypeScript.
 *
 * The output lies under build/, inside the package, so that its imports find node_modules; one folder per caller.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

/** Compiles `files` (relative to the repository) and what they import; returns the folder, laid out like the sources. */
export function compiled(name: string, files: string[]): string {
  const folder = join(ROOT, 'build', `unit-${name}`);
  const config = join(folder, 'tsconfig.json');
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    config,
    JSON.stringify({
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: { rootDir: ROOT, outDir: folder, declaration: false, sourceMap: false, noCheck: true },
      files: files.map((file) => join(ROOT, file)),
      include: [],
    }),
  );
  const run = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', config], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (run.status !== 0) throw new Error(`expected tsc to succeed, got ${run.status}: ${run.stdout}${run.stderr}`);
  return folder;
}
