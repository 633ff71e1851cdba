/** Readers copy the README's library example, so it must run as it is and print what it says. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');

test('the library example', { timeout: 60_000 }, () => {
  const [, example] = /```js\n(.*?)```/s.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))!;
  // Inside the package, so that its imports find it.
  mkdirSync(join(ROOT, 'build'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, 'build/readme-'));
  try {
    writeFileSync(join(folder, 'example.mjs'), example!);
    const [, said] = /\/\/ (COMMITTED .*)/.exec(example!)!;
    const options = { cwd: folder, encoding: 'utf8' as const, timeout: 45_000 };
    expect(execFileSync(process.execPath, ['example.mjs'], options).trim()).toBe(said);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
