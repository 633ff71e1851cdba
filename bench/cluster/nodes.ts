/** Nodes of a cluster as operators run them, each a process that may be killed, stopped and woken. Main thread of the bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ClusterFigures } from '../../src/control/cluster-control.ts';
import { AdminClient } from '../../src/http/client.ts';
import { endsWithBench, within } from '../node-under-test.ts';

const CLI = fileURLToPath(new URL('../../tools/cli.js', import.meta.url));
const START_MS_MAX = 60_000;
const END_MS_MAX = 20_000;
const STARTS_MAX = 5;
const STDERR_CHARS_MAX = 8_192;

export class ClusterNode {
  readonly udp: string;
  readonly admin: AdminClient;
  /** URL of its admin interface, and the file with its token. */
  readonly http: string;
  readonly tokenFile: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(child: ChildProcess, ended: Promise<number | null>, data: string, udp: string, http: string) {
    this.#child = child;
    this.#ended = ended;
    this.udp = udp;
    this.http = `http://${http}`;
    this.tokenFile = join(data, 'admin-token');
    this.admin = AdminClient.open({ http: this.http, tokenFile: this.tokenFile });
  }

  /** Payers by UDP ask at the same port by TCP, which another program may have taken: then with another port. */
  static async start(name: string, folder: string, url: string): Promise<ClusterNode> {
    for (let left = STARTS_MAX; ; left--) {
      const { node, tcp } = await ClusterNode.#start(name, folder, url);
      if (tcp === node.udp || left === 0) return node;
      await node.end('SIGTERM');
    }
  }

  static async #start(name: string, folder: string, url: string): Promise<{ node: ClusterNode; tcp: string }> {
    const data = join(folder, name);
    const flags = [
      '--data',
      data,
      '--udp',
      '127.0.0.1:0',
      '--http',
      '127.0.0.1:0',
      '--layout',
      'lanes',
      '--lanes',
      '1',
    ];
    const cluster = ['--store', url, '--cluster', '--node-name', name, '--channels-max', '4096'];
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const child = endsWithBench(spawn(process.execPath, [CLI, 'node', ...flags, ...cluster], { stdio: [...stdio] }));
    let stderr = '';
    child.stderr!.on('data', (text) => {
      stderr = (stderr + String(text)).slice(-STDERR_CHARS_MAX);
    });
    const ended = once(child, 'close').then(([code]) => code as number | null);
    const line = new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout! }).once('line', resolve);
      void ended.then((code) =>
        reject(new Error(`expected a node of a cluster to start, got exit code ${code}\n${stderr}`)),
      );
    });
    const { udp, tcp, http } = JSON.parse(await within(line, START_MS_MAX, 'a node of a cluster to start'));
    return { node: new ClusterNode(child, ended, data, udp, http), tcp };
  }

  async figures(): Promise<ClusterFigures> {
    return (await (await fetch(`${this.http}/cluster`)).json()) as ClusterFigures;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** @returns its exit code, or null where the signal was the end of it */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return await within(this.#ended, END_MS_MAX, `a node to end after ${signal}`);
  }
}
