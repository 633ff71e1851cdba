/** `claimwire bench compare`, and the usage of both. What is measured is tested in test/unit/bench. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { run } from '../../../tools/bench.ts';
import { benchReport, figureOf } from '../../support/bench-report.ts';

const folder = mkdtempSync(join(tmpdir(), 'claimwire-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function saved(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const report = (factor: number) =>
  JSON.stringify(
    benchReport([
      figureOf(
        'node.claimsPerSecond',
        [100, 101, 99].map((value) => value * factor),
      ),
    ]),
  );

async function printed(...args: string[]): Promise<string> {
  let text = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((part) => {
    text += String(part);
    return true;
  });
  try {
    expect(await run(args)).toBe(0);
  } finally {
    spy.mockRestore();
  }
  return text;
}

test('compares two reports, as a table or as JSON', async () => {
  const [before, after] = [saved('a.json', report(1)), saved('b.json', report(2))];
  expect(await printed('compare', before, after)).toMatch(/^node\.claimsPerSecond +100 +200 .* changed: better$/m);
  expect(await printed('compare', before, before)).toMatch(/^node\.claimsPerSecond .* not distinguishable$/m);
  const { figures } = JSON.parse(await printed('compare', before, after, '--json'));
  expect(figures).toMatchObject([{ ratio: 2, change: 'better' }]);
});

test.each([
  ['one report', ['compare', 'a.json'], 'USAGE', /expected two reports, got 1/],
  ['another word', ['contrast', 'a', 'b'], 'USAGE', /expected nothing or compare A\.json B\.json, got contrast a b/],
  ['a file that is not there', ['compare', 'none.json', 'none.json'], 'INPUT_INVALID', /expected a file .* got ENOENT/],
  ['a page that cannot be written', ['--out', '/none/x.html'], 'USAGE', /--out \/none\/x\.html: expected a file/],
])('%s is a fault in one line', async (_name, args, code, message) => {
  await expect(run(args)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
});

test('a file that is no report is named', async () => {
  const [text, other] = [saved('text.json', 'no json'), saved('other.json', '{"kind":"load"}')];
  await expect(run(['compare', text, text])).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  await expect(run(['compare', other, other])).rejects.toThrow(/other\.json: expected a report of claimwire bench/);
});

test('every command line of the paper is one', () => {
  const paper = readFileSync(new URL('../../../docs/benchmarks.md', import.meta.url), 'utf8');
  const flags = [...paper.matchAll(/^ {4}claimwire bench.*$/gm)].flatMap(([line]) => line.match(/--[a-z-]+/g) ?? []);
  expect(new Set(flags)).toEqual(new Set(['--quick', '--out', '--json-out']));
});
