/**
 * What `npm pack` would publish: everything that runs, and nothing else.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, normalize, resolve } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test, vi } from 'vitest';

vi.setConfig({ hookTimeout: 120_000 });
const ROOT = resolve(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  bin: Record<string, string>;
  exports: Record<string, string | Record<string, string>>;
  files: string[];
  repository: { url: string };
  keywords: string[];
  scripts: Record<string, string>;
};
/** Paths in the tarball. */
let packed = new Set<string>();

beforeAll(async () => {
  // Without scripts: prepack builds, and other tests run what is built.
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout } = await promisify(execFile)('npm', args, { cwd: ROOT, maxBuffer: 2 ** 24 });
  const [tarball] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  packed = new Set(tarball.files.map(({ path }) => path));
});

const matching = (pattern: RegExp) => [...packed].filter((path) => pattern.test(path));

test('no benchmarks beside peers, tests, source maps, or tools that only this repository needs', () => {
  expect(matching(/\.map$/)).toEqual([]);
  expect(matching(/(^|\/)test\//)).toEqual([]);
  // What `claimwire bench` measures needs no library that is not installed with the package.
  const own =
    /^dist\/bench\/(framework\/|node-under-test|(codec|ring)\/measures|ring\/worker|path\/(load|latency|floor)|pool\/signed-ahead)/;
  expect(matching(/(^|\/)bench\//).filter((path) => !own.test(path))).toEqual([]);
  const harness = /harness\.js|autocannon|secp256k1\/bindings|tiny-secp256k1/;
  const importing = matching(/^dist\/bench\/.*\.js$/).filter((path) =>
    harness.test(readFileSync(join(ROOT, path), 'utf8')),
  );
  expect(importing).toEqual([]);
  expect(matching(/make-vectors|kernel-layout|\.built$|tsconfig|node_modules/)).toEqual([]);
  // Sources in TypeScript are published as JavaScript with its declarations.
  expect(matching(/(?<!\.d)\.ts$/)).toEqual([]);
});

test('every entry point, its types and the command line', () => {
  const targets = [
    ...Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    ),
    ...Object.values(manifest.bin),
  ];
  for (const target of targets) expect(packed).toContain(normalize(target));
  expect(Object.keys(manifest.exports)).toEqual([
    '.',
    './protocol',
    './client',
    './browser',
    './mpp',
    './package.json',
  ]);
});

test('every file that a packed module imports or loads by its path', () => {
  const missing: string[] = [];
  for (const path of matching(/^dist\/.*\.js$/)) {
    const text = readFileSync(join(ROOT, path), 'utf8');
    for (const [, name] of text.matchAll(/(?:from|import|import\(|URL\()\s*'(\.{1,2}\/[^']+\.js)'/g)) {
      const target = join(dirname(path), name!);
      if (!packed.has(target)) missing.push(`${path} → ${target}`);
    }
  }
  expect(missing).toEqual([]);
  expect(packed).toContain('src/kernel/claimwire.wasm');
  // The live page is served from the package, and uPlot from the package of its own.
  for (const name of ['index.html', 'style.css', 'layout.css', 'icon.svg', 'main.js'])
    expect(packed).toContain(`dist/src/page/${name}`);
  expect(packed).toContain('protocol/openapi.json');
});

test('relative links of the packed papers lead to packed files', () => {
  const missing: string[] = [];
  for (const path of matching(/\.md$/)) {
    const text = readFileSync(join(ROOT, path), 'utf8');
    for (const [, link] of text.matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g)) {
      const target = join(dirname(path), link!);
      // These are for readers of the repository, to which the package's page on npm links.
      if (/^(test|bench|src|\.github)\/|^[A-Z]+\.md$|\.png$|^docs\/.+\.(html|json)$/.test(target)) continue;
      const isThere = packed.has(target) || matching(/./).some((entry) => entry.startsWith(`${target}/`));
      if (!isThere) missing.push(`${path} → ${target}`);
    }
  }
  expect(missing).toEqual([]);
});

test('nothing runs when the package is installed', () => {
  // npm runs these by their names, and node-gyp for a binding.gyp.
  const names = ['preinstall', 'install', 'postinstall', 'prepare', 'preprepare', 'postprepare'];
  expect(Object.keys(manifest.scripts).filter((name) => names.includes(name))).toEqual([]);
  expect(matching(/binding\.gyp$/)).toEqual([]);
});

test('a manifest that says where the package comes from, and no path twice', () => {
  expect(manifest.repository.url).toMatch(/^git\+https:\/\//);
  expect(manifest.keywords.length).toBeGreaterThan(0);
  expect(new Set(manifest.files).size).toBe(manifest.files.length);
  // The package finds its own manifest by its name, as a user's program does.
  expect(createRequire(import.meta.url)('claimwire/package.json')).toMatchObject({ name: 'claimwire' });
});
