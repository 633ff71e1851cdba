/**
 * The list of mutants fits the source and the tests as they are: each can be applied, and its killer is there. `make mutants` tries
 * them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { DOCUMENT, documentText } from '../mutants/document.ts';
import { type Killer, type Mutation, mutate } from '../mutants/mutation.ts';
import { MUTATIONS, PARTS } from '../mutants/mutations.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const texts = new Map<string, string>();

function read(path: string): string {
  const text = texts.get(path) ?? readFileSync(join(ROOT, path), 'utf8');
  texts.set(path, text);
  return text;
}

/** A test file with the files of test/support that it imports, and those that they do: some cases are in those. */
function withSupport(path: string, seen = new Set<string>()): string {
  if (seen.has(path)) return '';
  seen.add(path);
  const imports = [...read(path).matchAll(/from '(\.[^']*\.ts)'/g)].map(([, name]) => join(dirname(path), name!));
  const support = imports.filter((name) => name.startsWith('test/support/'));
  return [read(path), ...support.map((name) => withSupport(name, seen))].join('\n');
}

/** Of the programs, the source that has their words. */
function programText(program: string): string | undefined {
  const source = program.replace(/^kernel-.*/, 'kernel-test').replace(/^sign-(?!parts).*/, 'sign-test');
  const path = ['test/kernel', 'test/native']
    .map((folder) => `${folder}/${source}.c`)
    .find((name) => existsSync(join(ROOT, name)));
  return path && read(path);
}

function killerFault(killer: Killer): string | undefined {
  if ('program' in killer) {
    const text = programText(killer.program);
    if (text === undefined) return `there is no program ${killer.program}`;
    return killer.says !== '' && text.includes(killer.says)
      ? undefined
      : `${killer.program} does not say "${killer.says}"`;
  }
  if (!existsSync(join(ROOT, killer.file))) return `there is no file ${killer.file}`;
  const isThere = killer.title !== '' && withSupport(killer.file).includes(killer.title);
  return isThere ? undefined : `${killer.file} has no test "${killer.title}"`;
}

function faultOf(mutation: Mutation): string | undefined {
  try {
    if (mutate(read(mutation.file), mutation) === read(mutation.file))
      return `mutation ${mutation.name} changes nothing`;
  } catch (error) {
    return (error as Error).message;
  }
  const fault = killerFault(mutation.killer);
  return fault && `mutation ${mutation.name}: ${fault}; name the test that notices it`;
}

test('each mutation applies to the source as it is, and its killer is there', () => {
  expect(MUTATIONS.map(faultOf).filter((fault) => fault !== undefined)).toEqual([]);
});

test('at least 40 mutants, in C too, each with a name of its own', () => {
  expect(MUTATIONS.length).toBeGreaterThanOrEqual(40);
  expect(MUTATIONS.filter(({ file }) => file.endsWith('.c')).length).toBeGreaterThanOrEqual(10);
  expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
});

test(`${DOCUMENT} has them as they are: make mutants ARGS=--write makes it anew`, () => {
  expect(read(DOCUMENT)).toBe(documentText(PARTS));
});

test('a mutation whose text is gone, or is there twice, is refused', () => {
  const mutation = { ...MUTATIONS[0]!, name: 'some', file: 'file', find: 'a', put: '$&b' };
  expect(mutate('xay', mutation)).toBe('x$&by');
  for (const text of ['xy', 'aa'])
    expect(() => mutate(text, mutation)).toThrow(/mutation some: expected its text exactly once/);
});
