/**
 * The examples as a user runs them: `node examples/NAME.mjs` in a process of its own, and what they print.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ClaimwireNode } from '../../dist/src/index.js';
import { generateKey, writeKeyFile } from '../../src/client/index.ts';
import { atOnePort } from '../support/at-one-port.ts';
import { temporaryFolders } from '../support/node-process.ts';
import { isThere } from '../support/softhsm.ts';

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
  const { code, lines, stderr, tmp } = await run(process.execPath, [join(EXAMPLES, name), ...(ARGUMENTS[name] ?? [])]);
  expect(code, stderr).toBe(0);
  expect(readdirSync(tmp), 'what the example left behind').toEqual([]);
  return lines;
}

/** SoftHSM, pkcs11js, and the program of opensc that makes keys. */
function hasTokenTools(): boolean {
  return isThere() && spawnSync('pkcs11-tool', ['--help']).error === undefined;
}

/** So that it ends soon. */
const ARGUMENTS: Record<string, string[]> = { 'hub/hub.mjs': ['200', '0.3'] };

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
  'metered-service.mjs': [
    'order 1: paid now, 25 drops spent',
    'order 1: paid before, 25 drops spent',
    'order 2: paid now, 50 drops spent',
    'without money: PAYMENT_REQUIRED, 25 drops missing',
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
  'hardware-key.mjs': hasTokenTools()
    ? [
        "the token's public key has 33 bytes; nobody has its private key",
        '100 channels paid 2500 drops',
        'without the token: PKCS11_LOST',
      ]
    : [/^skipped: expected .*, got none$/],
  'receipt.mjs': [
    'acknowledged: 25 drops',
    'signed by the node: 25 drops',
    'of an amount that it does not hold: RECEIPT_NOT_YET',
    'checked without the node: 25 drops',
    'altered: RECEIPT_INVALID',
  ],
  'hub/hub.mjs': hasTokenTools()
    ? [
        /^first 200 claims after \d+ ms$/,
        /^\d+ claims on 200 channels, each durable at the node, by \d+ signatures$/,
        /^[\d,]+ claims and [\d,]+ signatures a second$/,
        /^\d+ drops are committed; 200 ordinary claims are for all of them$/,
      ]
    : [/^skipped: expected .*, got none$/],
  'settle.mjs': [
    'PaymentChannelClaim of 1234560 drops',
    'xrpl.js says that the claim is valid',
    /^blob for the ledger's submit: 12000F[0-9A-F]+… \(\d+ bytes\), hash [0-9A-F]{64}$/,
  ],
  'raw-udp.mjs': [
    /^claim: 93 bytes, 01[0-9a-f]{16}0000000100000000000000fa…$/,
    'ack: COMMITTED, sequence 1, 250 drops are durable',
  ],
  'peers/peers.mjs': [
    'connections between them: 1',
    '',
    'Ann',
    'peer  owed  acknowledged  earned  redeemable  net',
    'Ben    100           100     150         150   50',
    'all    100           100     150         150   50',
    '',
    'Ben',
    'peer  owed  acknowledged  earned  redeemable  net',
    'Ann    150           150     100         100  -50',
    'all    150           150     100         100  -50',
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

describe('the payer in Python', () => {
  const PYTHON = join(EXAMPLES, 'python');
  const WITHOUT_CACHE = { PYTHONDONTWRITEBYTECODE: '1' };

  let node: ClaimwireNode;
  beforeAll(async () => {
    node = await atOnePort(() =>
      ClaimwireNode.start({
        data: folder('python'),
        udp: { host: '127.0.0.1', port: 0 },
        logger: { info: () => {}, warn: () => {}, error: () => {} },
        backend: 'native',
        layout: 'lanes',
        lanes: 1,
        channelsMax: 256,
        segmentBytes: 1 << 20,
      }),
    );
  });
  afterAll(() => node.stop());

  /** Runs of payer.py over a new channel, and what they print. */
  async function payerOf(profile: 'xrpl' | 'link') {
    const key = generateKey();
    const ledgerChannelId = randomBytes(32).toString('hex');
    await node.openChannels([{ ledgerChannelId, publicKey: key.publicKey, capacity: 1_000n, profile }]);
    const keyFile = join(folder('python-key'), 'key.json');
    writeKeyFile(keyFile, key);
    const channelId = BigInt(`0x${ledgerChannelId.slice(0, 16)}`);
    const pay = async (to: string, drops: number, claims: number) => {
      const args = [join(PYTHON, 'payer.py'), to, ledgerChannelId, keyFile, `${drops}`, `${claims}`, profile];
      const { code, lines, stderr } = await run('python3', args, WITHOUT_CACHE);
      return { code, printed: lines.join('\n'), stderr, committed: node.channel(channelId)!.committed };
    };
    return { pay };
  }

  test('signs, packs and reads what the vectors say', async () => {
    const { code, lines, stderr } = await run('python3', [join(PYTHON, 'test_vectors.py')], WITHOUT_CACHE);
    expect(code, stderr).toBe(0);
    expect(lines).toEqual([expect.stringMatching(/^1\d\d checks against the vectors hold$/)]);
  });

  test.each(['xrpl', 'link'] as const)('pays over UDP, and goes on from what is committed: %s', async (profile) => {
    const { pay } = await payerOf(profile);
    expect(await pay(node.udp, 7, 20)).toEqual({
      code: 0,
      printed: 'reconciled: 20 claims paid 140 drops over udp; 140 in all are durable',
      stderr: '',
      committed: 140n,
    });
    expect(await pay(node.udp, 2, 5)).toMatchObject({
      code: 0,
      printed: 'reconciled: 5 claims paid 10 drops over udp; 150 in all are durable',
      committed: 150n,
    });
    expect(await pay(node.udp, 1_000, 1)).toMatchObject({
      code: 1,
      stderr: 'refused: OVER_CAPACITY, with 1000; 150 drops are durable\n',
      committed: 150n,
    });
  });

  /** A way to the node that loses the datagrams (numbered both ways) that it is told to lose; its TCP port loses nothing. */
  async function lossyWay(isLost: (datagram: number) => boolean): Promise<string> {
    const [host, text] = node.udp.split(':');
    const port = Number(text);
    const relay = net.createServer((from) => from.pipe(net.connect(port, host)).pipe(from));
    relay.listen(0, host);
    await once(relay, 'listening');
    const front = dgram.createSocket('udp4').bind((relay.address() as net.AddressInfo).port, host);
    const back = dgram.createSocket('udp4');
    let datagrams = 0;
    let payer = 0;
    front.on('message', (bytes, source) => {
      payer = source.port;
      if (!isLost(datagrams++)) back.send(bytes, port, host);
    });
    back.on('message', (bytes) => {
      if (!isLost(datagrams++)) front.send(bytes, payer, host);
    });
    await once(front, 'listening');
    onTestFinished(() => {
      front.close();
      back.close();
      relay.close();
    });
    return `${host}:${front.address().port}`;
  }

  test.each([
    { way: 'loses every third datagram', isLost: (datagram: number) => datagram % 3 === 0, by: 'udp' },
    { way: 'is blocked for UDP', isLost: () => true, by: 'tcp' },
    { way: 'is blocked for UDP after a while', isLost: (datagram: number) => datagram > 5, by: 'tcp' },
  ])('pays where the way $way', async ({ isLost, by }) => {
    const { pay } = await payerOf('xrpl');
    expect(await pay(await lossyWay(isLost), 3, 10)).toEqual({
      code: 0,
      printed: `reconciled: 10 claims paid 30 drops over ${by}; 30 in all are durable`,
      stderr: '',
      committed: 30n,
    });
  });
});

test('every example is run here and named in the README', () => {
  const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
  const programs = readdirSync(EXAMPLES).filter((name) => name !== 'README.md');
  const own = Object.keys(PRINTS).map((name) => name.split('/')[0]!);
  // charge.py is run by metering.test.ts, and browser/ by browser.test.ts.
  expect(programs.sort()).toEqual([...own, 'load.sh', 'charge.py', 'python', 'browser'].sort());
  for (const name of programs) expect(readme).toMatch(new RegExp(`\\(${name}[/)]`));
});
