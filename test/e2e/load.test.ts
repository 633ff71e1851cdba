/**
 * `claimwire load` against a node, and against peers that stall, die or do not exist. Rates are small: the tests check that
 * every claim is accounted for, not the speed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ACK_BYTES,
  CLAIM_BYTES,
  decodeClaim,
  encodeAck,
  encodeStreamHeader,
  STATUS,
  STREAM_HEADER_BYTES,
  StreamParser,
} from '../../protocol/index.ts';
import type { LoadResult, LoadStep } from '../../src/load/result.ts';
import { readPcap } from '../../src/pcap.ts';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { claimwire } from '../support/command-line.ts';
import { type FakeAdmin, startFakeAdmin } from '../support/fake-node.ts';
import { adminFlags, NodeProcess, type ReadyLine, temporaryFolders } from '../support/node-process.ts';

const CLI = resolve(import.meta.dirname, '../../dist/tools/cli.js');
const folder = temporaryFolders();
/** The tests do not measure speed, so a busy machine has time. */
const QUICK = ['--duration', '0.5', '--warmup', '0.1', '--slo', '60000'];

interface Ran {
  code: number;
  result: LoadResult;
  stderr: string;
}

async function load(...args: string[]): Promise<Ran> {
  const { code, stdout, stderr } = await claimwire('load', '--json', ...args);
  if (stdout === '') throw new Error(`load ended with code ${code}: ${stderr}`);
  const result = JSON.parse(stdout) as LoadResult & { error?: unknown };
  if (result.error !== undefined) throw new Error(`load ended with code ${code}: ${stderr}`);
  return { code, stderr, result };
}

/** Runs again where this machine was too busy to send in time: how a run tells of that is looked at in tests of its own. */
async function loadInTime(args: () => readonly string[]): Promise<Ran> {
  for (let left = 5; ; left--) {
    const ran = await load(...args());
    const isLate = /generator was the limit|could have kept up is not known/.test(ran.result.verdict.join('\n'));
    if (!isLate || left === 0) return ran;
  }
}

const refusals = ({ refused }: LoadStep) => Object.values(refused).reduce((sum, count) => sum + count, 0);

/** Every claim that left ended in one way. */
function expectBalanced(step: LoadStep): void {
  const { sent, acked, already, covered, unanswered, latency, uncorrected, wire } = step;
  expect(acked + already + refusals(step) + covered + unanswered).toBe(sent);
  expect(latency.count).toBe(acked);
  expect(uncorrected.count).toBe(acked);
  // A claim that was held back may have been covered before it left.
  expect(wire?.count ?? 0).toBeLessThanOrEqual(acked);
}

describe('against a node', () => {
  let node: NodeProcess;
  let ready: ReadyLine;
  let flags: string[];
  let files: string;
  let seed = 100;

  /** Options for this node with a new seed, and so with new channels. */
  const fresh = () => [...flags, '--channels', '40', '--seed', String(seed++)];

  beforeAll(async () => {
    const data = folder('load-node');
    files = folder('load-files');
    node = new NodeProcess(data);
    ready = await node.ready;
    flags = ['--to', `udp://${ready.udp}`, ...adminFlags(ready, data)];
  });
  afterAll(() => node?.stop());

  const senders = ['dgram', ...(nativeUdpFault() === undefined ? ['native'] : [])];

  test.each(senders)(
    '%s: a paced run is answered, reconciled to the drop, and goes on where it ended',
    async (sender) => {
      const args = [...fresh(), ...QUICK, '--sender', sender, '--rate', '2000', '--arrivals', 'poisson', '--keys', '7'];
      const { code, result, stderr } = await load(...args);
      expect(result.verdict.join('\n')).toContain('Reconciled');
      expect(code).toBe(0);
      expect(result).toMatchObject({ pass: true, sender, to: `udp://${ready.udp}`, knee: null });
      const step = result.steps[0]!;
      expectBalanced(step);
      expect(step).toMatchObject({ acked: step.sent, unanswered: 0, refused: {}, strayAcks: 0 });
      expect(step.sent + step.late.unsent).toBeGreaterThan(800);
      expect(decodeFromCompressedBase64(step.latency.hdr).totalCount).toBe(step.acked);
      const { acknowledgedDrops, committedDrops, short } = result.reconciliation!;
      expect(short).toBe(0);
      expect(committedDrops).toBe(acknowledgedDrops);
      expect(result.delivery!.sent).toBeGreaterThanOrEqual(step.sent);
      expect(result.delivery!.received).toBe(result.delivery!.sent);
      expect(stderr).toContain('40 channels opened');
      expect(stderr).toContain('40 channels removed');
      const again = (await load(...args)).result;
      expect(again.pass).toBe(true);
      expect(again.steps[0]!.already).toBe(0);
      expect(Number(again.reconciliation!.committedDrops)).toBeGreaterThan(Number(committedDrops) + 800);
    },
  );

  test.each(senders)('%s: as fast as a window allows, skewed, in bursts of datagrams', async (sender) => {
    const args = ['--sender', sender, '--rate', 'max', '--window', '300', '--skew', 'zipf:1.0', '--per-datagram', '4'];
    const { code, result } = await load(...fresh(), ...QUICK, ...args);
    expect(code).toBe(0);
    const step = result.steps[0]!;
    expectBalanced(step);
    expect(step.requestedRate).toBeNull();
    expect(step.acked).toBe(step.sent);
    expect(step.sent).toBeGreaterThan(300);
    expect(step.datagrams).toBeGreaterThanOrEqual(step.sent / 4);
  });

  test('faults are made in their fractions, and each is accounted for', async () => {
    const faults = [
      '--drop',
      '0.1',
      '--dup',
      '0.1',
      '--reorder',
      '0.1',
      '--corrupt-signature',
      '0.1',
      '--stale',
      '0.1',
    ];
    const { code, result } = await load(
      ...fresh(),
      '--warmup',
      '0',
      '--duration',
      '1',
      '--slo',
      '60000',
      '--rate',
      '3000',
      ...faults,
    );
    expect(result.verdict.join('\n')).toContain('Reconciled');
    expect(code).toBe(0);
    const step = result.steps[0]!;
    expectBalanced(step);
    const { dropped, duplicated, reordered, corrupted, stale } = step.faults;
    const made = step.sent + dropped;
    for (const count of [dropped, duplicated, reordered, corrupted, stale])
      expect(Math.abs(count / made - 0.1)).toBeLessThan(0.05);
    expect(step.unanswered, JSON.stringify(result.delivery)).toBe(0);
    expect(result.delivery!.sent).toBe(step.sent + duplicated);
    // A corrupted claim is refused or covered by a newer one, and never acknowledged; nothing else is refused.
    expect(step.expectedRefusals + step.covered).toBe(corrupted);
    expect(step.refused).toEqual({ BAD_SIGNATURE: step.expectedRefusals });
    expect(step.expectedRefusals).toBeGreaterThan(0);
    expect(step.acked).toBeLessThanOrEqual(step.sent - corrupted);
  });

  test('a ramp has a step a rate and a knee among them; percentiles and the page are written', async () => {
    const [hgrm, page] = [join(files, 'ramp.hgrm'), join(files, 'ramp.html')];
    const outputs = ['--hgrm', hgrm, '--report', page];
    const ramp = [...QUICK, '--ramp', '500:1500:500', '--slo', '5000', ...outputs];
    const { result } = await loadInTime(() => [...fresh(), ...ramp]);
    expect(result.steps.map(({ requestedRate }) => requestedRate)).toEqual([500, 1_000, 1_500]);
    result.steps.forEach(expectBalanced);
    expect(result.pass, result.verdict.join('\n')).toBe(true);
    expect([500, 1_000, 1_500]).toContain(result.knee!.requestedRate);
    expect(readFileSync(hgrm, 'utf8')).toMatch(/Value\s+Percentile\s+TotalCount/);
    expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>/i);
  });

  test('an SLO that is missed is exit code 1', async () => {
    const { code, result } = await load(
      ...fresh(),
      '--duration',
      '0.5',
      '--warmup',
      '0.1',
      '--rate',
      '1000',
      '--slo',
      '0.001',
    );
    expect(code).toBe(1);
    expect(result.pass).toBe(false);
    expect(result.verdict.join('\n')).toContain('SLO missed');
    expect(result.reconciliation!.short).toBe(0);
  });

  test('a corpus is made, sent, and refused where it was sent before or does not fit', async () => {
    const file = join(files, 'corpus.bin');
    const args = [...fresh(), '--corpus', file];
    const paced = [...args, '--rate', '1000', '--duration', '0.4', '--warmup', '0.1', '--slo', '60000'];
    const first = await load(...paced);
    expect(first.code).toBe(0);
    expect(first.result.signer).toBe('corpus');
    expectBalanced(first.result.steps[0]!);
    expect(first.result.steps[0]!.acked).toBe(first.result.steps[0]!.sent);
    expect(readFileSync(file).length).toBe(256 + 500 * CLAIM_BYTES);
    const again = await claimwire('load', ...paced);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/INPUT_INVALID|expected a node that has none of its claims/);
    const other = await claimwire('load', ...paced, '--keys', '3');
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/expected (keys 3, got 40|the node to open)/);

    // The same file on a node that has none of its claims.
    const data = folder('load-second');
    const second = new NodeProcess(data);
    const elsewhere = await second.ready;
    const to = ['--to', `udp://${elsewhere.udp}`, ...adminFlags(elsewhere, data)];
    const reused = await load(...to, ...paced.slice(flags.length));
    expect(reused.code).toBe(0);
    expect(reused.result.steps[0]!.acked).toBe(reused.result.steps[0]!.sent);
    await second.stop();
  });

  test('what was sent is in the capture, and can be sent again', async () => {
    const file = join(files, 'sent.pcap');
    const args = [
      '--rate',
      '1000',
      '--warmup',
      '0',
      '--duration',
      '0.3',
      '--per-datagram',
      '5',
      '--pcap',
      file,
      '--keep-channels',
    ];
    const { result } = await load(...fresh(), ...args, '--arrivals', 'burst:10');
    const step = result.steps[0]!;
    const datagrams = [...readPcap(readFileSync(file), { notUdp: 0, fragment: 0 })];
    expect(datagrams.length).toBe(step.datagrams);
    const amounts = datagrams.flatMap(({ payload }) =>
      Array.from({ length: payload.length / CLAIM_BYTES }, (_, index) =>
        decodeClaim(new DataView(payload.buffer, payload.byteOffset, payload.length), index * CLAIM_BYTES),
      ),
    );
    expect(amounts.length).toBe(step.sent);
    expect(new Set(datagrams.map(({ targetPort }) => `127.0.0.1:${targetPort}`))).toEqual(new Set([ready.udp]));
    expect((await claimwire('decode', file, '--json')).code).toBe(0);
    const fields = ['-T', 'fields', '-e', 'udp.dstport', '-e', 'udp.checksum.status', '-o', 'udp.check_checksum:TRUE'];
    const tshark = spawnSync('tshark', ['-r', file, ...fields], { encoding: 'utf8' });
    const line = `${ready.udp.split(':')[1]}\t1`;
    if (tshark.error === undefined) expect(tshark.stdout.trim().split('\n')).toEqual(datagrams.map(() => line));
    const replayed = await load(...flags, '--replay', file);
    expect(replayed.code).toBe(1);
    expect(replayed.result.signer).toBe('replay');
    expect(replayed.result.reconciliation).toBeNull();
    const replay = replayed.result.steps[0]!;
    expectBalanced(replay);
    expect(replay.sent).toBe(step.sent);
    expect(replay.datagrams).toBe(step.datagrams);
    expect(replay.already).toBe(step.sent);
  });

  test('SIGINT ends the run early, with figures', async () => {
    const args = [CLI, 'load', '--json', ...fresh(), '--rate', '500', '--duration', '60', '--warmup', '0'];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    child.stdout.on('data', (data) => {
      stdout += data;
    });
    await untilLine(child, /sent \d/);
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number];
    const result = JSON.parse(stdout) as LoadResult;
    expect(code).toBe(1);
    expect(result).toMatchObject({ outcome: 'INTERRUPTED', pass: false });
    expect(result.verdict[0]).toContain('Interrupted');
    expect(result.steps[0]!.seconds).toBeLessThan(60);
    expectBalanced(result.steps[0]!);
  });
});

/** Resolves once stderr contains the text. */
function untilLine(child: ChildProcess, pattern: RegExp): Promise<void> {
  return new Promise((done) => {
    let text = '';
    child.stderr!.on('data', (data) => {
      text += data;
      if (pattern.test(text)) done();
    });
  });
}

test('a node that is killed leaves claims unanswered, and the run fails', async () => {
  const data = folder('load-killed');
  const node = new NodeProcess(data);
  const ready = await node.ready;
  const args = ['--to', `udp://${ready.udp}`, ...adminFlags(ready, data), '--rate', '1000', '--warmup', '0'];
  const child = spawn(process.execPath, [CLI, 'load', '--json', ...args, '--duration', '3', '--drain', '0.2'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  await untilLine(child, /sent \d/);
  node.kill('SIGKILL');
  const [code] = (await once(child, 'close')) as [number];
  const result = JSON.parse(stdout) as LoadResult;
  expect(code).toBe(1);
  expect(result.pass).toBe(false);
  expectBalanced(result.steps[0]!);
  expect(result.steps[0]!.acked).toBeGreaterThan(0);
  expect(result.steps[0]!.unanswered).toBeGreaterThan(0);
  expect(result.reconciliation).toBeNull();
  expect(result.verdict.join('\n')).toMatch(/not answered in time[\s\S]*Not reconciled/);
});

describe('against peers in this process', () => {
  let admin: FakeAdmin;
  beforeAll(async () => {
    admin = await startFakeAdmin();
  });
  afterAll(() => admin.close());

  const withAdmin = (...args: string[]) =>
    load('--http', admin.url, '--token-file', admin.tokenFile, '--channels', '8', ...args);

  /** Answers every claim COMMITTED, and records it as committed in the fake node. */
  function acksOf(payload: Uint8Array): Uint8Array {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const claims = payload.length / CLAIM_BYTES;
    const acks = new Uint8Array(claims * ACK_BYTES);
    for (let index = 0; index < claims; index++) {
      const { channelId, sequence, amount, timestamp } = decodeClaim(view, index * CLAIM_BYTES);
      const row = admin.node.rows.get(channelId)!;
      if (amount > row.committed) row.committed = amount;
      admin.node.counters.received += 1;
      const ack = { status: STATUS.COMMITTED, sequence, channelId, amount, timestamp };
      encodeAck(new DataView(acks.buffer), index * ACK_BYTES, ack);
    }
    return acks;
  }

  test('a stall of 200 ms shows in the corrected latency, and hardly in the other', async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    // A peer that answers one claim after the other, and after the hundredth none for 200 ms.
    let answered = 0;
    let stalledUntil = 0;
    socket.on('message', (message, { port, address }) => {
      const answer = () => socket.send(acksOf(message), port, address);
      if (++answered === 100) stalledUntil = performance.now() + 200;
      const waitMs = stalledUntil - performance.now();
      if (waitMs > 0) setTimeout(answer, waitMs);
      else answer();
    });
    const to = `udp://127.0.0.1:${socket.address().port}`;
    const closed = ['--window', '1', '--rate', 'max', '--per-datagram', '1'];
    const open = ['--slo', '60000', '--rate', '500', '--warmup', '0', '--duration', '1', '--sender', 'dgram'];
    const paced = (await withAdmin('--to', to, ...open)).result;
    expect(paced.pass).toBe(true);
    expect(paced.steps[0]!.latency.p90Ms).toBeGreaterThan(50);
    answered = 0;
    const lockstep = (await withAdmin('--to', to, ...closed, '--warmup', '0', '--duration', '1')).result;
    expect(lockstep.steps[0]!.latency.p90Ms).toBeLessThan(paced.steps[0]!.latency.p90Ms);
    socket.close();
  });

  test('a generator that cannot keep up says so, and its lateness is in the corrected latency alone', async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    socket.on('message', (message, { port, address }) => socket.send(acksOf(message), port, address));
    const to = `udp://127.0.0.1:${socket.address().port}`;
    const { result } = await withAdmin('--to', to, '--rate', '30000000', '--warmup', '0', '--duration', '0.3');
    const step = result.steps[0]!;
    expectBalanced(step);
    expect(step.late.unsent).toBeGreaterThan(0);
    expect(step.late.claims).toBeGreaterThan(0);
    // The limit is not known: the fake node's socket cannot receive so many either, and loses some.
    expect(result.verdict.join('\n')).not.toContain('The generator was the limit');
    expect(result.verdict.join('\n')).toMatch(/could have kept up is not known|The sockets were full/);
    expect(result.outcome).toBe('FAIL');
    expect(step.achievedRate).toBeLessThan(30_000_000);
    expect(step.latency.meanMs).toBeGreaterThan(step.uncorrected.meanMs);
    socket.close();
  });

  test('tcp: claims go framed, acks come back framed', async () => {
    const server = createServer({ noDelay: true }, (socket: Socket) => {
      const parser = new StreamParser();
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        parser.push(chunk, {
          payload(bytes, start, end) {
            const acks = acksOf(bytes.subarray(start, end));
            const head = new Uint8Array(STREAM_HEADER_BYTES);
            encodeStreamHeader(new DataView(head.buffer), 0, acks.length);
            socket.write(head);
            socket.write(acks);
          },
        });
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const { code, result } = await withAdmin('--to', `tcp://127.0.0.1:${port}`, ...QUICK, '--rate', '2000');
    expect(result.verdict.join('\n')).toContain('Reconciled');
    expect(code).toBe(0);
    expect(result).toMatchObject({ sender: 'tcp', settings: { sockets: 4 } });
    expectBalanced(result.steps[0]!);
    expect(result.steps[0]!.acked).toBe(result.steps[0]!.sent);
    expect(result.steps[0]!.sent).toBeGreaterThan(500);
    server.close();
  });

  test('tcp to nobody is an error, udp to nobody a verdict: neither hangs', async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    const { code, result } = await withAdmin(
      '--to',
      `udp://127.0.0.1:${port}`,
      ...QUICK,
      '--rate',
      '500',
      '--drain',
      '0.1',
    );
    expect(code).toBe(1);
    expect(result.steps[0]!.unanswered).toBe(result.steps[0]!.sent);
    expect(result.verdict.join('\n')).toMatch(/Nothing was acknowledged .* ECONNREFUSED/);
    const reach = ['--http', admin.url, '--token-file', admin.tokenFile, '--channels', '8'];
    const tcp = await claimwire('load', '--to', `tcp://127.0.0.1:${port}`, ...reach);
    expect(tcp).toMatchObject({ code: 1, stdout: '' });
    expect(tcp.stderr).toContain('ECONNREFUSED');
  });

  test.each([
    [[], '--to: expected'],
    [['--to', 'http://127.0.0.1:1'], '--to: expected udp://HOST:PORT (or tcp, tls, ws, webrtc+http)'],
    [['--to', 'udp://127.0.0.1:0'], '--to: expected udp://HOST:PORT'],
    [['--to', 'udp://127.0.0.1:1', '--rate', '0'], '--rate: expected'],
    [['--to', 'udp://127.0.0.1:1', '--rate', '5', '--ramp', '1:2:1'], '--ramp: expected no --rate'],
    [['--to', 'udp://127.0.0.1:1', '--per-datagram', '16'], '--per-datagram: expected'],
    [['--to', 'udp://127.0.0.1:1', '--drop', '0.6', '--dup', '0.6'], 'faults: expected'],
    [['--to', 'udp://127.0.0.1:1', '--key', 'payer.json'], '--key: expected --merkle beside it, got none'],
    [['--to', 'udp://127.0.0.1:1', '--corpus', 'x'], '--corpus-claims'],
    [['--to', 'tcp://127.0.0.1:1', '--pcap', 'x'], '--pcap: expected udp'],
    [['--to', 'udp://127.0.0.1:1', '--replay', 'x', '--drop', '0.1'], '--replay: expected no faults'],
    [['--to', 'udp://127.0.0.1:1,tcp://127.0.0.1:2'], '--to with several nodes: expected udp://HOST:PORT'],
    [['--to', 'udp://127.0.0.1:1,127.0.0.1:2', '--corpus', 'x'], '--corpus: expected one address in --to'],
    [['--to', 'udp://127.0.0.1:1', '--token-file', 'a,b,c'], '--token-file: expected one, or 1 as --http has, got 3'],
  ])('%j is a usage error', async (args, message) => {
    const { code, stdout, stderr } = await claimwire('load', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(existsSync('x')).toBe(false);
  });
});
