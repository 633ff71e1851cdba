/** What docs/metering.md shows, pasted into a shell, and the same in Python: both against a node's HTTP interface. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeAdmin, startFakeAdmin } from '../support/fake-node.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CHANNEL = 6750926077978654334n;

let admin: FakeAdmin;
beforeEach(async () => {
  admin = await startFakeAdmin();
  admin.node.rows.set(CHANNEL, {
    channelId: CHANNEL,
    ledgerChannelId: new Uint8Array(32),
    publicKey: new Uint8Array(33),
    capacity: 1_000n,
    profile: 'xrpl',
    expiresAt: 0,
    committed: 100n,
    sequence: 0,
    timestampBits: 0n,
    signature: new Uint8Array(64),
    state: 'open',
  });
  writeFileSync(join(admin.folder, 'shop-token'), `${admin.tokenOf('charge')}\n`, { mode: 0o600 });
});
afterEach(() => admin.close());

/** Runs a program in the folder of the token; the server it talks to is in this process, so this must not block. */
async function run(command: string, ...args: string[]): Promise<string> {
  const child = spawn(command, args, { cwd: admin.folder, timeout: 30_000 });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      printed += String(chunk);
    });
  await new Promise((done) => child.once('close', done));
  return printed;
}

test('the block can be pasted, and prints what is below it', async () => {
  const text = readFileSync(join(ROOT, 'docs/metering.md'), 'utf8');
  const [, block, prints] = /```bash\n([\s\S]*?)```\n\nprints\n\n```\n([\s\S]*?)```/.exec(text)!;
  const script = block!.replace('http://127.0.0.1:9394', admin.url);
  expect(script).not.toBe(block);
  expect((await run('bash', '--norc', '-c', script)).trim()).toBe(prints!.trim());
});

test('charge.py charges once for a key, and says what a refusal was', async () => {
  const charge = (drops: string, key: string) =>
    run('python3', join(ROOT, 'examples/charge.py'), admin.url, 'shop-token', String(CHANNEL), drops, key);
  expect(await charge('60', 'order-17')).toBe('charged 60 drops; 60 of 100 are spent\n');
  expect(await charge('60', 'order-17')).toBe('charged 60 drops; 60 of 100 are spent\n');
  expect(await charge('61', 'order-17')).toMatch(/^409 CHARGE_CONFLICT: key order-17: expected 60 drops/);
});
