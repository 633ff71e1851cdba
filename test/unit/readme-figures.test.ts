/** The README's figures are medians of the report in docs/, to three digits. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8');

test("the README's figures are those of the report", () => {
  const { figures, quick } = JSON.parse(read('docs/benchmarks.json')) as {
    figures: { name: string; median: number }[];
    quick: boolean;
  };
  expect(quick).toBe(false);
  const medians = new Map(figures.map(({ name, median }) => [name, median]));
  const rows = [...read('README.md').matchAll(/^\|.*\| +([\d.,]+) +\| `([a-zA-Z0-9.]+)` +\|$/gm)];
  expect(rows.length).toBeGreaterThanOrEqual(6);
  for (const [, value, name] of rows)
    expect(Number(value!.replaceAll(',', '')), name).toBe(Number(medians.get(name!)!.toPrecision(3)));
});
