/** What `claimwire/browser` imports, however far: nothing of Node, so that a page needs no shims. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../../..');
const ENTRIES = ['src/client/browser/index.ts', 'protocol/index.ts'];
/** Statements that remain when types are gone. `export * from` and `import()` count as well. */
const IMPORT = /^(?:import|export)(?! type\b)[^'"]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;

/** Files and packages that are reached from a file, each with the file that imports it. */
function graph(entries: readonly string[]): Map<string, string> {
  const reached = new Map(entries.map((entry) => [entry, 'the package']));
  for (const [file] of reached) {
    if (!existsSync(join(ROOT, file))) continue;
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [, from, bare, dynamic] of text.matchAll(IMPORT)) {
      const name = (from ?? bare ?? dynamic)!;
      const target = name.startsWith('.') ? relative(ROOT, resolve(ROOT, dirname(file), name)) : name;
      if (!reached.has(target)) reached.set(target, file);
    }
  }
  return reached;
}

it.each(ENTRIES)('%s reaches no module of Node, and no package but those named', (entry) => {
  const reached = graph([entry]);
  const packages = [...reached].filter(([name]) => !existsSync(join(ROOT, name)));
  expect(packages.filter(([name]) => !/^(@noble\/(hashes|secp256k1)|msgpackr)(\/|$)/.test(name))).toEqual([]);
});

it('the walk would find one: the payer of Node has them', () => {
  const names = [...graph(['src/client/index.ts']).keys()];
  expect(names).toEqual(expect.arrayContaining(['node:dgram', 'node:net', 'node:fs/promises', 'node:crypto']));
});

it('uses no global of Node either', () => {
  const files = [...graph(['src/client/browser/index.ts']).keys()].filter((name) => existsSync(join(ROOT, name)));
  expect(files.length).toBeGreaterThan(20);
  const code = (file: string) => readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  const users = files.filter((file) =>
    /\bBuffer\b(?!>)|\bprocess\.|\bsetImmediate\b|\brequire\(|\bNodeJS\./.test(code(file)),
  );
  expect(users).toEqual([]);
});
