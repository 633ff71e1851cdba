/** Every `claimwire …` line that an operator may copy from the docs, the README or an alert's runbook: the command and its flags are there. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { RunnableCommand } from '../../tools/command.ts';
import { COMMANDS } from '../../tools/commands.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const PAPERS = ['README.md', 'deploy/README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)];

/** Blocks and spans of code. */
function codeOf(markdown: string): string[] {
  const fences = /^( *)```[a-z]*\n([\s\S]*?)^\1```$/gm;
  const blocks = [...markdown.matchAll(fences)].flatMap(([, , code]) => code!.replaceAll('\\\n', ' ').split('\n'));
  const indented = markdown.match(/(?<=^\n {4}).*$/gm) ?? [];
  return [...blocks, ...indented, ...(markdown.replaceAll(fences, '').match(/(?<=`)[^`\n]+(?=`)/g) ?? [])];
}

/** The command lines in a line of code, without what a shell does with them. */
function linesIn(code: string): string[] {
  const bare = code.replace(/ #.*$/, '').replaceAll(/'[^']*'|"[^"]*"/g, 'TEXT');
  // Of npm and the service manager it is the name of a package or a unit.
  const others = '(?<!(?:install|--global|--unit|--now|show|status|edit|restart) )';
  return bare.match(new RegExp(`(?<![\\w.-])${others}claimwire (?=[a-z])[^;|&()<>]*`, 'g')) ?? [];
}

const runbooks = read('deploy/alerts.yml').match(/(?<=runbook: ").*(?="$)/gm)!;
const printed = [
  ...PAPERS.filter((path) => path.endsWith('.md')).flatMap((path) =>
    codeOf(read(path)).flatMap((code) => linesIn(code).map((line) => [path, line] as const)),
  ),
  ...runbooks.flatMap((text) => linesIn(text).map((line) => ['deploy/alerts.yml', line] as const)),
];

/** What is wrong with a command line; undefined for one that runs. */
async function faultOf(line: string): Promise<string | undefined> {
  const [word = '', ...rest] = line.replace(/^.*?claimwire /, '').split(/\s+/);
  if (word === 'help') return undefined;
  if (!Object.hasOwn(COMMANDS, word)) return `no command ${word}`;
  const { command } = await COMMANDS[word]!.load();
  let chosen = command as RunnableCommand;
  if ('commands' in command) {
    const [name = ''] = rest;
    if (['', '--help'].includes(name)) return undefined;
    if (!Object.hasOwn(command.commands, name)) return `no command ${word} ${name}`;
    chosen = command.commands[name]!;
    rest.shift();
  }
  const flags = rest.flatMap((each) => each.match(/^--[a-z][a-z0-9-]*/) ?? []);
  return flags.find((flag) => flag !== '--help' && !Object.hasOwn(chosen.options, flag.slice(2)));
}

test('each names a command, and flags that it has', async () => {
  expect(printed.filter(([path]) => path === 'deploy/alerts.yml').length).toBeGreaterThan(20);
  expect(printed.filter(([path]) => path === 'docs/metrics.md').length).toBeGreaterThan(5);
  expect(printed.length).toBeGreaterThan(100);
  const faults = await Promise.all(printed.map(async ([path, line]) => [path, line, await faultOf(line)] as const));
  expect(faults.filter(([, , fault]) => fault !== undefined)).toEqual([]);
});

test('a command that is gone, or a flag, is found', async () => {
  expect(await faultOf('claimwire channel lsit')).toBe('no command channel lsit');
  expect(await faultOf('npx claimwire watch')).toBe('no command watch');
  expect(await faultOf('claimwire top --htpp 127.0.0.1:9394')).toBe('--htpp');
});
