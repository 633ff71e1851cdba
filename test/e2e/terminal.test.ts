/**
 * What a person at a terminal of 80 columns sees: no line that the terminal would break in the middle of a word, no JSON where
 * none was asked for, nothing rewritten on a dumb one. The compiled program, under util-linux's `script`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { NodeProcess, temporaryFolders } from '../support/node-process.ts';

vi.setConfig({ testTimeout: 60_000 });
const CLI = resolve(import.meta.dirname, '../../dist/tools/cli.js');
const folder = temporaryFolders();
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true;

/** Runs a command on a terminal of its own; `until` is what it prints before Ctrl-C ends it. */
async function onTerminal(args: string[], { until, env = {} }: { until?: RegExp; env?: NodeJS.ProcessEnv } = {}) {
  const words = [process.execPath, CLI, ...args].map((word) => `'${word}'`).join(' ');
  const command = `stty cols 80 rows 40; exec ${words}`;
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 50_000,
    env: { ...process.env, TERM: 'xterm', ...env },
  });
  let text = '';
  child.stdout.on('data', (data) => {
    const isFirst = until !== undefined && !until.test(text) && until.test(text + data);
    text += data;
    if (isFirst) child.stdin.write('\x03');
  });
  const [code] = await once(child, 'close');
  return { code, text: text.replaceAll('\r\n', '\n') };
}

/** The lines as they stay on the screen: what was erased is not among them. */
function linesOf(text: string): string[] {
  return text.split('\n').map((line) => line.split('\r\x1b[K').at(-1)!);
}

describe.skipIf(!hasScript)('on a terminal of 80 columns', () => {
  test('a node says where it listens and how it ended, in words', async () => {
    const data = join(folder('node'), 'data');
    const args = ['node', '--data', data, '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0'];
    const { code, text } = await onTerminal(args, { until: /Ctrl-C stops it/ });
    expect(code, text).toBe(0);
    expect(text).toMatch(/^ready {4}claims on udp:\/\/127\.0\.0\.1:\d+ and tcp:\/\//m);
    expect(text).toMatch(/^stopped {2}after .*: 0 claims received, 0 committed/m);
    expect(text).not.toContain('{"event"');
    for (const line of linesOf(text)) expect(line.length, line).toBeLessThan(80);
  });

  test('a load, a list and a fault keep to the width, and a dumb terminal gets lines', async () => {
    const data = join(folder('load'), 'data');
    const node = new NodeProcess(data);
    const { udp, http } = await node.ready;
    const at = ['--http', `http://${http}`, '--token-file', join(data, 'admin-token')];
    const load = ['load', '--to', `udp://${udp}`, ...at, '--warmup', '0', '--drain', '1', '--keep-channels'];
    try {
      const ramp = await onTerminal([...load, '--duration', '0.5', '--ramp', '10k:20k:10k', '--channels', '9']);
      expect(ramp.text).toMatch(/^ *asked\/s +sent\/s +acked\/s .* late$/m);
      expect(ramp.text).toMatch(/^ +20,000 /m);
      const dumb = await onTerminal([...load, '--duration', '1', '--rate', '1k', '--channels', '9'], {
        env: { TERM: 'dumb' },
      });
      expect(dumb.text).not.toContain('\x1b');
      expect(dumb.text).toMatch(/^ {3}1 s {2}sent [\d,]+\/s/m);
      const list = await onTerminal(['channel', 'list', ...at]);
      expect(list.text).toContain('COMMITTED');
      const fault = await onTerminal(['channel', 'show', '5', '--http', 'http://127.0.0.1:1']);
      expect(fault.code).toBe(1);
      for (const { text } of [ramp, dumb, fault])
        for (const line of linesOf(text)) expect(line.length, line).toBeLessThan(80);
      expect(list.text.split('\n')[0]!.length).toBeLessThan(80);
    } finally {
      await node.stop();
    }
  });
});
