/**
 * protocol/ runs in a browser: it imports its own files, @noble/hashes and msgpackr, and touches nothing only Node has.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../protocol', import.meta.url));
const IMPORT =
  /(?:^|\s)(?:import|export)\b[^'";]*?from\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]|\brequire\s*\(/g;
const NODE_ONLY = /\b(?:Buffer|process|__dirname|__filename|setImmediate)\b|\bglobal\./;

/** Every file reached from protocol/*.ts, with what it imports. */
function reached(): Map<string, string[]> {
  const files = new Map<string, string[]>();
  const queue = readdirSync(ROOT)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(ROOT, name));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (files.has(file)) continue;
    const source = withoutComments(readFileSync(file, 'utf8'));
    const imports = [...source.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? 'require');
    files.set(file, imports);
    for (const name of imports) if (name.startsWith('.')) queue.push(resolve(dirname(file), name));
  }
  return files;
}

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
}

describe('protocol/', () => {
  const files = reached();

  it('imports only its own files, @noble/hashes and msgpackr', () => {
    expect(files.size).toBeGreaterThanOrEqual(7);
    for (const [file, imports] of files) {
      expect(dirname(file), file).toBe(ROOT);
      for (const name of imports)
        expect(/^\.\/|^(@noble\/hashes|msgpackr)\//.test(name), `${file} imports ${name}`).toBe(true);
    }
    expect([...files.values()].flat().filter((name) => name.startsWith('@noble/')).length).toBeGreaterThan(0);
  });

  it('uses no global that only Node has', () => {
    for (const file of files.keys())
      expect(NODE_ONLY.exec(withoutComments(readFileSync(file, 'utf8')))?.[0], file).toBe(undefined);
  });

  it('would be caught importing Node: the scan sees every form', () => {
    const forms = [
      "import a from 'node:fs';",
      "import 'fs';",
      "export * from 'fs';",
      "await import('fs')",
      'require("fs")',
    ];
    for (const form of [...forms, "import {\n  a,\n  b,\n} from 'fs';", "import type { A } from 'fs';"])
      expect([...form.matchAll(IMPORT)].length, form).toBe(1);
  });
});
