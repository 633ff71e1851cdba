/** The walk-through of docs/walkthrough.md, which is the README's as well, pasted into a shell as it stands. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { expect, test, vi } from 'vitest';
import { temporaryFolders } from '../support/node-process.ts';

vi.setConfig({ testTimeout: 120_000 });
const ROOT = resolve(import.meta.dirname, '../..');
const folder = temporaryFolders();

/** The ports that the text names are one machine's: a node that runs here must not be paid by a test. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

test('the block can be pasted, and ends with the transaction of what was paid', async () => {
  const text = readFileSync(join(ROOT, 'docs/walkthrough.md'), 'utf8');
  const block = /```bash\n([\s\S]*?)```/.exec(text)![1]!;
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(block);
  const cwd = folder('walkthrough');
  // npx as it is where the package is installed; the ports, and nothing else, are this test's own.
  const bin = join(cwd, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${ROOT}/dist/tools/cli.js" "$@"\n`);
  chmodSync(join(bin, 'npx'), 0o755);
  const [udp, http] = [await freePort(), await freePort()];
  const script = block
    .replace('claimwire node ', `claimwire node --udp 127.0.0.1:${udp} `)
    .replaceAll('claimwire pay ', `claimwire pay --to udp://127.0.0.1:${udp} `);
  const run = spawnSync('bash', ['--norc', '-c', `set -m\n${script}\nwait`], {
    cwd,
    encoding: 'utf8',
    timeout: 100_000,
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, CLAIMWIRE_HTTP: `127.0.0.1:${http}` },
  });
  expect(run.stdout).toContain('no channels\n');
  expect(run.stdout.match(/^status +COMMITTED$/gm)?.length, run.stdout + run.stderr).toBe(2);
  const [transaction] = JSON.parse(/^\[\n[\s\S]*?^\]$/m.exec(run.stdout)![0]) as object[];
  expect(transaction).toMatchObject({
    TransactionType: 'PaymentChannelClaim',
    Account: 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh',
    Amount: '100',
  });
  expect(readFileSync(join(cwd, 'node.log'), 'utf8')).toContain('"event":"stopped"');
});
