/**
 * bench:channels: measures a node with a million channels of a thousand keys: how long their import and a start take, how
 * much memory a channel costs, and how much processor time the node uses at rest. Then a million (many.ts), or as many as
 * `--channels N` says: start, memory, and the rate against that of a thousand. Ten million want 5 GB of disk, 5 GiB of memory, and
 * some three minutes.
 *
 * Drives `claimwire node` and `claimwire channel import` as an operator does. Memory is the growth of VmRSS between an
 * empty node and one with the channels, both freshly started and left alone for two seconds.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createECDH, createHash, randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { assert } from '../../src/errors.ts';
import { type BenchContext, type Figures, runBench } from '../harness.ts';
import { benchFolder } from '../node-under-test.ts';
import { measureMany } from './many.ts';

const CHANNELS = 1_000_000;
const CHANNELS_QUICK = 200_000;
const MANY = 1_000_000;
const LOAD_SECONDS = 5;
const LOAD_SECONDS_QUICK = 2;
const KEYS = 1_000;
const SETTLE_MS = 2_000;
const REST_MS = 5_000;
const CLOCK_TICKS_PER_SECOND = 100;
const FOLDER = join('data', `bench-channels-${process.pid}`);
const CLI = fileURLToPath(new URL('../../tools/cli.js', import.meta.url));

interface RunningNode {
  pid: number;
  channels: number;
  http: string;
  startSeconds: number;
  stop: () => Promise<void>;
}

async function startNode(data: string): Promise<RunningNode> {
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    [CLI, 'node', '--data', data, '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0'],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(line));
    void exit.then(() => reject(new Error('the node did not start')));
  });
  const { pid, channels, http } = JSON.parse(line) as { pid: number; channels: number; http: string };
  return {
    pid,
    channels,
    http: `http://${http}`,
    startSeconds: (performance.now() - startedAt) / 1_000,
    stop: async () => {
      child.kill('SIGTERM');
      await exit;
    },
  };
}

/** A file of channels to import, and the SHA-256 of their ledger ids, which the node must give back. */
async function writeChannels(path: string, count: number): Promise<void> {
  const keys = Array.from({ length: KEYS }, () => {
    const ecdh = createECDH('secp256k1');
    return ecdh.generateKeys('hex', 'compressed').toUpperCase();
  });
  const file = createWriteStream(path);
  for (let index = 0; index < count; index++) {
    const ledgerChannelId = randomBytes(32).toString('hex').toUpperCase();
    const line = `{"ledgerChannelId":"${ledgerChannelId}","publicKey":"${keys[index % KEYS]}","capacity":"1000000000"}\n`;
    if (!file.write(line)) await new Promise<void>((resolve) => file.once('drain', () => resolve()));
  }
  await new Promise<void>((resolve) => file.end(() => resolve()));
}

function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line![1]) * 1_024;
}

/** User and system time of a process and its threads, seconds. */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}

async function settled(pid: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return residentBytes(pid);
}

/** The share of one core that a node without traffic uses, in per cent. */
async function restPercent(pid: number): Promise<number> {
  const before = processorSeconds(pid);
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  return ((processorSeconds(pid) - before) / (REST_MS / 1_000)) * 100;
}

async function prove(http: string, file: string, note: (line: string) => void): Promise<void> {
  const ids = (text: string) =>
    [...text.matchAll(/"ledgerChannelId":"([0-9A-F]{64})"/g)].map((match) => match[1]!).sort();
  const response = await fetch(`${http}/channels`, { headers: { accept: 'application/x-ndjson' } });
  const digest = (text: string) => createHash('sha256').update(ids(text).join()).digest('hex').slice(0, 16);
  const [held, given] = [digest(await response.text()), digest(readFileSync(file, 'utf8'))];
  assert(held === given, `the node holds channels ${held}, imported were ${given}`);
  note(`checksum: SHA-256 of the sorted ledger ids ${held}, the node's and the file's`);
}

async function measure({ quick, note, numbers }: BenchContext): Promise<Figures> {
  const imported = await measureImport(quick ? CHANNELS_QUICK : CHANNELS, note);
  const count = numbers.get('channels') ?? MANY;
  const folder = benchFolder('channels-many');
  return {
    ...imported,
    ...(await measureMany({ folder, count, seconds: quick ? LOAD_SECONDS_QUICK : LOAD_SECONDS, note })),
  };
}

async function measureImport(count: number, note: (line: string) => void): Promise<Figures> {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  try {
    const file = join(FOLDER, 'channels.ndjson');
    await writeChannels(file, count);
    const data = join(FOLDER, 'node');
    const empty = await startNode(data);
    const emptyBytes = await settled(empty.pid);
    const startedAt = performance.now();
    const flags = ['--http', empty.http, '--token-file', join(data, 'admin-token')];
    execFileSync(process.execPath, [CLI, 'channel', 'import', file, ...flags], { stdio: 'ignore' });
    const importSeconds = (performance.now() - startedAt) / 1_000;
    await empty.stop();

    const full = await startNode(data);
    assert(full.channels === count, `the node started with ${full.channels} of ${count} channels`);
    const fullBytes = await settled(full.pid);
    const percent = await restPercent(full.pid);
    await prove(full.http, file, note);
    await full.stop();
    return {
      'channels.count': count,
      'channels.importSeconds': importSeconds,
      'channels.startSeconds': full.startSeconds,
      'channels.bytesEach': (fullBytes - emptyBytes) / count,
      'channels.restCpuPercent': percent,
    };
  } finally {
    rmSync(FOLDER, { recursive: true, force: true });
  }
}

await runBench({ name: 'channels', repeats: 1, numbers: ['channels'] }, measure);
