/**
 * What `claimwire load` reports of runs that went wrong, and what it leaves behind: over a network that drops, against a
 * node that refuses claims, interrupted, or unable to write. None of these is a PASS, and no channel stays.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ACK_BYTES, CLAIM_BYTES, decodeClaim, encodeAck, STATUS } from '../../protocol/index.ts';
import type { LoadResult } from '../../src/load/result.ts';
import { claimwire, type Ended } from '../support/command-line.ts';
import { type FakeAdmin, startFakeAdmin } from '../support/fake-node.ts';
import { adminFlags, getJson, NodeProcess, type ReadyLine, temporaryFolders } from '../support/node-process.ts';

const CLI = resolve(import.meta.dirname, '../../dist/tools/cli.js');
const folder = temporaryFolders();
const PACE = ['--rate', '2000', '--duration', '0.4', '--warmup', '0.1', '--channels', '40', '--slo', '60000'];
const PAYEE = 'rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh';

/** As a process of its own, which can be sent signals. */
function start(...args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [CLI, 'load', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ran: Ended = { code: -1, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    ran.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    ran.stderr += chunk;
  });
  const ended = once(child, 'close').then(([code]) => Object.assign(ran, { code: code as number }));
  return { child, ended };
}

const load = (...args: string[]) => claimwire('load', ...args);
const resultOf = ({ stdout, stderr }: Ended): LoadResult => {
  if (!stdout.includes('"steps"')) throw new Error(`expected a result, got ${stdout}${stderr}`);
  return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as LoadResult;
};

async function boundSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** Between a payer's sockets and a node's: every `every`-th datagram on the way there is lost. */
async function droppingRelay(target: string, every: number): Promise<{ address: string; close(): void }> {
  const [host, port] = target.split(':') as [string, string];
  const front = await boundSocket();
  const backs = new Map<number, Socket>();
  let datagrams = 0;
  front.on('message', (message, source) => {
    let back = backs.get(source.port);
    if (back === undefined) {
      back = createSocket('udp4');
      back.on('message', (answer) => front.send(answer, source.port, source.address));
      backs.set(source.port, back);
    }
    if (++datagrams % every !== 0) back.send(message, Number(port), host);
  });
  return {
    address: `127.0.0.1:${front.address().port}`,
    close: () => [front, ...backs.values()].forEach((socket) => void socket.close()),
  };
}

/** Each run takes seconds, and the machine may be busy. */
const RUNS_MS_MAX = 120_000;

describe('against a node', { timeout: RUNS_MS_MAX }, () => {
  let node: NodeProcess;
  let ready: ReadyLine;
  let data: string;
  let flags: string[];
  const channels = async () => (await getJson<{ channels: number }>(ready, '/stats')).channels;

  beforeAll(async () => {
    data = folder('load-verdict');
    node = new NodeProcess(data);
    ready = await node.ready;
    flags = adminFlags(ready, data);
  });
  afterAll(() => node?.stop());

  test('a tenth of the claims lost on the way is a FAIL, though newer ones’ acks cover them', async () => {
    const relay = await droppingRelay(ready.udp, 10);
    const args = [
      '--to',
      `udp://${relay.address}`,
      ...flags,
      ...PACE,
      '--sender',
      'dgram',
      '--per-datagram',
      '1',
      '--drain',
      '2',
    ];
    const ran = await load('--json', ...args, '--seed', '7');
    const result = resultOf(ran);
    relay.close();
    expect({ code: ran.code, outcome: result.outcome }).toEqual({ code: 1, outcome: 'FAIL' });
    const { delivery, checks, steps, reconciliation } = result;
    const [loss] = checks;
    expect(loss).toMatchObject({ name: 'loss', held: false, bound: 0.001 });
    expect(loss!.value).toBeGreaterThan(0.05);
    expect(delivery!.sent - delivery!.received).toBeGreaterThan(delivery!.sent * 0.05);
    expect(delivery!.verified).toBeLessThanOrEqual(delivery!.received);
    // More claims count as acknowledged than arrived, so acks alone would hide the loss.
    expect(delivery!.acknowledged).toBeGreaterThan(delivery!.received);
    expect(delivery!.acknowledgedByNewer).toBeGreaterThan(0);
    expect(steps[0]!.delivery!.sent).toBe(delivery!.sent);
    expect(reconciliation!.short).toBe(0);
    expect(await channels()).toBe(0);
    // The same run with bounds that allow it.
    const allowed = await droppingRelay(ready.udp, 10);
    const text = await load(...args, '--to', `udp://${allowed.address}`, '--loss-max', '50%');
    allowed.close();
    expect(text.code).toBe(0);
    expect(text.stdout).toMatch(/ {2}received +\d+ \(\d+\.\d\d %\) by the node; \d+ never reached it\n/);
    expect(text.stdout).toMatch(/\nPASS: loss [\d.]+ % \(at most 50 %\), refused 0 % \(at most 0 %\), p99 .* ms\)\n$/);
  });

  test('interrupted: INTERRUPTED, exit code 1, and the channels are gone all the same', async () => {
    const args = ['--to', `udp://${ready.udp}`, ...flags, '--rate', '500', '--duration', '60', '--channels', '30'];
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const { child, ended } = start(...args, '--warmup', '0', '--json');
      await untilSaid(child, /sent \d/);
      expect(await channels()).toBe(30);
      child.kill(signal);
      const ran = await ended;
      const result = resultOf(ran);
      expect({ code: ran.code, outcome: result.outcome, pass: result.pass }).toEqual({
        code: 1,
        outcome: 'INTERRUPTED',
        pass: false,
      });
      expect(result.steps[0]!.intervals.length).toBe(Math.ceil(result.steps[0]!.seconds - 0.001));
      expect(await channels()).toBe(0);
    }
  });

  test('channels that are kept are marked, never settled, and go without force', async () => {
    const args = ['--to', `udp://${ready.udp}`, ...flags, ...PACE];
    expect((await load(...args, '--keep-channels')).code).toBe(0);
    expect(await channels()).toBe(40);
    const rows = await getJson<{ channelId: string; committed: string; throwAway: boolean }[]>(ready, '/channels');
    expect(rows.every(({ throwAway }) => throwAway)).toBe(true);
    expect(rows.some(({ committed }) => committed !== '0')).toBe(true);
    const settled = await claimwire('settle', '--all', '--account', PAYEE, ...flags);
    expect(settled.stdout).toBe('[]\n');
    expect(settled.stderr).toContain('40 throw-away');
    const one = await claimwire('settle', rows[0]!.channelId, '--account', PAYEE, ...flags);
    expect(one).toMatchObject({ code: 1, stdout: '' });
    expect(one.stderr).toContain('it is a throw-away channel');
    // The next run uses these channels and removes them.
    const next = await load(...args);
    expect(next.code).toBe(0);
    expect(next.stderr).toContain('40 were open');
    expect(await channels()).toBe(0);
    expect((await claimwire('settle', '--all', '--account', PAYEE, ...flags)).stdout).toBe('[]\n');
  });

  test('many runs against a node that stays up take no more room than one', async () => {
    const args = ['--to', `udp://${ready.udp}`, ...flags, '--rate', '500', '--warmup', '0', '--duration', '0.2'];
    for (let run = 0; run < 3; run++)
      expect((await load(...args, '--channels', '40', '--slo', '60000')).stderr).toContain('40 channels opened');
    const listed = await claimwire('channel', 'list', '--json', ...flags);
    expect(JSON.parse(listed.stdout)).toEqual([]);
  });

  test('files are tried before the run, and a failing write costs only the file', async () => {
    const to = ['--to', `udp://${ready.udp}`, ...flags, ...PACE];
    const files = folder('load-outputs');
    for (const flag of ['--report', '--hgrm', '--pcap', '--corpus']) {
      const nowhere = await load(...to, flag, join(files, 'none', 'x'));
      expect({ flag, code: nowhere.code, stdout: nowhere.stdout }).toEqual({ flag, code: 2, stdout: '' });
      expect(nowhere.stderr).toContain(`${flag} ${join(files, 'none', 'x')}: expected a file that can be written`);
      expect(nowhere.stderr).not.toContain('channels opened');
    }
    expect((await load(...to, '--report', files)).code).toBe(2);
    const kept = join(files, 'kept.html');
    writeFileSync(kept, 'of before');
    const usage = await load(...to, '--report', kept, '--hgrm', join(files, 'none', 'x'));
    expect({ code: usage.code, kept: readFileSync(kept, 'utf8') }).toEqual({ code: 2, kept: 'of before' });
    // A device that can be opened but not written, where there is one.
    if (!existsSync('/dev/full')) return;
    for (const flags of [
      ['--report', '/dev/full'],
      ['--pcap', '/dev/full'],
    ]) {
      const full = await load('--json', ...to, ...flags, '--hgrm', join(files, 'full.hgrm'));
      expect(resultOf(full).pass).toBe(true);
      expect(full.code).toBe(1);
      expect(full.stderr).toContain(`${flags[0]} /dev/full: expected a file that can be written, got ENOSPC`);
      expect(readFileSync(join(files, 'full.hgrm'), 'utf8')).toContain('Percentile');
    }
  });
});

describe('against a peer in this process', () => {
  let admin: FakeAdmin;
  beforeAll(async () => {
    admin = await startFakeAdmin();
  });
  afterAll(() => admin.close());

  /** Commits every claim but each `refuseEvery`-th, which it refuses. */
  async function peer(refuseEvery: number): Promise<Socket> {
    const socket = await boundSocket();
    let claims = 0;
    socket.on('message', (message, { port, address }) => {
      const view = new DataView(message.buffer, message.byteOffset, message.length);
      const acks = new Uint8Array((message.length / CLAIM_BYTES) * ACK_BYTES);
      for (let index = 0; index < message.length / CLAIM_BYTES; index++) {
        const { channelId, sequence, amount, timestamp } = decodeClaim(view, index * CLAIM_BYTES);
        const row = admin.node.rows.get(channelId)!;
        const isRefused = ++claims % refuseEvery === 0;
        admin.node.counters.received += 1;
        if (!isRefused && amount > row.committed) row.committed = amount;
        const status = isRefused ? STATUS.OVERLOADED : STATUS.COMMITTED;
        encodeAck(new DataView(acks.buffer), index * ACK_BYTES, {
          status,
          sequence,
          channelId,
          amount: isRefused ? 0n : amount,
          timestamp,
        });
      }
      socket.send(acks, port, address);
    });
    return socket;
  }

  test('a node that turns claims away is a FAIL, and says with what', async () => {
    const socket = await peer(20);
    const to = [
      '--to',
      `udp://127.0.0.1:${socket.address().port}`,
      '--http',
      admin.url,
      '--token-file',
      admin.tokenFile,
    ];
    const ran = await load('--json', ...to, ...PACE);
    const result = resultOf(ran);
    expect({ code: ran.code, outcome: result.outcome }).toEqual({ code: 1, outcome: 'FAIL' });
    const refused = result.checks.find(({ name }) => name === 'refused')!;
    expect(refused).toMatchObject({ bound: 0, held: false });
    expect(refused.value).toBeCloseTo(0.05, 1);
    expect(result.steps[0]!.refused.OVERLOADED).toBeGreaterThan(0);
    expect((await load(...to, ...PACE, '--refused-max', '20%')).code).toBe(0);
    expect(admin.node.rows.size).toBe(0);
    socket.close();
  });

  test.each([
    ['--loss-max', '101%'],
    ['--loss-max', '2'],
    ['--refused-max', 'x'],
    ['--refused-max', '-1'],
  ])('%s %s is a usage error', async (flag, value) => {
    const { code, stdout, stderr } = await load('--to', 'udp://127.0.0.1:1', flag, value);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(flag);
  });
});

/** Resolves once stderr contains the text. */
function untilSaid(child: ChildProcess, pattern: RegExp): Promise<void> {
  return new Promise((done) => {
    let text = '';
    child.stderr!.on('data', (data) => {
      text += data;
      if (pattern.test(text)) done();
    });
  });
}
