/** The node of `claimwire demo`: a process of its own, as an operator runs it. Main thread of the demo's process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LedgerHealth } from '../src/control/ledger-control.ts';
import { ClaimwireError } from '../src/errors.ts';

const STOP_MS_MAX = 15_000;

/** The first line that `claimwire node` prints. */
export interface ReadyLine {
  event: 'ready';
  udp: string;
  tcp: string;
  tls: boolean;
  /** Where WebSocket and WebRTC peers connect. */
  web: string | null;
  http: string;
  backend: string;
  kernel: string | null;
  verifiers: number;
  channels: number;
  pid: number;
  layout: string;
  lanes: number;
  sockets: string;
  path: string;
  durability: string;
  store: string;
  verify: string;
  /** The connection to the ledger; null without one. */
  ledger: LedgerHealth | null;
}

/** A node in a process of its own, whose first and last lines are read from its stdout. */
export class NodeProcess {
  readonly ready: Promise<ReadyLine>;
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;
  #last = '';

  constructor(data: string, flags: readonly string[]) {
    const cli = fileURLToPath(new URL('./cli.js', import.meta.url));
    const args = [cli, 'node', '--data', data, '--udp', '127.0.0.1:0', '--http', '127.0.0.1:0', ...flags];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#exit = new Promise((resolve) => this.#child.once('exit', resolve));
    const lines = createInterface({ input: this.#child.stdout! });
    this.ready = new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        this.#last = line;
        const message = JSON.parse(line) as { event?: string };
        if (message.event === 'ready') resolve(message as ReadyLine);
      });
      void this.#exit.then((code) =>
        reject(new ClaimwireError('NODE_FAILED', `demo: expected the node to start, it ended with code ${code}`)),
      );
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Sends SIGTERM and resolves to the node's last line. */
  async stop(): Promise<string> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS_MAX);
    const code = await this.#exit;
    clearTimeout(timer);
    if (code !== 0) return `with code ${code}`;
    return this.#last;
  }
}
