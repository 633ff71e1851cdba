/**
 * What ARCHITECTURE.md and the other papers say of the tree is so: their paths exist, their links lead somewhere, every
 * folder of src/ is explained, and the walk of a claim never goes back to a file that it has left.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const PAPERS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'];
const architecture = read('ARCHITECTURE.md');

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}
function isThere(path: string): boolean {
  return existsSync(join(ROOT, path));
}
/** Text between a heading and the next one. */
function section(heading: string): string {
  const [, text] = architecture.split(`\n## ${heading}`);
  return text!.split('\n## ')[0]!;
}
/** Cells of a table's rows, without its head. */
function rows(text: string): string[][] {
  return [...text.matchAll(/^\|(.*)\|$/gm)]
    .slice(2)
    .map(([, row]) => row!.split(/(?<!\\)\|/).map((cell) => cell.trim()));
}
function quoted(text: string): string[] {
  return [...text.replace(/```.*?```/gs, '').matchAll(/`([^`\n]+)`/g)].map(([, word]) => word!);
}
/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} -]/gu, '')
    .replaceAll(' ', '-');
}

describe.each(PAPERS)('%s', (paper) => {
  const text = read(paper);

  test('each path in it exists', () => {
    const paths = quoted(text).filter((word) =>
      /^(protocol|src|test|tools|bench|docs|examples)(\/[\w./-]*)?$/.test(word),
    );
    expect(paths.filter((path) => !isThere(path))).toEqual([]);
  });

  test('each link in it leads somewhere', () => {
    const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target!).filter((to) => !to.includes('://'));
    const broken = links.filter((link) => {
      const [path, part] = link.split('#') as [string, string | undefined];
      const target = path === '' ? paper : path;
      if (!isThere(target)) return true;
      const headings = [...(part === undefined ? '' : read(target)).matchAll(/^#+ (.*)$/gm)];
      return part !== undefined && !headings.some(([, heading]) => anchor(heading!) === part);
    });
    expect(broken).toEqual([]);
  });
});

describe('the walk', () => {
  const steps = rows(section('The walk')).map(([number, file, functions]) => ({
    number: Number(number),
    file: quoted(file!)[0]!,
    functions: quoted(functions!),
  }));

  test('has the steps in order, and no step goes back to a file that the claim has left', () => {
    expect(steps.map(({ number }) => number)).toEqual(steps.map((_, index) => index + 1));
    expect(steps.length).toBeGreaterThan(10);
    const files = steps.map(({ file }) => file);
    const returns = files.filter((file, index) => files.indexOf(file) < index && files[index - 1] !== file);
    expect(returns).toEqual([]);
  });

  test.each(steps)('step $number: $file has what it is said to have', ({ file, functions }) => {
    expect(functions.length).toBeGreaterThan(0);
    const source = read(file);
    expect(functions.filter((name) => !new RegExp(`\\b${name}\\b`).test(source))).toEqual([]);
  });
});

test('each folder of src/ is in the table of folders, which says where to begin', () => {
  const table = rows(section('Folders'));
  const named = new Set(table.map(([folder]) => quoted(folder!)[0]));
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map(({ name }) => `src/${name}`).filter((folder) => !named.has(folder))).toEqual([]);
  expect(table.filter(([, , begin]) => !isThere(quoted(begin!)[0]!))).toEqual([]);
});

test('the folders stand in the order of the import rule', () => {
  const rule = [...read('test/unit/import-rule.test.ts').matchAll(/^ {2}'?([\w/]+)'?: \[/gm)].map(
    ([, folder]) => folder!,
  );
  const order = rows(section('Folders')).map(([folder]) => quoted(folder!)[0]!);
  expect(order.filter((folder) => rule.includes(folder))).toEqual(rule.filter((folder) => order.includes(folder)));
});

test('the glossary says each word once', () => {
  const words = rows(section('Glossary')).map(([word]) => word!);
  expect(words.filter((word, index) => words.indexOf(word) < index)).toEqual([]);
});
