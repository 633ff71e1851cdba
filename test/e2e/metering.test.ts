/**
 * A service beside a whole node: what docs/metering.md shows, pasted into a shell, the same in Python, and a client that pays,
 * waits, listens and charges. The node runs in this process, compiled, since threads cannot run TypeScript.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AdminClient, type ServingNode, serve } from '../../dist/src/index.js';
import { createToken } from '../../src/control/scoped-tokens.ts';
import { nodeSystem } from '../../src/system/system.ts';
import { temporaryFolders } from '../support/node-process.ts';
import { openingOf, signedClaim } from '../support/wire.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** Of the paper. */
const CHANNEL = 6750926077978654334n;
const silent = { info: () => {}, warn: () => {}, error: () => {} };

const folder = temporaryFolders();
let serving: ServingNode;
let data = '';
let client: AdminClient;

beforeAll(async () => {
  data = folder('metering');
  const anyPort = { host: '127.0.0.1', port: 0 };
  const small = { backend: 'native', layout: 'lanes', lanes: 1, channelsMax: 256, segmentBytes: 1 << 20 } as const;
  serving = await serve({ data, udp: anyPort, http: anyPort, logger: silent, ...small });
  const tokenFile = join(data, 'shop-token');
  const { token } = createToken(data, { scope: 'charge', name: 'shop', channels: null }, nodeSystem);
  writeFileSync(tokenFile, token, { mode: 0o600 });
  client = AdminClient.open({ http: `http://${serving.http}`, tokenFile });
});
afterAll(() => serving.stop());

/** Runs a program in the folder of the token; the server it talks to is in this process, so this must not block. */
async function run(command: string, ...args: string[]): Promise<string> {
  const child = spawn(command, args, { cwd: data, timeout: 30_000 });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      printed += String(chunk);
    });
  await new Promise((done) => child.once('close', done));
  return printed;
}

/** A channel of which a payer, who has only HTTP, has committed so much. */
async function payOver(channelId: bigint, drops: bigint): Promise<void> {
  await serving.node.openChannels([openingOf(channelId)]);
  const claim = signedClaim(channelId, drops);
  expect(await client.submit(claim)).toEqual({ status: 'COMMITTED', committed: String(drops) });
  expect(await client.submit(claim)).toEqual({ status: 'ALREADY', committed: String(drops) });
}

test('the block can be pasted, and prints what is below it', async () => {
  await payOver(CHANNEL, 100n);
  const text = readFileSync(join(ROOT, 'docs/metering.md'), 'utf8');
  const [, block, prints] = /```bash\n([\s\S]*?)```\n\nprints\n\n```\n([\s\S]*?)```/.exec(text)!;
  const script = block!.replace('http://127.0.0.1:9394', `http://${serving.http}`);
  expect(script).not.toBe(block);
  expect((await run('bash', '--norc', '-c', script)).trim()).toBe(prints!.trim());
});

test('charge.py charges once for a key, and says what a refusal was', async () => {
  await payOver(7n, 100n);
  const charge = (drops: string, key: string) =>
    run('python3', join(ROOT, 'examples/charge.py'), `http://${serving.http}`, 'shop-token', '7', drops, key);
  expect(await charge('60', 'order-17')).toBe('charged 60 drops; 60 of 100 are spent\n');
  expect(await charge('60', 'order-17')).toBe('charged 60 drops; 60 of 100 are spent\n');
  expect(await charge('61', 'order-17')).toMatch(/^409 CHARGE_CONFLICT: channel 7: expected 60 drops/);
});

test('a service waits, listens and charges while a payer pays', async () => {
  await payOver(8n, 1n);
  const stop = new AbortController();
  const events = client.events({ channels: ['8'], snapshot: true, signal: stop.signal });
  expect(await events.next()).toEqual({ value: { channelId: '8', committed: '1' }, done: false });
  const waited = client.wait('8', 10n);
  const charged = client.charge('8', 10n, { key: 'a', wait: '20s' });
  const told = events.next();
  expect(await client.submit(signedClaim(8n, 12n))).toMatchObject({ status: 'COMMITTED' });
  expect(await waited).toBe('12');
  expect(await charged).toEqual({ channelId: '8', drops: '10', spent: '10', committed: '12', repeated: false });
  expect((await told).value).toEqual({ channelId: '8', committed: '12' });
  stop.abort();
  const badSignature = signedClaim(8n, 13n);
  badSignature[50]! ^= 1;
  expect(await client.submit(badSignature)).toMatchObject({ status: 'BAD_SIGNATURE' });
  await expect(client.charge('8', 3n)).rejects.toMatchObject({ code: 'PAYMENT_REQUIRED', details: { missing: '1' } });
  await expect(client.charge('8', 1n, { key: 'k'.repeat(65) })).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  expect((await client.charge('8', -10n)).spent).toBe('0');
  const described = await (await fetch(`http://${serving.http}/openapi.json`)).json();
  expect(described).toEqual(JSON.parse(readFileSync(join(ROOT, 'protocol/openapi.json'), 'utf8')));
});
