/**
 * A recording: a real node on a data folder that is not there yet, under claims of throw-away keys, every call of it to the
 * disk and every answer in the log. Linux only: the recorder is a preload library.
 *
 * The node is stopped or killed and started again in the middle; its second life begins with what the first one left.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Random } from '../support/random.ts';
import { ThrowawayChannel } from '../support/throwaway-claims.ts';
import { type LogRecord, readRecording } from './recording.ts';

export const ROOT: string = repositoryRoot();
export const LANES = 2;
/** The smallest there is: segments roll, and checkpoints let old ones go. */
export const SEGMENT_BYTES = 2 ** 20;
/** The folder that is recorded; the data folder is made in it. */
export const DISK = 'disk';
export const DATA = 'data';
const CHANNELS = 48;
/** Channels are opened in so many requests, the last ones while claims are on their way. */
const OPENINGS = 4;
const SOCKETS = 8;
const TICK_MS = 4;
const START_MS_MAX = 30_000;

export interface RecordingOptions {
  /** An empty folder of its own. */
  folder: string;
  /** Milliseconds of claims in each of the node's two lives. */
  lifeMs: number;
  claimsPerSecond: number;
  /** What ends the first life. */
  restart: 'SIGTERM' | 'SIGKILL';
  random: Random;
  /** The node's options beside what is set here. */
  node?: object;
}

export interface Recording {
  records: LogRecord[];
  channels: ThrowawayChannel[];
  /** Channels known to be open when so many requests had been granted. */
  openings: ThrowawayChannel[][];
  /** Every amount that was signed and sent, by channel. */
  sent: Map<bigint, Set<bigint>>;
}

/** Why nothing can be recorded here, or undefined; then `library` is the recorder. */
export function buildRecorder(): { fault: string } | { library: string } {
  if (process.platform !== 'linux') return { fault: `expected Linux, got ${process.platform}` };
  const folder = join(ROOT, 'build');
  mkdirSync(folder, { recursive: true });
  const library = join(folder, 'recorder.so');
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC'];
  const source = join(ROOT, 'test/powerloss/recorder.c');
  const build = spawnSync(process.env.CC ?? 'cc', [...flags, '-o', library, source, '-ldl', '-lpthread'], {
    encoding: 'utf8',
  });
  if (build.error !== undefined) return { fault: `expected a C compiler, got ${build.error.message}` };
  return build.status === 0 ? { library } : { fault: `expected recorder.c to compile, got ${build.stderr}` };
}

export async function record(library: string, options: RecordingOptions): Promise<Recording> {
  const root = join(realpathSync(options.folder), DISK);
  const log = join(realpathSync(options.folder), 'log');
  mkdirSync(root);
  const environment = { LD_PRELOAD: library, CLAIMWIRE_RECORD_ROOT: root, CLAIMWIRE_RECORD_LOG: log };
  const load = new Load(options);
  for (const end of [options.restart, 'SIGTERM'] as const) {
    const node = await startNode(join(root, DATA), options.node, { ...environment, UV_USE_IO_URING: '0' });
    try {
      await load.run(node);
    } finally {
      await node.end(end);
    }
  }
  const openings = load.openings.map((channels) => channels.map(({ channelId }) => String(channelId)));
  const sent = [...load.sent].map(([channelId, amounts]) => [String(channelId), [...amounts].map(String)] as const);
  writeFileSync(join(options.folder, 'sent.json'), JSON.stringify({ openings, sent } satisfies SentJson));
  return readRun(options.folder);
}

interface SentJson {
  openings: string[][];
  sent: (readonly [channelId: string, amounts: string[]])[];
}

/** A recording that `record` left in its folder. */
export function readRun(folder: string): Recording {
  const { openings, sent } = JSON.parse(readFileSync(join(folder, 'sent.json'), 'utf8')) as SentJson;
  const opened = openings.map((ids) => ids.map((id) => new ThrowawayChannel(BigInt(id))));
  return {
    records: readRecording(join(folder, 'log')),
    channels: opened.flat(),
    openings: opened,
    sent: new Map(sent.map(([id, amounts]) => [BigInt(id), new Set(amounts.map(BigInt))])),
  };
}

export interface RunningNode {
  data: string;
  udp: string;
  http: string;
  end(signal: NodeJS.Signals): Promise<void>;
}

/** A whole node on the data folder. Rejects with what it said when it ends before it is ready. */
export async function startNode(
  data: string,
  more: object = {},
  environment: Record<string, string> = {},
): Promise<RunningNode> {
  const nowhere = { host: '127.0.0.1', port: 0 };
  const options = {
    data,
    udp: nowhere,
    http: nowhere,
    lanes: LANES,
    layout: 'lanes',
    segmentBytes: SEGMENT_BYTES,
    checkpointSeconds: 1,
    keyCacheBytes: 2 ** 25,
    channelsMax: 4096,
    ...more,
  };
  const script = join(ROOT, 'test/powerloss/node.mjs');
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += String(text);
  });
  const ended = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(`${code ?? signal}: ${errors}`));
  });
  const line = firstLine(child);
  const late = setTimeout(() => child.kill('SIGKILL'), START_MS_MAX);
  const ready = await Promise.race([line, ended.then((reason) => Promise.reject(new Error(reason)))]);
  clearTimeout(late);
  const { udp, http } = JSON.parse(ready) as { udp: string; http: string };
  const end = async (signal: NodeJS.Signals) => {
    const wasRunning = child.exitCode === null && child.signalCode === null;
    child.kill(signal);
    const reason = await ended;
    const expected = signal === 'SIGKILL' ? 'SIGKILL' : '0';
    if (!wasRunning || !reason.startsWith(`${expected}:`))
      throw new Error(`node: expected end ${expected}, got ${reason}`);
  };
  return { data, udp, http, end };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => createInterface({ input: child.stdout! }).once('line', resolve));
}

/** Payers with rising amounts, from sockets enough that every lane hears of some. */
class Load {
  readonly channels: ThrowawayChannel[] = [];
  readonly openings: ThrowawayChannel[][] = [];
  readonly sent = new Map<bigint, Set<bigint>>();
  readonly #options: RecordingOptions;
  readonly #amounts = new Map<ThrowawayChannel, bigint>();

  constructor(options: RecordingOptions) {
    this.#options = options;
  }

  async run(node: RunningNode): Promise<void> {
    const { lifeMs, claimsPerSecond, random } = this.#options;
    const [host, port] = node.udp.split(':') as [string, string];
    const sockets = Array.from({ length: SOCKETS }, () => dgram.createSocket('udp4'));
    const isFirstLife = this.channels.length === 0;
    const opened: Promise<void>[] = [];
    try {
      if (isFirstLife) await this.#open(node);
      const begun = performance.now();
      let due = 0;
      for (let now = 0; now < lifeMs; now = performance.now() - begun) {
        // More channels while claims come in: the registry commits beside the journals.
        if (isFirstLife && opened.length < OPENINGS - 1 && now > (lifeMs * (opened.length + 1)) / OPENINGS)
          opened.push(this.#open(node));
        for (; due < (now * claimsPerSecond) / 1_000; due++) {
          const index = random.below(this.channels.length);
          sockets[index % SOCKETS]!.send(this.#claim(this.channels[index]!, random), Number(port), host);
        }
        await new Promise((resolve) => setTimeout(resolve, TICK_MS));
      }
      await Promise.all(opened);
    } finally {
      for (const socket of sockets) socket.close();
    }
  }

  #claim(channel: ThrowawayChannel, random: Random): Uint8Array {
    const amount = (this.#amounts.get(channel) ?? 0n) + BigInt(1 + random.below(9));
    this.#amounts.set(channel, amount);
    const amounts = this.sent.get(channel.channelId) ?? new Set();
    this.sent.set(channel.channelId, amounts.add(amount));
    return channel.claim(amount);
  }

  /** POST /channels: the channels count as open once the answer is there, in the recording as here. */
  async #open(node: RunningNode): Promise<void> {
    const token = readFileSync(join(node.data, 'admin-token'), 'utf8').trim();
    const first = this.openings.flat().length;
    const count = CHANNELS / OPENINGS;
    const channels = Array.from(
      { length: count },
      (_, index) => new ThrowawayChannel(BigInt(first + index + 1) << 32n),
    );
    this.openings.push(channels);
    const response = await fetch(`http://${node.http}/channels`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(channels.map(opening)),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST /channels: expected success, got ${response.status} ${text}`);
    this.channels.push(...channels);
  }
}

function opening(channel: ThrowawayChannel): object {
  return {
    ledgerChannelId: Buffer.from(channel.ledgerChannelId).toString('hex'),
    publicKey: Buffer.from(channel.publicKey).toString('hex'),
    capacity: '1000000000000',
    profile: channel.profile,
  };
}

/** Whether this file runs as source or compiled below build/. */
function repositoryRoot(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}
