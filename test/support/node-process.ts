/**
 * A node as an operator runs it: `claimwire node` in a process of its own, compiled by `make build`.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll } from 'vitest';
import { nativeUdpFault } from '../../src/transport/udp-native.ts';
import { storeUnderTest } from './store-under-test.ts';

const CLI = resolve(import.meta.dirname, '../../dist/tools/cli.js');
/** Where nodes are started cold (vitest.config.ts), one has a single lane, unless its test has a say in its threads. */
const LANES = process.env.CLAIMWIRE_WARM_UP === 'off' && nativeUdpFault() === undefined ? ['--lanes', '1'] : [];
/** Flags, and variables of the environment, that choose threads or that lanes cannot be with. */
const THREADS_FLAG = /^--(lanes|layout|verifiers|config|backend|sockets|path)\b/;
const THREADS_VARIABLE = /^CLAIMWIRE_(LANES|LAYOUT|VERIFIERS|CONFIG|BACKEND|SOCKETS|PATH)$/;

export interface ReadyLine {
  event: 'ready';
  udp: string;
  http: string;
  backend: string;
  verifiers: number;
  channels: number;
  pid: number;
}

/** A folder under the system's temporary one, gone when the test file ends. */
export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `claimwire-${name}-`));
}
/** Folders for one test file, made on demand and gone when it ends. */
export function temporaryFolders(): (name: string) => string {
  const made: string[] = [];
  afterAll(() => made.forEach(removeFolder));
  return (name) => {
    const folder = temporaryFolder(name);
    made.push(folder);
    return folder;
  };
}
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

export class NodeProcess {
  readonly ready: Promise<ReadyLine>;
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  stderr = '';
  readonly stdout: string[] = [];
  readonly #child: ChildProcess;

  /**
   * @param cli the command line to run, the built one by default
   * @param options more for its environment, a command that runs it, and the folder that it works in
   */
  constructor(
    data: string,
    flags: string[] = [],
    cli: string = CLI,
    options: { env?: Record<string, string>; within?: string[]; cwd?: string } = {},
  ) {
    if (!existsSync(cli)) throw new Error(`${cli}: expected the compiled command line, got nothing; run make build`);
    const env = { ...process.env, ...options.env };
    // Another copy of the program may lack what lanes need.
    const isChosen =
      cli !== CLI ||
      flags.some((flag) => THREADS_FLAG.test(flag)) ||
      Object.keys(env).some((name) => THREADS_VARIABLE.test(name));
    const lanes = isChosen ? [] : LANES;
    const store = flags.includes('--store') ? [] : storeUnderTest.flags(data);
    const args = [
      cli,
      'node',
      '--data',
      data,
      '--udp',
      '127.0.0.1:0',
      '--http',
      '127.0.0.1:0',
      ...lanes,
      ...store,
      ...flags,
    ];
    const [command = '', ...rest] = [...(options.within ?? []), process.execPath, ...args];
    this.#child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env, cwd: options.cwd });
    this.exit = new Promise((done) => this.#child.once('close', (code, signal) => done({ code, signal })));
    this.#child.stderr!.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
    this.ready = new Promise((done, fail) => {
      createInterface({ input: this.#child.stdout! }).on('line', (line) => {
        this.stdout.push(line);
        if (this.stdout.length === 1) done(JSON.parse(line) as ReadyLine);
      });
      void this.exit.then(({ code }) => fail(new Error(`the node ended with code ${code}: ${this.stderr}`)));
    });
    this.ready.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid!;
  }
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
  /** Nobody reads it any more, as where a log's reader has died. */
  closeReader(stream: 'stdout' | 'stderr'): void {
    this.#child[stream]!.destroy();
  }
  /** SIGTERM; the last line it printed. */
  async stop(): Promise<Record<string, unknown>> {
    this.kill('SIGTERM');
    const { code } = await this.exit;
    if (code !== 0) throw new Error(`the node ended with code ${code}: ${this.stderr}`);
    return JSON.parse(this.stdout.at(-1)!) as Record<string, unknown>;
  }
}

/** Runs a command to its end. Never rejects: the exit code is part of the result. */
export async function claimwire(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [CLI, ...args], { maxBuffer: 2 ** 26 });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

/** The flags a command needs to reach a node. */
export function adminFlags(ready: ReadyLine, data: string): string[] {
  return ['--http', `http://${ready.http}`, '--token-file', join(data, 'admin-token')];
}

/** POST /channels of a running node, whatever it answers. */
export async function postChannels(ready: ReadyLine, data: string, body: object): Promise<Response> {
  const token = readFileSync(join(data, 'admin-token'), 'utf8').trim();
  return fetch(`http://${ready.http}/channels`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

/** POST /channels of a running node. */
export async function openChannels(ready: ReadyLine, data: string, openings: object[]): Promise<void> {
  const response = await postChannels(ready, data, openings);
  if (!response.ok) throw new Error(`POST /channels: ${response.status} ${await response.text()}`);
}

export async function getJson<T>(ready: ReadyLine, path: string): Promise<T> {
  const response = await fetch(`http://${ready.http}${path}`);
  if (!response.ok) throw new Error(`GET ${path}: ${response.status}`);
  return (await response.json()) as T;
}
