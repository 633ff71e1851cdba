/** Options: what is declared once is parsed, read from environment and file by precedence, and told where it is wrong. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { defineCommand } from '../../../tools/command.ts';
import { paragraphs } from '../../../tools/output.ts';
import { didYouMean } from '../../../tools/suggest.ts';
import { count, duration } from '../../../tools/units.ts';

const folder = mkdtempSync(join(tmpdir(), 'claimwire-options-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

let seen: unknown;
const command = defineCommand({
  name: 'brew',
  summary: 'makes coffee',
  operands: { name: 'BEAN', count: 'some' },
  options: {
    cups: { value: 'N', description: 'how many', default: '1', env: 'BREW_CUPS', read: count(1, 1_000_000) },
    kind: { value: 'NAME', description: 'which', choices: ['filter', 'espresso'], default: 'filter' },
    wait: { value: 'S', description: 'how long', read: duration('s', 0, 60) },
    to: { value: 'NAME', description: 'for whom', repeatable: true },
    milk: { description: 'with it' },
  },
  examples: [['brew arabica', 'one cup']],
  notes: 'Exit code: 0 fine.',
  act: async (values, operands) => {
    seen = { ...values, operands };
    return 0;
  },
});

async function brew(...args: string[]): Promise<unknown> {
  seen = undefined;
  await command.run(args);
  return seen;
}
const refused = async (...args: string[]) =>
  command.run(args).then(
    () => 'accepted',
    (error: { code: string; message: string }) => `${error.code} ${error.message}`,
  );
function config(value: unknown): string {
  const file = join(folder, 'brew.json');
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  return file;
}

describe('values', () => {
  it('come typed, with defaults, and wherever an option stands', async () => {
    const rest = { json: false, config: undefined };
    expect(await brew('a', '--cups', '2k', 'b', '--milk', '--to', 'x', '--to', 'y', '--wait=1.5s')).toEqual({
      ...rest,
      cups: 2_000,
      kind: 'filter',
      wait: 1_500,
      to: ['x', 'y'],
      milk: true,
      operands: ['a', 'b'],
    });
    expect(await brew('a')).toMatchObject({ cups: 1, to: [], milk: false });
  });

  it('go by flag, environment, file, default, in that order', async () => {
    const file = config({ cups: 3, kind: 'espresso', milk: true, to: ['p', 'q'], wait: '2s' });
    expect(await brew('a', '--config', file)).toMatchObject({ cups: 3, kind: 'espresso', milk: true, to: ['p', 'q'] });
    vi.stubEnv('BREW_CUPS', '4');
    expect(await brew('a', '--config', file)).toMatchObject({ cups: 4, wait: 2_000 });
    expect(await brew('a', '--config', file, '--cups', '5', '--kind', 'filter')).toMatchObject({
      cups: 5,
      kind: 'filter',
    });
    vi.stubEnv('BREW_CUPS', '');
    expect(await brew('a')).toMatchObject({ cups: 1 });
  });

  it.each([
    [['a', '--cups', '0'], '--cups: expected a whole number from 1 to 1000000, like 1000 or 1k, got "0"'],
    [['a', '--kind', 'expresso'], '--kind: expected filter or espresso, got "expresso"; did you mean "espresso"?'],
    [['a', '--wait', '2m'], '--wait: expected a duration from 0s to 60s, like 500ms, 5s or 2m, got "2m"'],
    [['a', '--cup', '1'], 'brew: expected an option that --help shows, got --cup; did you mean --cups?'],
    [['a', '--cups'], '--cups: expected N, got nothing'],
    [['a', '--milk=yes'], '--milk: expected no value, got one'],
    [[], 'brew: expected one BEAN, got 0 operands'],
  ])('%j is refused with what was expected', async (args, message) => {
    expect(await refused(...args)).toContain(`USAGE ${message}`);
  });

  it('are called by where they came from', async () => {
    vi.stubEnv('BREW_CUPS', 'many');
    expect(await refused('a')).toContain('USAGE BREW_CUPS: expected a whole number');
    vi.unstubAllEnvs();
    expect(await refused('a', '--config', config({ cups: 'many' }))).toContain(
      'brew.json: cups: expected a whole number',
    );
  });

  it.each([
    [{ cusp: 3 }, 'expected names of options, got "cusp"; did you mean "cups"?'],
    [{ config: 'x' }, 'expected names of options, got "config"'],
    [{ milk: 'yes' }, 'milk: expected true or false, got "yes"'],
    [{ cups: [1] }, 'cups: expected a text or a number, got [1]'],
    [[1], 'expected a JSON object like'],
    ['{"cups": 1', 'expected a JSON object, got what JSON does not know'],
  ])('of a file %j are refused', async (value, message) => {
    expect(await refused('a', '--config', config(value))).toContain(message);
  });

  it('of a file that is not there are refused', async () => {
    expect(await refused('a', '--config', join(folder, 'none'))).toMatch(/^USAGE --config .* got ENOENT/);
  });
});

describe('help', () => {
  it('has examples, choices, defaults and variables, and fits', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    expect(await command.run(['--help'])).toBe(0);
    const text = write.mock.calls.join('');
    expect(text).toMatch(/^Usage: claimwire brew BEAN \[options\]\n\nMakes coffee\.\n/);
    expect(text).toContain('which (filter, espresso; default filter)');
    expect(text).toContain('how many (default 1; or BREW_CUPS)');
    expect(text).toContain('Examples:\n  brew arabica\n      one cup\n');
    expect(text).toContain('--json');
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('fills paragraphs, and leaves what is indented', () => {
    expect(paragraphs('a b\nc d e\n  {as   it is}\nf\n\ng', 6)).toBe('a b c\nd e\n  {as   it is}\nf\n\ng');
  });
});

describe('did you mean', () => {
  it.each([
    ['chanel', 'channel'],
    ['laod', 'load'],
    ['frobnicate', undefined],
    ['x', undefined],
  ])('%s: %s', (word, meant) => {
    expect(didYouMean(word, ['node', 'load', 'channel', 'pay'])).toBe(
      meant === undefined ? '' : `; did you mean "${meant}"?`,
    );
  });
});
