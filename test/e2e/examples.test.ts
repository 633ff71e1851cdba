/**
 * The examples as a user runs them: `node examples/NAME.mjs` in a process of its own, and what they print.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test, vi } from 'vitest';
import { temporaryFolders } from '../support/node-process.ts';

// Each starts a node, and nodes start slowly on a busy machine.
vi.setConfig({ testTimeout: 120_000 });
const ROOT = resolve(import.meta.dirname, '../..');
const EXAMPLES = join(ROOT, 'examples');
const folder = temporaryFolders();

interface Run {
  code: number | null;
  /** Lines of stdout. */
  lines: string[];
  stderr: string;
}

/** Runs a program with its temporary files in a new folder, and returns that folder. */
async function run(command: string, args: string[], env: Record<string, string> = {}): Promise<Run & { tmp: string }> {
  const tmp = folder('examples');
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, TMPDIR: tmp, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, lines: stdout.trimEnd().split('\n'), stderr, tmp };
}

async function example(name: string): Promise<string[]> {
  const { code, lines, stderr, tmp } = await run(process.execPath, [join(EXAMPLES, name)]);
  expect(code, stderr).toBe(0);
  expect(readdirSync(tmp), 'what the example left behind').toEqual([]);
  return lines;
}

/** What each program prints. A pattern stands for a line that differs from run to run. */
const PRINTS: Record<string, (string | RegExp)[]> = {
  'node-and-payer.mjs': [
    'paid 25 drops; 25 in all are durable at the node',
    'paid 10 drops; 35 in all are durable at the node',
    'paid 7 drops; 42 in all are durable at the node',
    'the node holds a claim of 42 of 1000000 drops',
  ],
  'pay-per-request.mjs': [
    'no claim: 402 expected a claim of 93 bytes, got 0',
    /^10 drops: 200 the dice show [1-6]$/,
    'the same claim again: 402 expected a claim of 20 drops, got 10',
    /^20 drops: 200 the dice show [1-6]$/,
    'a claim of nobody: 402 expected a claim signed by an open channel, got another',
    'more than the channel holds: 402 expected a claim that the node accepts, got OVER_CAPACITY',
    'the service holds a claim of 20 drops',
  ],
  'paid-api.mjs': [
    'without paying: 402, free: 200',
    'the answer to /ask/why is 42',
    'the answer to /ask/how is 42',
    'charged 50 drops; the customer has signed for 50',
  ],
  'llm-stream.mjs': ['money that moves as fast as the words it pays for needs no invoice', '14 tokens cost 42 drops'],
  'paid-fetch.mjs': [
    'GET /cat: 200, signed for 10 drops so far',
    'POST /dog: 200, signed for 20 drops so far',
    'GET /owl: 200, signed for 30 drops so far',
    'PAYMENT_REQUIRED: budget: expected at most 30 drops signed in all, got 40',
  ],
  'settle.mjs': [
    'PaymentChannelClaim of 1234560 drops',
    'xrpl.js says that the claim is valid',
    /^blob for the ledger's submit: 12000F[0-9A-F]+… \(\d+ bytes\), hash [0-9A-F]{64}$/,
  ],
  'raw-udp.mjs': [
    /^claim: 93 bytes, 01[0-9a-f]{16}0000000100000000000000fa…$/,
    'ack: COMMITTED, sequence 1, 250 drops are durable',
  ],
  'operator.mjs': [
    'ready: true',
    'capacity: 2000000 drops',
    'channel: open, 0 drops committed',
    'GET /channels/1: 404 CHANNEL_UNKNOWN: channel 1: expected an opened channel, got none',
    /^stats: backend \w+, 1 channels, 0 claims committed$/,
    'closed: closed',
    'removed: 1',
  ],
};

test.each(Object.keys(PRINTS))('%s', async (name) => {
  const lines = await example(name);
  const expected = PRINTS[name]!;
  expect(lines).toEqual(
    expected.map((line) => (typeof line === 'string' ? line : (expect.stringMatching(line) as string))),
  );
});

test('load.sh: a ramp, its verdict, and the report', async () => {
  const report = join(folder('report'), 'load.html');
  const { code, lines, stderr, tmp } = await run(join(EXAMPLES, 'load.sh'), [report], {
    RAMP: '1000:2000:1000',
    DURATION: '1',
    CLAIMWIRE: `${process.execPath} ${join(ROOT, 'dist/tools/cli.js')}`,
  });
  // Whether the bounds were kept depends on what else this machine does.
  expect([0, 1], stderr).toContain(code);
  expect(lines.at(-1)).toBe(`report: ${report}`);
  expect(lines.join('\n')).toMatch(/^Reconciled: all \d+ drops acknowledged/m);
  expect(readFileSync(report, 'utf8')).toMatch(/^<!doctype html>/i);
  expect(readdirSync(tmp), 'what the script left behind').toEqual([]);
});

test('every example is run here and named in the README', () => {
  const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
  const programs = readdirSync(EXAMPLES).filter((name) => name !== 'README.md');
  // charge.py is run by metering.test.ts, and browser/ by browser.test.ts.
  expect(programs.sort()).toEqual([...Object.keys(PRINTS), 'load.sh', 'charge.py', 'browser'].sort());
  for (const name of programs) expect(readme).toContain(`(${name})`);
});
