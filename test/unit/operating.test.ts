/**
 * docs/operating.md names counters, error codes and parts of log lines: they have to be those of the sources.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const paper = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8');
const sources = ['src', 'tools']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.name.endsWith('.ts'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8')),
  )
  .join('\n');

/** The text of a section, and what is in backticks in it. */
function section(title: string): string {
  const start = paper.indexOf(`\n## ${title}\n`);
  expect(start, title).toBeGreaterThan(0);
  const end = paper.indexOf('\n## ', start + 1);
  return paper.slice(start, end < 0 ? undefined : end);
}
const quoted = (text: string) => [...text.matchAll(/`([^`\n]+)`/g)].map(([, words]) => words!);

test('every counter that it names is counted', () => {
  const counters = quoted(section('Limits and their counters')).filter((words) => /^[a-z]+(\.[a-zA-Z]+)?$/.test(words));
  expect(counters.length).toBeGreaterThan(15);
  for (const counter of counters) {
    const name = counter.split('.').at(-1)!;
    expect(sources, counter).toMatch(new RegExp(`['.]${name}'|\\b${name}[:?]`));
  }
});

test('every part of a log line that it quotes is logged', () => {
  const rows = section('What the log says').matchAll(/^\| (?:info|warn|error) +\| `([^`]+)`/gm);
  const parts = [...rows].map(([, part]) => part!);
  expect(parts.length).toBeGreaterThan(15);
  for (const part of parts) expect(sources, part).toContain(part);
});

test('every code and every option that it names is there', () => {
  const codes = quoted(paper).filter((words) => /^[A-Z]+_[A-Z]+$/.test(words) && !words.startsWith('CLAIMWIRE'));
  for (const code of codes) expect(ERROR_CODES).toContain(code);
  const flags = quoted(paper).flatMap((words) => words.match(/(?<=^| )--[a-z][a-z-]+/g) ?? []);
  // Options are declared without their dashes, in quotes where there is one inside (tools/options.ts).
  const isDeclared = (flag: string) =>
    sources.includes(flag) || new RegExp(`^  '?${flag.slice(2)}'?: `, 'm').test(sources);
  expect([...new Set(flags)].filter((flag) => !isDeclared(flag))).toEqual([]);
});
