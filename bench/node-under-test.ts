/**
 * A node as an operator runs it, for the benches that measure it from outside: a process of its own with a data folder that
 * is removed afterwards. Runs in the main thread of the bench.
 *
 * On exit, however the bench ends, its children are killed and its folder is removed.
 */

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { NodeStats } from '../src/control/node-control.ts';
import { type HostPort, parseHostPort } from '../src/host-port.ts';
import { AdminClient } from '../src/http/client.ts';

const CLI = fileURLToPath(new URL('../tools/cli.js', import.meta.url));

/** A claimwire that is installed somewhere: the commands of its node and its load, and how they are started. */
export interface Program {
  node: readonly string[];
  load: readonly string[];
  options: Pick<SpawnOptions, 'cwd' | 'env'>;
}

/** The one of this checkout. */
const CHECKOUT: Program = {
  node: [process.execPath, CLI, 'node'],
  load: [process.execPath, CLI, 'load'],
  options: {},
};

/** The longest a node may take to start or to stop; a million channels take two seconds. */
const START_MS_MAX = 60_000;
/** The last checkpoint of ten million channels takes most of it where the disk is busy. */
const STOP_MS_MAX = 120_000;
const STDERR_CHARS_MAX = 16_384;
const CLOCK_TICKS_PER_SECOND = 100;

const children = new Set<ChildProcess>();

/** The child is killed when the bench ends before it. */
export function endsWithBench<Child extends ChildProcess>(child: Child): Child {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Makes a folder for this bench under ./data. It is removed, and child processes are killed, when the bench ends. */
export function benchFolder(name: string): string {
  const folder = join('data', `bench-${name}-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
  return folder;
}

/** User and system time of a process and its threads, seconds; NaN where it has ended, or the system has no /proc. */
export function processorSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

/** The same, with what it started: npx runs the program it is asked for in a process of its own. */
export function treeSeconds(pid: number): number {
  let seconds = processorSeconds(pid);
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    for (const child of children) seconds += treeSeconds(Number(child));
  } catch {
    // Systems without this file have no npx to look through here.
  }
  return seconds;
}

interface ReadyLine {
  udp: string;
  web: string | null;
  http: string;
  channels: number;
}

export class NodeUnderTest {
  readonly data: string;
  readonly admin: AdminClient;
  readonly udp: HostPort;
  /** Where it takes WebSocket and WebRTC peers. */
  readonly web: HostPort | undefined;
  readonly channels: number;
  /** The arguments with which `claimwire load` reaches it. */
  readonly loadFlags: string[];
  readonly program: Program;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, data: string, { udp, web, http, channels }: ReadyLine, program: Program) {
    const tokenFile = join(data, 'admin-token');
    this.#child = child;
    this.program = program;
    this.data = data;
    this.udp = parseHostPort(udp)!;
    this.web = web === null ? undefined : parseHostPort(web);
    this.channels = channels;
    this.admin = AdminClient.open({ http: `http://${http}`, tokenFile });
    this.loadFlags = ['--to', `udp://${udp}`, '--http', `http://${http}`, '--token-file', tokenFile];
  }

  /**
   * Runs `work` with a node over `data`, which is kept afterwards. Throws what `work` throws, and then prints the node's
   * output.
   * @param of another installed claimwire, or the path of a program with a node in it, which is asked by `ask`
   */
  static async run<Result>(
    data: string,
    flags: readonly string[],
    work: (node: NodeUnderTest) => Promise<Result>,
    of: Program | string = CHECKOUT,
  ): Promise<Result> {
    // A program of a bench's own, by its path, is a child with a channel for messages.
    const program = typeof of === 'string' ? { ...CHECKOUT, node: [process.execPath, of] } : of;
    const own = ['--data', data, '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0'];
    const [command = '', ...args] = [...program.node, ...own, ...flags];
    const stdio = ['ignore', 'pipe', 'pipe', ...(typeof of === 'string' ? ['ipc' as const] : [])] as const;
    const child = endsWithBench(spawn(command, args, { ...program.options, stdio: [...stdio] }));
    const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
    let stderr = '';
    child.stderr!.on('data', (text) => {
      stderr = (stderr + String(text)).slice(-STDERR_CHARS_MAX);
    });
    try {
      const result = await work(new NodeUnderTest(child, data, await readyLine(child, exit), program));
      child.kill('SIGTERM');
      const code = await within(exit, STOP_MS_MAX, 'the node to stop');
      if (code !== 0) throw new Error(`expected the node to stop with code 0, got ${code}`);
      return result;
    } catch (error) {
      child.kill('SIGKILL');
      await exit;
      process.stderr.write(`claimwire node ${flags.join(' ')} said:\n${stderr}`);
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }
  /** Sends a message to a program of its own; resolves with the next one that comes back. */
  ask<Answer>(message: object): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => this.#child.once('message', (got) => resolve(got as Answer)));
    this.#child.send(message);
    return answer;
  }
  stats(): Promise<NodeStats> {
    return this.admin.stats();
  }
  residentMiB(): number {
    return this.#statusMiB('VmRSS');
  }
  /** Without files, such as the registry's: what a checkpoint wrote of it is the system's cache. */
  residentWithoutFilesMiB(): number {
    return this.#statusMiB('RssAnon') + this.#statusMiB('RssShmem');
  }

  #statusMiB(field: string): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1_024;
  }
}

function readyLine(child: ChildProcess, exit: Promise<number | null>): Promise<ReadyLine> {
  const line = new Promise<ReadyLine>((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', (text) => resolve(JSON.parse(text) as ReadyLine));
    void exit.then((code) => reject(new Error(`expected it to start, got exit code ${code}`)));
  });
  return within(line, START_MS_MAX, 'the node to start');
}

/** Rejects when `promise` takes longer than the time allowed. */
export async function within<Result>(promise: Promise<Result>, milliseconds: number, what: string): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`expected ${what} within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
