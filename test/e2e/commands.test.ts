/** Commands as users see them: faults in one line with a code, JSON on request, settings from every source. Compiled program. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { claimwire } from '../support/command-line.ts';
import { claimwire as claimwireProcess, NodeProcess, temporaryFolders } from '../support/node-process.ts';

// Programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });
const folder = temporaryFolders();
const CLI = resolve(import.meta.dirname, '../../dist/tools/cli.js');
const ADDRESSES = ['--udp', '127.0.0.1:0', '--http', '127.0.0.1:0'];

/** Each command, with the code and a part of the one line that it prints at its end. */
const FAULTS: [string, () => string[], string, RegExp][] = [
  [
    'a data folder that is a file',
    () => {
      const file = join(folder('file'), 'data');
      writeFileSync(file, '');
      return ['node', '--data', file, ...ADDRESSES];
    },
    'CONFIG_INVALID',
    /data .*: expected a folder, or a place to make it, got ENOTDIR/,
  ],
  [
    'a data folder below a file',
    () => {
      const file = join(folder('below'), 'data');
      writeFileSync(file, '');
      return ['node', '--data', join(file, 'deep', 'er'), ...ADDRESSES];
    },
    'CONFIG_INVALID',
    /got ENOTDIR/,
  ],
  [
    'a data folder where none can be made, though by root',
    () => ['node', '--data', '/proc/claimwire/data', ...ADDRESSES],
    'CONFIG_INVALID',
    /expected a folder, or a place to make it, got E[A-Z]+/,
  ],
  [
    'lanes in a pipeline',
    () => ['node', '--data', folder('lanes'), '--layout', 'pipeline', '--lanes', '3', ...ADDRESSES],
    'CONFIG_INVALID',
    /lanes: expected layout lanes, got pipeline; give --layout lanes or leave --lanes out/,
  ],
  [
    'an option of no demo',
    () => ['demo', '--bogus'],
    'USAGE',
    /demo: expected an option that --help shows, got --bogus/,
  ],
  ['a journal without its folder', () => ['journal', 'verify'], 'USAGE', /journal verify: expected one DIR, got 0/],
  ['an option of no journal', () => ['journal', '--bogus'], 'USAGE', /journal: expected one of verify, got "--bogus"/],
  ['a size that is none', () => ['node', '--key-cache', 'much'], 'USAGE', /--key-cache: expected a size like 512M/],
  ['a shell that is none', () => ['completion', 'fish'], 'USAGE', /expected bash or zsh, got "fish"/],
];

describe.each(FAULTS)('%s', (_name, args, code, message) => {
  test('is one coded line and exit code 2', async () => {
    const ended = await claimwire(...args());
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(/^claimwire: [^\n]*\n$/);
    expect(ended.stderr).toMatch(message);
    expect(ended.stderr).toContain(`(${code})`);
  });

  test('is JSON where asked', async () => {
    const ended = await claimwire(...args(), '--json');
    expect(ended.code).toBe(2);
    expect(JSON.parse(ended.stdout)).toMatchObject({ error: { code, message: expect.stringMatching(message) } });
  });
});

test('a journal that is not there fails, as JSON where asked', async () => {
  const { code, stdout } = await claimwire('journal', 'verify', join(folder('none'), 'x'), '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'INPUT_INVALID' } });
});

const COMMANDS = [
  ...['node', 'demo', 'keygen', 'pay', 'load', 'settle', 'decode', 'completion', 'journal verify'],
  ...['charge', 'events', 'token create', 'token list', 'token revoke'],
  ...['open', 'import', 'list', 'show', 'update', 'close', 'remove'].map((name) => `channel ${name}`),
];

test('every command has --json, examples and its exit codes in its help, in 80 columns', async () => {
  for (const command of COMMANDS) {
    const { code, stdout } = await claimwire(...command.split(' '), '--help');
    expect(code, command).toBe(0);
    for (const text of [`Usage: claimwire ${command}`, '--json', '--config FILE', 'Examples:', 'Exit code:'])
      expect(stdout, command).toContain(text);
    for (const line of stdout.split('\n')) expect(line.length, `${command}: ${line}`).toBeLessThanOrEqual(80);
  }
  expect((await claimwire('help', 'pay')).stdout).toMatch(/^Usage: claimwire pay/);
});

test('a node takes its settings from the environment and from a file, and logs as asked', async () => {
  const data = join(folder('env'), 'data');
  const file = join(folder('config'), 'node.json');
  writeFileSync(
    file,
    JSON.stringify({
      'log-format': 'json',
      layout: 'pipeline',
      verifiers: 1,
      sockets: 'dgram',
      'http-host': ['node.example'],
    }),
  );
  const env = { CLAIMWIRE_BACKEND: 'noble' };
  const node = new NodeProcess(data, ['--config', file], CLI, { env });
  expect(await node.ready).toMatchObject({ backend: 'noble', layout: 'pipeline', verifiers: 1 });
  const { http } = await node.ready;
  const asUser = (variables: Record<string, string>, ...args: string[]) =>
    spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8', env: { ...process.env, ...variables } });
  expect(asUser({ CLAIMWIRE_HTTP: http }, 'channel', 'list', '--json')).toMatchObject({ status: 0, stdout: '[]\n' });
  // Opening takes the token, which is in the data folder, or where its own variable says.
  const key = '0257CF4F3929F535518D624292D62ACE47E9DA563D7DFA7EA4C6BC24258AB467B7';
  const opening = ['channel', 'open', '--ledger-channel', 'random', '--public-key', key, '--capacity', '5', '--json'];
  expect(asUser({ CLAIMWIRE_HTTP: http, CLAIMWIRE_DATA: data }, ...opening)).toMatchObject({ status: 0, stderr: '' });
  const tokenFile = join(data, 'admin-token');
  expect(asUser({ CLAIMWIRE_HTTP: http, CLAIMWIRE_TOKEN_FILE: tokenFile }, ...opening)).toMatchObject({ status: 0 });
  expect(asUser({ CLAIMWIRE_HTTP: http }, ...opening)).toMatchObject({ status: 1 });
  expect(asUser({ CLAIMWIRE_DATA: '/proc/claimwire/data' }, 'node').stderr).toContain('/proc/claimwire/data');
  const [host = '', port = ''] = http.split(':');
  for (const [name, status] of [
    [`node.example:${port}`, 200],
    [`localhost:${port}`, 200],
    [`evil.example:${port}`, 400],
  ] as const)
    expect(await statusFor(host, Number(port), name), name).toBe(status);
  await node.stop();
  const lines = node.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>);
  expect(lines[0]).toMatchObject({ level: 'info', message: expect.stringContaining('layout pipeline') });
  const quiet = new NodeProcess(data, ['--log-level', 'error', '--sockets', 'dgram', '--backend', 'noble']);
  await quiet.ready;
  await quiet.stop();
  expect(quiet.stderr).toBe('');
});

test('the demo pays, loads the node, says what limits it, and leaves no channel behind', async () => {
  const data = join(folder('demo'), 'data');
  const plain = await claimwireProcess(
    'demo',
    '--data',
    data,
    '--seconds',
    '1',
    '--load-seconds',
    '0.2s',
    '--channels',
    '4',
  );
  expect(plain.code, plain.stderr).toBe(0);
  for (const row of [
    'claims/s ',
    'latency  p50 ',
    'runs on  backend ',
    'limit    ',
    'faster   with ',
    'stopped  after ',
  ])
    expect(plain.stdout).toContain(`\n${row}`);
  const json = await claimwireProcess('demo', '--data', data, '--seconds', '1', '--load-seconds', '0.2s', '--json');
  const { payer, load, redeem, stopped } = JSON.parse(json.stdout) as Record<string, Record<string, unknown>>;
  expect(payer!.acknowledged).toBeGreaterThan(0);
  expect(load!.claimsPerSecond).toBeGreaterThan(0);
  expect(load!.signer).not.toBe('noble');
  expect(load).toMatchObject({ sockets: expect.any(String), limitedBy: expect.any(String) });
  expect(redeem).toMatchObject({ TransactionType: 'PaymentChannelClaim' });
  expect(stopped).toMatchObject({ event: 'stopped', channels: 0 });
});

test('CLAIMWIRE_TOKEN_FILE and CLAIMWIRE_HTTP are where a command looks', () => {
  const run = spawnSync(process.execPath, [CLI, 'channel', 'close', '5'], {
    encoding: 'utf8',
    env: { ...process.env, CLAIMWIRE_HTTP: 'http://127.0.0.1:1', CLAIMWIRE_TOKEN_FILE: '/nowhere/token' },
  });
  expect(run.stderr).toContain('token file /nowhere/token: expected a readable file, got ENOENT');
  const list = spawnSync(process.execPath, [CLI, 'channel', 'list'], {
    encoding: 'utf8',
    env: { ...process.env, CLAIMWIRE_HTTP: 'nonsense://x' },
  });
  expect(list).toMatchObject({ status: 2 });
  expect(list.stderr).toContain('expected a URL like http://127.0.0.1:9394, got nonsense://x');
});

/** The HTTP status of GET /channels under a Host header, as a browser sends one for a page's name. */
async function statusFor(host: string, port: number, name: string): Promise<number | undefined> {
  const asked = get({ host, port, path: '/channels', headers: { host: name }, agent: false });
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

describe('completion', () => {
  let program = '';
  beforeAll(async () => {
    program = join(folder('completion'), 'claimwire.bash');
    writeFileSync(program, (await claimwire('completion', 'bash')).stdout);
  });
  /** What bash offers for the words, the last of which is being typed. */
  function offered(...words: string[]): string[] {
    const cwd = folder('complete');
    mkdirSync(join(cwd, 'payers'), { recursive: true });
    const script = `
      eval "$(cat '${program}')"
      complete -p claimwire >&2
      COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')})
      COMP_CWORD=${words.length - 1}
      _claimwire
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const run = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8', cwd });
    expect(run.stderr).toBe('complete -o filenames -F _claimwire claimwire\n');
    return run.stdout.split('\n').filter((word) => word !== '');
  }

  test.each([
    [['claimwire', 'chan'], ['channel']],
    [['claimwire', 'channel', 're'], ['remove']],
    [['claimwire', 'channel', 'open', '--led'], ['--ledger-channel']],
    [['claimwire', 'node', '--lay'], ['--layout']],
    [
      ['claimwire', 'node', '--layout', ''],
      ['auto', 'lanes', 'pipeline'],
    ],
    [['claimwire', 'node', '--layout', 'lanes', '--dur'], ['--durability']],
    [['claimwire', 'pay', '--key', 'pay'], ['payers']],
    [['claimwire', 'load', '--rate', ''], []],
    [['claimwire', 'completion', 'z'], ['zsh']],
    [['claimwire', 'journal', 'v'], ['verify']],
    [['claimwire', 'decode', 'pay'], ['payers']],
  ])('bash completes %j', (words, expected) => expect(offered(...words)).toEqual(expected));

  test('bash completes every command', () => {
    const words = offered('claimwire', '');
    for (const name of [
      'node',
      'demo',
      'keygen',
      'channel',
      'pay',
      'charge',
      'events',
      'token',
      'load',
      'settle',
      'decode',
      'journal',
      'completion',
    ])
      expect(words).toContain(name);
  });

  test('is a value of JSON too, and has one for zsh', async () => {
    const { stdout } = await claimwire('completion', 'zsh', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      shell: 'zsh',
      script: expect.stringMatching(/^autoload .*bashcompinit/),
    });
  });
});
